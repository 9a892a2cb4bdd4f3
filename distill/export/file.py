"""One exported file: written, read back, checked; it takes its name only when all of that went well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill.errors import DistillError
from distill.experiments.saved import Saved
from distill.export import check, describe
from distill.export.content import CALIBRATION, Content, Predict
from distill.export.formats import KINDS, find
from distill.files import replacing
from distill.models.quantized import Int8
from distill.models.trial import first_line

_TOLERANCE = 1e-3  # of logits, where nothing is rounded to integers


@dataclass(frozen=True)
class Origin:
    """The network that files are made of.

    Attributes:
        run: That trained it.
        role: Of it.
        network: In evaluation mode, on the CPU.
        examples: What files are checked on.
        answers: What the network says to them.
    """

    run: Saved
    role: str
    network: nn.Module
    examples: check.Examples
    answers: check.Answers

    @classmethod
    def of(cls, run: Saved, role: str) -> Origin:
        """A network of a run, asked."""
        run = run.seen_by(role)
        network, examples = run.network(role), check.examples(run)
        return cls(run, role, network, examples, check.answers(_asking(run, network), examples))

    @property
    def predict(self) -> Predict:
        """From raw inputs to logits."""
        return _asking(self.run, self.network)


def _rounded(network: nn.Module) -> dict[str, Any]:
    """What a file says of a network that computes in integers whatever is written of it."""
    return {"quantization": "int8, static, per channel, as trained"} if isinstance(network, Int8) else {}


def _asking(run: Saved, network: nn.Module) -> Predict:
    def ask(raw: Tensor) -> Tensor:
        with torch.inference_mode():
            return network(run.normalization(raw))

    return ask


@dataclass(frozen=True)
class Wish:
    """How a file is to be.

    Attributes:
        int8: Whether it is quantised.
        inside: Whether the normalisation becomes part of it; of one that holds weights alone it never does.
        opset: Of ONNX; `None` for the exporter's choice.
        tolerance: How far logits may differ; `None` for 0.001, and for any distance in int8.
    """

    int8: bool = False
    inside: bool = True
    opset: int | None = None
    tolerance: float | None = None

    def for_network(self, network: nn.Module, role: str) -> Wish:
        """The wish with its tolerance settled.

        Raises:
            DistillError: The network is to become int8, and is it already.
        """
        if self.int8 and isinstance(network, Int8):
            raise DistillError(f"--quantize int8 is not allowed: {role} computes in int8 already; leave it out.")
        rounds = self.int8 or isinstance(network, Int8)  # where one rounds up and the other down, a step lies between
        return replace(self, tolerance=_TOLERANCE if self.tolerance is None and not rounds else self.tolerance)


@dataclass(frozen=True)
class Exported:
    """A file that passed its check.

    Attributes:
        path: Of the file.
        kind: Its format.
        sidecar: The JSON beside it.
        facts: What it says of itself.
        compared: What the check found.
        reopened: Reads it again, for as many threads as torch has then; it takes raw inputs.
    """

    path: Path
    kind: str
    sidecar: Path
    facts: dict[str, Any]
    compared: check.Compared
    reopened: Callable[[], Predict]


def write(origin: Origin, name: str, path: Path, wish: Wish) -> Exported:
    """Writes a network in one format.

    Args:
        origin: The network.
        name: Of the format.
        path: Where to.
        wish: How.

    Raises:
        DistillError: The network cannot be written in it, or the file failed its check and was not kept.
        OSError: The file cannot be written; its `filename` says which.
    """
    run, kind, code = origin.run, KINDS[name], find(name)
    inside = run.normalization if wish.inside and kind.graph else None

    def as_taken(raw: Tensor) -> Tensor:
        return raw if inside is not None else run.normalization(raw)

    def read(path: Path) -> Predict:
        predict = code.read(path, content)
        return lambda raw: predict(as_taken(raw))

    content = Content(
        origin.network,
        inside,
        as_taken(origin.examples.some[:2]).clone(),
        describe.facts(run, origin.role, kind.packages, inside) | _rounded(origin.network),
        wish.opset,
        (lambda: as_taken(origin.examples.to_calibrate(CALIBRATION))) if wish.int8 else None,
    )
    try:
        with replacing(path) as draft:
            draft.touch()  # whether one can write there is known before the work, and in the system's own words
            known = code.write(content, draft)
            compared = check.compare(read(draft), origin.examples, origin.answers, str(path), wish.tolerance)
    except (DistillError, OSError):
        raise
    except Exception as error:  # Exporters and runtimes have no error in common.
        raise DistillError(f"{origin.role} cannot be written as {name}: {first_line(error)}.") from error
    facts = content.facts | known
    sidecar = describe.write_sidecar(path, facts, name, compared, origin.examples)
    return Exported(path, name, sidecar, facts, compared, lambda: read(path))

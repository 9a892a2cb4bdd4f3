"""Asks the networks of a finished run what they know, on its own test examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distill.data import Dataset
from distill.errors import DistillError
from distill.experiments import answers
from distill.experiments.saved import Saved, open_run
from distill.methods import methods
from distill.results.inspection.answers import Answers
from distill.results.inspection.findings import Findings, find
from distill.results.inspection.plots import sheet_size
from distill.training import device as devices

_USUAL_T = 3.0
Pixels = dict[int, np.ndarray]


@dataclass(frozen=True)
class Asked:
    """What to look at.

    Attributes:
        path: The run.
        role: The network; `None` for the teacher.
        temperatures: To soften at; `None` for 1, the method's own (or 3) and 10.
        positions: Of test examples; `None` for telling ones.
        count: How many telling ones.
        device: Where to compute, as in `device=`.
    """

    path: Path
    role: str | None
    temperatures: Sequence[float] | None
    positions: Sequence[int] | None
    count: int
    device: str


def inspect(asked: Asked) -> tuple[Findings, Pixels]:
    """Looks at a network of a run.

    Args:
        asked: What to look at.

    Returns:
        What was found out, and the picture of each example to show by position, `[height, width, 3]` uint8; none
        where the inputs are no pictures.

    Raises:
        DistillError: The run, its data or an example is not there.
    """
    saved = open_run(asked.path)
    if saved.targets is not None:
        raise DistillError(
            f"{saved.folder} is a regression, whose networks answer numbers and no probabilities to look into; "
            "`distill eval` measures them, and `distill report` compares them."
        )
    role, other, remark = _networks(saved, asked.role)
    device = devices.resolve(asked.device)
    data = saved.data()
    _check(asked.positions, len(data.test))
    taught_at = _taught_at(saved)
    temperatures = asked.temperatures
    if temperatures is None:
        temperatures = sorted({1.0, taught_at or _USUAL_T, 10.0})
    found = find(
        str(asked.path if asked.path.is_dir() else saved.folder),
        data.name,
        data.classes,
        data.test.labels.cpu().numpy(),
        _answers(saved, role, data, device),
        None if other is None else _answers(saved, other, data, device),
        temperatures=temperatures,
        taught_at=taught_at,
        positions=asked.positions,
        count=asked.count,
        remark=remark
        if _are_pictures(data)
        else f"{remark} The inputs are no pictures, so that none are drawn.".strip(),
    )
    shown = [example.position for example in found.examples]
    if found.beside is not None:
        shown += found.beside.disagreements[: sheet_size()].tolist()
    return found, _pixels(data, shown)


def _networks(saved: Saved, wanted: str | None) -> tuple[str, str | None, str]:
    """The network to look at, the one beside it, and a remark where these are not the usual two."""
    wanted = wanted or saved.asked
    role = saved.role(wanted or ("teacher" if "teacher" in saved.nodes else None))
    # The pair that tells most comes first: what was taught beside what taught it.
    others = ("student", "baseline") if role == "teacher" else ("teacher", "student", "baseline")
    other = next((one for one in others if one in saved.nodes and one != role), None)
    method = saved.config.method.name
    if other is None:
        return role, None, f"The run left no weights of another network: there is nothing to compare the {role} with."
    if "teacher" in (role, other):
        untaught = "baseline" in (role, other) and "student" not in saved.nodes
        remark = f"The run left no distilled student (method={method}): the baseline learned from labels alone."
        return role, other, remark if untaught else ""
    uses = methods.find(method).factory.uses_teacher
    why = "the run left no weights of its teacher" if uses else f"method={method} trains no teacher"
    return role, other, f"There is no teacher to look at, as {why}: these are the {role} and the {other}."


def _taught_at(saved: Saved) -> float | None:
    found = getattr(saved.config.method, "T", None)
    return None if found is None else float(found)


def _check(positions: Sequence[int] | None, examples: int) -> None:
    outside = [position for position in positions or [] if position >= examples]
    if outside:
        raise DistillError(
            f"--index {outside[0]} is not allowed: the test set has {examples:,} examples, 0 to {examples - 1}."
        )


def _answers(saved: Saved, role: str, data: Dataset, device: torch.device) -> Answers:
    logits = answers.of_run(saved, role, data, "test", device)
    return Answers(role, saved.nodes[role].label(), logits.numpy())


def _are_pictures(data: Dataset) -> bool:
    return len(data.input_shape) == 3 and data.input_shape[0] in (1, 3)


def _pixels(data: Dataset, positions: Sequence[int]) -> Pixels:
    if not _are_pictures(data) or not positions:
        return {}
    chosen = sorted(set(positions))
    inputs = data.test.inputs[torch.tensor(chosen)]
    return {position: _picture(raw, data.maximum) for position, raw in zip(chosen, inputs, strict=True)}


def _picture(raw: Tensor, maximum: float) -> np.ndarray:
    """`[height, width, 3]` uint8 of `[1 or 3, height, width]`; floats of unknown range are stretched to theirs."""
    values = raw.double()
    if raw.is_floating_point():
        values = values - values.min()
        maximum = float(values.max()) or 1.0
    pixels = (values / maximum * 255).round().clamp(0, 255).byte()
    return pixels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()

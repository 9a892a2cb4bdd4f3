"""What networks answered to the examples of a split, kept beside them in the store; what is not there is asked anew."""

from __future__ import annotations

import csv
import filecmp
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from distill.config.dataset_options import DatasetOptions
from distill.data import Batches, Dataset
from distill.data.memory import place
from distill.data.variants import variant
from distill.errors import DistillError
from distill.experiments.assembly import EVALUATION_BATCH
from distill.experiments.saved import Saved
from distill.experiments.store import WEIGHTS
from distill.files import write_bytes
from distill.methods.nodes import WHOLE
from distill.training import evaluate
from distill.training.device import describe
from distill.training.precision import Precision

# The options of the data that choose the examples of a split; all else that matters to answers is in a signature.
_CHOOSING = {
    "test": ("seed", "limit_test"),
    "val": ("seed", "val_fraction"),
    "transfer": ("seed", "val_fraction", "limit_train", "label_noise", "classes", "omit_classes", "limit_transfer"),
}
# Likewise, of the transfer set, where they are given.
_CHOOSING_IF_GIVEN = ("imbalance", "labelled")
_NUMBERS_IN_FULL = 1 << 24  # more of them are kept in half precision
_LEAST_HALF = -60000.0


@dataclass(frozen=True)
class Question:
    """Which examples a network is asked, and how it computes its answers.

    Attributes:
        split: `test`, `val` or `transfer`.
        fingerprint: Of the data set.
        options: What is done to the data set.
        device: As `device.describe` has it; another one rounds differently.
        precision: Of the forward pass.
        limit: How many of the transfer set a student of these hparams sees; `None` for all.
        most: How many examples are asked at most, evenly spread; `None` for all.
        sees: The variant of the data set that they are of.
    """

    split: str
    fingerprint: str
    options: DatasetOptions
    device: str
    precision: str
    limit: int | None = None
    most: int | None = None
    sees: str = WHOLE

    @property
    def file(self) -> str:
        """Name of the file of the answers."""
        chosen = {name: getattr(self.options, name) for name in _CHOOSING[self.split]}
        if self.split == "transfer":
            given = {name: getattr(self.options, name) for name in _CHOOSING_IF_GIVEN}
            chosen |= {name: value for name, value in given.items() if value is not None}
            if self.sees != WHOLE:
                chosen["sees"] = self.sees
        parts = [self.split, self.fingerprint, chosen, self.device, self.precision, self.limit, self.most]
        return f"answers-{hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]}.safetensors"


def recall(path: Path, shape: tuple[int, int], ask: Callable[[], Tensor]) -> Tensor:
    """The answers as they were kept, or else given now and kept.

    Args:
        path: `Question.file` in the folder of a stored network.
        shape: `(examples, classes)`.
        ask: Gives the logits.

    Returns:
        `[examples, classes]` logits, fp32, on the CPU, the same at every later call.
    """
    kept = _read(path, shape)
    return keep(path, ask()) if kept is None else kept


def keep(path: Path, logits: Tensor) -> Tensor:
    """Keeps answers, if that is possible: nobody depends on it.

    Args:
        path: As for `recall`; where its folder is gone, nothing is written.
        logits: `[examples, classes]`.

    Returns:
        The answers as `recall` will give them.
    """
    logits = logits.cpu().float().contiguous()
    if logits.numel() > _NUMBERS_IN_FULL:
        # A softmax does not see the shift, and the numbers that matter are then those that half precision tells best.
        logits = (logits - logits.amax(dim=1, keepdim=True)).clamp(min=_LEAST_HALF).half()
    content = safetensors.torch.save({"logits": logits}, metadata={"sha256": _digest(logits)})
    if path.parent.is_dir():
        with suppress(OSError):
            write_bytes(path, content, lasting=False)
    return logits.float()


def _read(path: Path, shape: tuple[int, int]) -> Tensor | None:
    try:
        with safe_open(path, "pt") as file:
            logits, digest = file.get_tensor("logits"), file.metadata()["sha256"]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
    whole = tuple(logits.shape) == shape and _digest(logits) == digest
    return logits.float() if whole else None


def _digest(logits: Tensor) -> str:
    return hashlib.sha256(logits.contiguous().numpy()).hexdigest()  # type: ignore[arg-type]  # a buffer


def of_run(saved: Saved, role: str, data: Dataset, split: str = "test", device: torch.device | str = "cpu") -> Tensor:
    """What a network of a finished run answers, from the store where that still has it.

    Args:
        saved: The run.
        role: Of the network.
        data: The run's own data.
        split: `test` or `val`.
        device: Where to compute what is not known.

    Returns:
        `[examples, classes]` logits, fp32, on the CPU, in the order of the split.

    Raises:
        DistillError: There is no such split, or the network cannot be opened.
    """
    saved = saved.seen_by(role)
    if saved.seen != WHOLE:
        data = variant(data, saved.config.dataset, saved.seen)
    examples = {"test": data.test, "val": data.val}[split]
    if examples is None:
        raise DistillError(f"{saved.folder} holds no validation examples: it was trained with dataset.val_fraction=0.")
    device = torch.device(device)
    known = _row(saved.folder / "results.csv", role)
    precision = Precision(known.get("precision") or "fp32", device)
    question = Question(split, data.fingerprint, saved.config.dataset, describe(device), precision.name)
    kept_as = saved.nodes[role].kept_as
    stored = Path(saved.facts["directory"]) / saved.config.store.dir / f"{kept_as}-{known.get('signature')}"

    def ask() -> Tensor:
        placed, _ = place(examples, device)
        batches = Batches(placed, EVALUATION_BATCH, saved.normalization, data.augment, 0, device)
        return evaluate.logits(saved.network(role, device), batches.in_order(), precision)[0].cpu()

    if not _is_kept(saved.weights(role), stored):
        return ask()
    return recall(stored / question.file, (len(examples), data.class_count), ask)


def _is_kept(weights: Path, stored: Path) -> bool:
    """Whether the store has these very weights: since the run, a network of the same signature may have been trained
    anew, as `store.reuse=false` does it."""
    with suppress(OSError):
        return filecmp.cmp(weights, stored / WEIGHTS)
    return False


def _row(path: Path, role: str) -> dict[str, str]:
    with suppress(OSError, csv.Error), path.open(encoding="utf-8", newline="") as file:
        return next((row for row in csv.DictReader(file) if row.get("role") == role), {})
    return {}

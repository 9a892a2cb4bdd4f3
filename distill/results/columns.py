"""The columns of `results.csv`: what each means, its unit, and how its values are shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Column:
    """One column of `results.csv`.

    Attributes:
        name: As in the header of the file.
        meaning: One line for a reader of the table.
        kind: What its cells hold.
        unit: Of the values *shown*; empty when they have none, or carry it themselves (`468 KB`).
        digits: Decimals shown.
        scale: Value shown / value stored; 100 for shares shown in %.
        title: Heading where it is shown; the name when empty.
    """

    name: str
    meaning: str
    kind: Literal["text", "integer", "number", "flag"] = "text"
    unit: str = ""
    digits: int = 0
    scale: float = 1.0
    title: str = ""

    @property
    def heading(self) -> str:
        """Title without unit."""
        return self.title or self.name


COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        Column("run", "folder of the run"),
        Column("role", "what the network is for: teacher, baseline, student"),
        Column("model", "the network"),
        Column("dataset", "the data set"),
        Column("method", "what the student learned from"),
        Column("T", "temperature of the soft targets", "number", digits=6),
        Column("alpha", "weight of the soft term, 0..1", "number", digits=6),
        Column("seed", "seed of everything random in the run", "integer"),
        Column("status", "finished, failed, interrupted or running"),
        Column("params", "parameters of the network, trainable or not", "integer"),
        Column("adapters", "parameters the method trained beside the network, which are not exported", "integer"),
        Column("compression", "the teacher's parameters / this network's", "number", "x", 2),
        Column("size_mb", "size of the weights, 1 MB = 10^6 bytes", "number", digits=3, title="size"),
        Column("flops", "floating-point operations of a forward pass of one example", "integer", title="FLOPs"),
        Column("latency_ms", "median time of a forward pass of one example", "number", "ms", 3, title="latency"),
        Column(
            "latency_p99_ms",
            "time that 99 % of the forward passes of one example stay below",
            "number",
            "ms",
            3,
            title="latency p99",
        ),
        Column("throughput", "examples per second, one at a time", "number", "examples/s", 0, title="one by one"),
        Column(
            "latency_batch_ms",
            "median time of a forward pass of `batch` examples",
            "number",
            "ms",
            3,
            title="batch latency",
        ),
        Column(
            "latency_batch_p99_ms",
            "time that 99 % of the forward passes of `batch` examples stay below",
            "number",
            "ms",
            3,
            title="batch latency p99",
        ),
        Column(
            "throughput_batch",
            "examples per second in batches of `batch`",
            "number",
            "examples/s",
            0,
            title="throughput",
        ),
        Column("batch", "examples in the batch of `latency_batch_ms`", "integer"),
        Column("accuracy", "share of the test examples classified right", "number", "%", 2, 100.0),
        Column(
            "top5",
            "share of the test examples with the right class among the first five",
            "number",
            "%",
            2,
            100.0,
        ),
        Column("errors", "test examples classified wrong", "integer"),
        Column(
            "accuracy_prior",
            "accuracy once the classes it never saw are predicted as often as the teacher's labels have them",
            "number",
            "%",
            2,
            100.0,
        ),
        Column(
            "shift_prior", "what their logits are raised by for that; no test label is looked at", "number", digits=2
        ),
        Column("accuracy_oracle", "accuracy with the shift that is best on the test labels", "number", "%", 2, 100.0),
        Column("shift_oracle", "that shift", "number", digits=2),
        Column(
            "accuracy_head",
            "mean accuracy of the classes in the third with the most training examples",
            "number",
            "%",
            2,
            100.0,
            "head",
        ),
        Column("accuracy_mid", "likewise, the middle third", "number", "%", 2, 100.0, "mid"),
        Column("accuracy_tail", "likewise, the third with the fewest", "number", "%", 2, 100.0, "tail"),
        Column(
            "forgetting",
            "mean loss of accuracy on earlier tasks since each of them was learned",
            "number",
            "points",
            2,
        ),
        Column("val_accuracy", "share of the validation examples classified right", "number", "%", 2, 100.0),
        Column(
            "r2",
            "share of the variance of the test targets that its answers explain, mean over targets; 0 for their mean",
            "number",
            "%",
            2,
            100.0,
            "R2",
        ),
        Column(
            "rmse",
            "root of the mean squared error on test, in the targets' own unit; mean over targets",
            "number",
            digits=4,
            title="RMSE",
        ),
        Column("val_r2", "the same share on the validation examples", "number", "%", 2, 100.0, "val R2"),
        Column("val_rmse", "root of the mean squared error on them", "number", digits=4, title="val RMSE"),
        Column("nll", "mean negative log-likelihood of the test labels", "number", "nats", 4, title="NLL"),
        Column("brier", "Brier score: mean squared distance of probabilities and label, 0..2", "number", digits=4),
        Column("ece", "expected calibration error, 15 bins", "number", "%", 2, 100.0, "ECE"),
        Column(
            "ece_scaled",
            "the same after logits were divided by `temperature`",
            "number",
            "%",
            2,
            100.0,
            "ECE scaled",
        ),
        Column(
            "temperature",
            "with which the validation examples are most likely; nothing to do with T",
            "number",
            digits=2,
        ),
        Column(
            "agreement",
            "share of the test examples on which it says what the teacher says",
            "number",
            "%",
            2,
            100.0,
        ),
        Column("kl", "mean KL divergence from the teacher's probabilities on test", "number", "nats", 4, title="KL"),
        Column(
            "agreement_wrong",
            "agreement on those test examples that the teacher gets wrong",
            "number",
            "%",
            2,
            100.0,
            "agreement on errors",
        ),
        Column("train_agreement", "agreement on examples that it learned from", "number", "%", 2, 100.0),
        Column("train_kl", "mean KL divergence from the teacher's there", "number", "nats", 4, title="train KL"),
        Column(
            "train_agreement_wrong",
            "agreement there where the teacher contradicts the label, which dataset.label_noise may have falsified",
            "number",
            "%",
            2,
            100.0,
        ),
        Column("gain", "accuracy (R2 of a regression) minus the baseline's", "number", "points", 2),
        Column("recovered", "(student - baseline) / (teacher - baseline), likewise", "number", "%", 0, 100.0),
        Column("epochs", "epochs trained", "integer"),
        Column(
            "epoch", "whose weights these are: the last one, or that which did best on validation examples", "integer"
        ),
        Column("seconds", "time it was trained for", "number", "s", 1, title="trained in"),
        Column(
            "memory_mb",
            "peak memory of training: of the GPU, or of the process on a CPU",
            "number",
            "MB",
            0,
            title="memory",
        ),
        Column("energy_wh", "energy of training, where the machine counts it", "number", "Wh", 3, title="energy"),
        Column("precision", "number format of the forward pass: fp32, bf16 or fp16"),
        Column("device", "what it was measured on"),
        Column("reused", "taken from the store instead of trained anew", "flag"),
        Column("signature", "hash of everything that determines the weights"),
        Column("error", "why it did not finish"),
    )
}


def missing(value: Any) -> bool:
    """Whether a cell is empty."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def shown(name: str, value: Any) -> str:
    """A cell as people read it, without the column's unit; nothing for an empty one.

    Args:
        name: The column; one that is not in `COLUMNS` is a key that was overridden.
        value: As stored.
    """
    if missing(value):
        return ""
    column = COLUMNS.get(name)
    if column is None:
        return _short(str(value))
    if column.kind == "text":
        return str(value)
    if column.kind == "flag":
        return "yes" if value else "no"
    if name == "size_mb":
        return size(float(value))
    if name in ("T", "alpha"):
        return f"{float(value):g}"
    number = float(value) * column.scale
    if name == "seed":
        return f"{number:.0f}"
    return decimal(number, column.digits, sign=name == "gain")


def decimal(number: float, digits: int, *, sign: bool = False) -> str:
    """`1,234.50`, as Python rounds; one with more digits than it was stored with is `1e+20`.

    Args:
        number: In the unit it is shown in.
        digits: Decimals.
        sign: Whether a positive one carries a plus.
    """
    plus = "+" if sign else ""
    return f"{number:{plus}.4g}" if abs(number) >= 10.0 ** (15 - digits) else f"{number:{plus},.{digits}f}"


def _short(text: str) -> str:
    """An overridden value; a number that a search proposed has more digits than anybody reads."""
    try:
        return f"{float(text):.4g}" if "." in text and len(text) > 10 else text
    except ValueError:
        return text


def size(megabytes: float) -> str:
    """`468 KB`, `6.2 MB`; 1 KB = 1000 bytes."""
    if megabytes < 0.9995:
        kilobytes = megabytes * 1000
        return f"{kilobytes:.0f} KB" if kilobytes >= 9.95 else f"{kilobytes:.1f} KB"
    return f"{megabytes:,.1f} MB"


def trained_in(seconds: Any, reused: Any) -> str:
    """`12.3 s`, or `reused` for a network that came from the store."""
    if not missing(reused) and bool(reused):
        return "reused"
    return "" if missing(seconds) else f"{float(seconds):,.1f} s"

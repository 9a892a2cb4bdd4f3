"""An int8 student: Mishra, Marr 2018, "Apprentice: Using Knowledge Distillation Techniques To Improve Low-Precision".

https://arxiv.org/abs/1711.05852, section 5.3, scheme C: a student that has learned from the teacher in full precision
is trained on, by the same teacher, with weights and activations rounded. How long, and how fast it learns then, is not
theirs but NVIDIA's (pytorch-quantization, and Wu et al. 2020, https://arxiv.org/abs/2004.09602): a tenth of the epochs,
a hundredth of the learning rate, and a cosine from there to a hundredth of that.

Unlike theirs, first and last layer are quantised as well, and scales follow the largest values that were seen. The
learning rate falls along a cosine whatever the student's schedule was, without warm-up or average of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, cast

from annotated_types import Ge, Le
from pydantic import Strict
from torch import Tensor, distributed, nn

from distill.config.options import Fraction, Options, Positive
from distill.config.schema import Hparams
from distill.errors import ConfigError
from distill.methods.base import Method, methods
from distill.methods.bases import base_options
from distill.models.quantized import FakeQuantized, calibrated, check_followed, check_installed
from distill.models.taps import NOTHING, Tapped, Taps
from distill.types import Batch, Output

if TYPE_CHECKING:
    from distill.methods.nodes import Cast, Node

_CALIBRATION = 512  # examples that set the scales where nothing is trained
_LAST_LR = 0.01  # of the first

Bits = Annotated[int, Strict(), Ge(2), Le(8)]


@dataclass(frozen=True, kw_only=True)
class QatOptions(Options):
    """Options of `qat`.

    Attributes:
        base: The method of both trainings.
        T: Temperature, for a base that has one.
        alpha: Weight of the soft term, likewise.
        options: Further options of the base.
        bits: Of the weights.
        share: Of the student's epochs, for training with rounding; 0 rounds after training.
        lr: Learning rate at its start, as a share of the student's.
    """

    name: str = "qat"
    base: str = "hinton"
    T: Positive = 4.0
    alpha: Fraction = 0.9
    options: dict[str, Any] | None = None
    bits: Bits = 8
    share: Fraction = 0.1
    lr: Positive = 0.01

    @property
    def taught(self) -> Options:
        """The options of the base.

        Raises:
            ConfigError: It is no method by which one teacher teaches one student, or reads more than logits.
        """
        options = base_options("qat", self.base, self.options or {}, T=self.T, alpha=self.alpha)
        method = methods.find(self.base).factory(options)
        if method.taps or method.redesigns():
            raise ConfigError(
                f"method.base={self.base} is not allowed with method=qat: a student that computes in int8 has nothing "
                "to read but its logits; choose a method on logits, such as hinton, dkd or dist."
            )
        return options


@dataclass(frozen=True, kw_only=True)
class FineTuning(Hparams):
    """How a network that is trained already is trained on.

    Attributes:
        share: Of the epochs, at least one of them; 0 trains none.
    """

    share: Fraction = 1.0

    def resolved(self, steps: int) -> FineTuning:
        """The same with its number of epochs."""
        epochs = round(self.share * super().resolved(steps).epoch_count)
        return replace(self, epochs=max(1, epochs) if self.share else 0, share=float(self.share > 0))

    def check(self) -> Iterable[str]:
        """Nothing is wrong with a training that is none."""
        return super().check() if self.share else ()


@methods.register("qat", QatOptions)
class Qat(Method):
    """The base's loss, for a student that rounds as if it computed in integers, and then does."""

    options: QatOptions

    def __init__(self, options: QatOptions):
        super().__init__(options)
        taught = options.taught
        self.base = cast(Method, methods.find(taught.name).factory(taught))
        self.strong, self.smallest_batch = self.base.strong, self.base.smallest_batch

    @classmethod
    def plan(cls, options: QatOptions, cast: Cast) -> list[Node]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Teacher, baseline, the student in fp32, rounded after training, and trained with rounding.

        Raises:
            ConfigError: The base does not fit, or torchao is not there.
        """
        check_installed()
        whole = replace(cast.student, role="float", method=options.taught, parents=(cast.teacher.role,))
        student = replace(
            cast.student,
            parents=(cast.teacher.role,) if options.share else (),
            start=whole.role,
            hparams=_fine_tuning(cast.student.hparams, options.share, options.lr),
        )
        nodes = [cast.teacher, cast.baseline, whole]
        if options.share:
            rounded = replace(options, share=0.0)
            hparams = _fine_tuning(cast.student.hparams, 0.0, options.lr)
            nodes.append(replace(student, role="ptq", method=rounded, parents=(), hparams=hparams))
        return [*nodes, student]

    def redesign(
        self, student: nn.Module, taps: Taps, teacher: nn.Module | None, teacher_taps: Taps, example: Batch
    ) -> tuple[nn.Module, Taps]:
        """The student with its numbers rounded; itself where nothing is trained.

        Raises:
            ConfigError: It cannot be followed, is not on the CPU, or several processes train together.
        """
        if distributed.is_available() and distributed.is_initialized():
            raise ConfigError("method=qat trains in one process: start it without torchrun.")
        inputs = example.inputs
        if inputs.device.type != "cpu":
            raise ConfigError(
                f"method=qat makes networks for CPUs (torchao's quantiser for x86), and trains them there: give "
                f"device=cpu instead of {inputs.device.type}."
            )
        if len(inputs) < 2:
            inputs = inputs.expand(2, *inputs.shape[1:])
        if self.options.share:
            return FakeQuantized(student, inputs, self.options.bits), NOTHING
        check_followed(student, inputs)
        return student, NOTHING

    def finish(self, network: nn.Module, seen: Callable[[int], Tensor]) -> nn.Module:
        """The network in integers."""
        if isinstance(network, FakeQuantized):
            return network.converted(seen(2))
        return calibrated(network, seen(_CALIBRATION), self.options.bits)

    def build(self, student: Tapped, teacher: Tapped, example: Batch, labels: Tensor) -> None:
        """Builds the base, where there is anything to train."""
        if self.options.share:
            self.base.build(student, teacher, example, labels)

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Starts it in the base."""
        super().start_epoch(epoch, epochs)
        self.base.label_smoothing, self.base.hard_labels = self.label_smoothing, self.hard_labels
        self.base.start_epoch(epoch, epochs)

    @property
    def changes(self) -> bool:
        """Whether the base does."""
        return self.base.changes

    @property
    def reads_teacher(self) -> bool:
        """Whether the base does."""
        return self.base.reads_teacher

    def observed(self) -> dict[str, Tensor]:
        """What the base observed."""
        return self.base.observed()

    def forward(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms of the base."""
        return self.base(student, teacher, batch)


def _fine_tuning(hparams: Hparams, share: float, lr: float) -> FineTuning:
    return FineTuning(
        **{
            **vars(hparams),
            "lr": lr * hparams.lr,
            "schedule": "cosine",
            "min_lr": _LAST_LR * lr * hparams.lr,
            "warmup_epochs": 0.0,
            "ema": 0.0,
            "precision": "fp32",
        },
        share=share,
    )

"""Options that work on every data set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from distill.config.options import BelowOne, Count, Fraction, Natural, Options, Real


@dataclass(frozen=True, kw_only=True)
class DatasetOptions(Options):
    """Base of every data set's options.

    Attributes:
        val_fraction: Share of the training examples held out for validation, stratified by class, 0 to <1.
        limit_train: Keep at most this many training examples, stratified; `None` keeps all.
        limit_transfer: Of those, let baseline and student see at most this many, stratified; `None` shows all.
        limit_test: Measure on at most this many test examples, stratified; `None` takes all.
        classes: Class numbers that the transfer set (what baseline and student train on) keeps; `None`
            keeps all. Teacher and test set are not touched.
        omit_classes: Class numbers that the transfer set lacks.
        label_noise: Share of the training labels replaced by a different class, drawn uniformly, 0..1.
        augment: `none`; `jitter` shifts each picture by up to `jitter` pixels; `crop_flip` pads, crops at
            random and flips half of the pictures.
        jitter: Largest shift of `jitter`, pixels, per axis.
        padding: Padding of `crop_flip`, pixels.
        normalize: `data` takes mean and standard deviation from the training examples, per channel of
            pictures and over all values of other arrays; `none` leaves pictures in 0..1 and arrays as they
            are; `given` uses `mean` and `std`.
        mean: Mean per channel, in units of the scaled inputs (pictures: 0..1); for `given`.
        std: Standard deviation per channel, likewise.
        seed: Seed of everything random about the data itself (split, limit, noise, generation), so that
            runs of different seeds see the same examples.
    """

    val_fraction: BelowOne = 0.0
    limit_train: Count | None = None
    limit_transfer: Count | None = None
    limit_test: Count | None = None
    classes: list[Natural] | None = None
    omit_classes: list[Natural] = field(default_factory=list)
    label_noise: Fraction = 0.0
    augment: Literal["none", "jitter", "crop_flip"] = "none"
    jitter: Count = 2
    padding: Count = 4
    normalize: Literal["data", "none", "given"] = "data"
    mean: list[Real] | None = None
    std: list[Real] | None = None
    seed: Natural = 0

    def check(self) -> Iterable[str]:
        """Sentences about options that do not fit each other; `normalize` needs `mean` and `std`."""
        for key in ("mean", "std"):
            values = getattr(self, key)
            if self.normalize == "given" and not values:
                yield f"{key}={_shown(values)} is not allowed: give a list with a number per channel."
            if self.normalize != "given" and values is not None:
                yield f"{key}={values} is not allowed: without normalize=given it has no effect; add that."
        if self.std is not None and any(value <= 0 for value in self.std):
            yield f"std={self.std} is not allowed: every standard deviation must be greater than 0."
        if self.classes == []:
            yield "classes=[] is not allowed: the student would learn from nothing; give null to keep all."


def _shown(value: object) -> str:
    return "null" if value is None else str(value)

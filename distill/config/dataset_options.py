"""Options that work on every data set."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from distill.config.options import AtLeastOne, BelowOne, Count, Fraction, Natural, NonNegative, Options, Real

Augment = Literal["none", "jitter", "crop_flip"]


@dataclass(frozen=True, kw_only=True)
class DatasetOptions(Options):
    """Base of every data set's options.

    Attributes:
        val_fraction: Share of the training examples held out for validation, stratified by class, 0 to <1.
        imbalance: Makes of the training examples a long tail, in which the first class has this many times the examples
            of the last and each has a fixed share of those of the class before; 1 makes all equal, `None` leaves them
            as they are. Test and validation examples stay.
        limit_train: Keep at most this many training examples, stratified; `None` keeps all.
        labelled: Of those, so many keep their label, stratified: teacher and baseline learn from them, and what methods
            see of the others is no more than the inputs; `None` hides no label.
        limit_transfer: Of those, let baseline and student see at most this many, stratified; `None` shows all.
        limit_test: Measure on at most this many test examples, stratified; `None` takes all.
        classes: Class numbers that the transfer set (what baseline and student train on) keeps; `None`
            keeps all. Teacher and test set are not touched.
        omit_classes: Class numbers that the transfer set lacks.
        label_noise: Share of the training labels replaced by a different class, drawn uniformly, 0..1.
        augment: `none`; `jitter` shifts each picture by up to `jitter` pixels; `crop_flip` pads, crops at
            random and flips half of the pictures.
        transfer_augment: The same for baseline and student alone; `None` does with them what `augment` says.
        jitter: Largest shift of `jitter`, pixels, per axis.
        padding: Padding of `crop_flip`, pixels.
        cutout: Side of a square that is set to the mean of its channel, pixels; 0 is off. Its middle is
            uniform over the picture, so that it may hang over the edge (DeVries, Taylor 2017).
        mixup: `alpha` of Beta(alpha, alpha), from which each batch draws how much of its examples stays their
            own when they are blended with others of the batch; 0 is off (Zhang et al. 2018).
        transfer_mixup: The same for baseline and student alone; `None` does with them what `mixup` says.
        cutmix: Likewise, for a box that comes from another picture of the batch (Yun et al. 2019). With both
            on, each batch draws one of them.
        tasks: Classes that come one after the other, for `method=lwf`: ranges such as `0-4`, numbers, or lists of
            numbers; `None` shows all at once.
        student_view: What baseline, student and all networks between see of each picture, while they learn and when
            they are measured: `downsample7` (of 7x7 pixels), `crop14` (the middle 14x14), `gray`, `edges` or
            `channels1` (the last channel, such as another modality); the teacher sees all of it. `None` shows all.
        views: How many fixed views each example has: epoch e shows view e mod `views`, with the same pixels
            whenever it comes back; `None` draws anew in each epoch.
        normalize: `data` takes mean and standard deviation from the training examples, per channel of
            pictures and over all values of other arrays; `none` leaves pictures in 0..1 and arrays as they
            are; `given` uses `mean` and `std`.
        mean: Mean per channel, in units of the scaled inputs (pictures: 0..1); for `given`.
        std: Standard deviation per channel, likewise.
        seed: Seed of everything random about the data itself (split, limit, noise, generation), so that
            runs of different seeds see the same examples.
    """

    val_fraction: BelowOne = 0.0
    imbalance: AtLeastOne | None = None
    limit_train: Count | None = None
    labelled: Count | None = None
    limit_transfer: Count | None = None
    limit_test: Count | None = None
    classes: list[Natural] | None = None
    omit_classes: list[Natural] = field(default_factory=list)
    label_noise: Fraction = 0.0
    augment: Augment = "none"
    transfer_augment: Augment | None = None
    jitter: Count = 2
    padding: Count = 4
    cutout: Natural = 0
    mixup: NonNegative = 0.0
    transfer_mixup: NonNegative | None = None
    cutmix: NonNegative = 0.0
    tasks: list[str | int | list[int]] | None = None
    student_view: str | None = None
    views: Count | None = None
    normalize: Literal["data", "none", "given"] = "data"
    mean: list[Real] | None = None
    std: list[Real] | None = None
    seed: Natural = 0

    @property
    def regression(self) -> bool:
        """Whether what is to be learned are numbers instead of classes."""
        return False

    @property
    def student_augment(self) -> Augment:
        """What is done to the examples of baseline and student."""
        return self.augment if self.transfer_augment is None else self.transfer_augment

    @property
    def student_mixup(self) -> float:
        """How much the examples of baseline and student are blended."""
        return self.mixup if self.transfer_mixup is None else self.transfer_mixup

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
        for key, off in (("classes", None), ("omit_classes", []), ("student_view", None)):
            if self.labelled is not None and getattr(self, key) != off:
                yield f"labelled={self.labelled} is not allowed with {key}={getattr(self, key)}: give one of them."
        if self.views is not None:
            yield from self._check_views(self.views)
        if self.tasks is not None:
            yield from self._check_tasks()
        if self.student_view is not None:
            for key in ("mixup", "transfer_mixup", "cutmix", "cutout"):
                if getattr(self, key):
                    given = f"{key}={getattr(self, key):g}"
                    yield f"{given} is not allowed with student_view={self.student_view}: leave it out."
        if self.regression:
            yield from self._check_classless()

    @property
    def task_classes(self) -> list[list[int]]:
        """The class numbers of each task; none where there are no tasks."""
        return [_numbers(task) or [] for task in self.tasks or []]

    def _check_tasks(self) -> Iterable[str]:
        given = f"tasks={self.tasks}".replace("'", "").replace(" ", "")
        numbers = [number for task in self.task_classes for number in task]
        if any(_numbers(task) is None for task in self.tasks or []):
            yield f"{given} is not allowed: a task is a range such as 0-4, a class number, or a list of them."
        elif len(self.task_classes) < 2:
            yield f"{given} is not allowed: give two tasks at least, such as [0-4,5-9]."
        elif len(set(numbers)) < len(numbers):
            yield f"{given} is not allowed: a class is in two tasks."

    def _check_classless(self) -> Iterable[str]:
        """What is about classes, in a regression."""
        for key, off in (
            ("classes", None),
            ("omit_classes", []),
            ("label_noise", 0.0),
            ("imbalance", None),
            ("labelled", None),
            ("tasks", None),
        ):
            if getattr(self, key) != off:
                yield (
                    f"{key}={getattr(self, key)} is not allowed: {self.name} has real-valued targets, and no classes; "
                    "leave it out."
                )

    def _check_views(self, views: int) -> Iterable[str]:
        for key in ("mixup", "transfer_mixup", "cutmix"):
            if getattr(self, key):
                yield (
                    f"views={views} is not allowed with {key}={getattr(self, key):g}: other examples are mixed in "
                    f"each epoch, so no view comes back; give views=null or {key}=0."
                )
        if self.augment == self.student_augment == "none" and self.cutout == 0:
            yield (
                f"views={views} is not allowed: without augment or cutout all views of an example are the same; "
                "give views=null, or one of them."
            )


def _numbers(task: str | int | list[int]) -> list[int] | None:
    """The class numbers of a task as it is written; `None` for what is none."""
    if not isinstance(task, str):
        return [task] if isinstance(task, int) else task or None
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", task.strip())
    if match is None:
        return None
    first, last = int(match[1]), int(match[2] or match[1])
    return list(range(first, last + 1)) or None


def _shown(value: object) -> str:
    return "null" if value is None else str(value)

"""A data set ready to learn from: a source with the options that work on every one applied to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from distill.config.dataset_options import DatasetOptions
from distill.data.augment import Augmentation, augmentation
from distill.data.labelled import hide, labelled, shown
from distill.data.long_tail import long_tail
from distill.data.normalization import Normalization, normalization
from distill.data.source import Source
from distill.data.sources import datasets
from distill.data.split import Split
from distill.data.stratify import divide, limit
from distill.data.targets import Targets
from distill.errors import ConfigError, DataError
from distill.seeds import generator

if TYPE_CHECKING:
    from distill.data.views import View


@dataclass(frozen=True)
class Dataset:
    """What teacher, baseline and student learn from, and are measured on.

    Attributes:
        name: As in `dataset=<name>`.
        train: What the teacher learns from.
        transfer: What baseline and student learn from: `train`, without what they must not see.
        val: Held out of the training examples, or `None`; its labels are free of label noise.
        test: Only ever measured on.
        classes: Name of each class; none of a regression.
        normalization: From raw inputs to a network's inputs.
        augment: Random changes while the teacher learns.
        transfer_augment: Likewise, baseline and student.
        fingerprint: SHA-256 of what was loaded, before any option was applied.
        maximum: The value of white in uint8 pictures.
        targets: What a regression is about; `None` where labels are class numbers.
        tasks: Class numbers of the tasks that came so far, one after the other; none where there are no tasks.
        view: What a network is shown of the training examples; `None` shows them whole.
        pool: Where labels are hidden: labelled examples and others, all that a student may see.
        generated: Whether `train` and `transfer` only stand in for examples that a method makes itself.
    """

    name: str
    train: Split
    transfer: Split
    val: Split | None
    test: Split
    classes: tuple[str, ...]
    normalization: Normalization
    augment: Augmentation
    transfer_augment: Augmentation
    fingerprint: str
    maximum: float = 255.0
    targets: Targets | None = None
    tasks: tuple[tuple[int, ...], ...] = ()
    view: View | None = None
    pool: Split | None = None
    generated: bool = False

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example: `(channels, height, width)` for pictures."""
        return tuple(self.train.inputs.shape[1:]) if self.view is None else self.view.shape

    @property
    def class_count(self) -> int:
        """How many classes there are, or targets: how many numbers a network answers."""
        return len(self.classes) if self.targets is None else len(self.targets.names)

    def on_scale_of(self, targets: Targets) -> Dataset:
        """The same regression with its targets as networks know them that learned from other training examples."""
        known = self.targets
        assert known is not None, "classes have no scale"

        def rescaled(split: Split) -> Split:
            return Split(split.inputs, targets.learned(known.own(split.labels)))

        splits = {"train": self.train, "transfer": self.transfer, "test": self.test}
        val = None if self.val is None else rescaled(self.val)
        return replace(self, **{name: rescaled(split) for name, split in splits.items()}, val=val, targets=targets)


def load(options: DatasetOptions) -> Dataset:
    """Loads the data set called `options.name` and applies the options that work on every one.

    In this order: hold out validation examples, make a long tail, limit, label noise, hide labels, leave classes out
    of the transfer set.

    Raises:
        ConfigError: An option does not fit this data set.
        DataError: The data are missing, unreadable or not what they should be.
    """
    source: Source = datasets.find(options.name).factory(options)
    source.check(f"dataset={options.name}")
    if source.targets:
        return _regression(options, source)
    allowed = _allowed_classes(options, len(source.classes))
    train, val = _hold_out(options, Split(source.train_inputs, source.train_labels))
    if options.imbalance is not None:
        train = long_tail(train, len(source.classes), options.imbalance, options.seed)
    if options.limit_train is not None:
        train = limit(train, options.limit_train, options.seed)
    clean = train.labels
    train = Split(train.inputs, _with_noise(options, clean, len(source.classes)))
    pool = None
    if options.labelled is not None:
        pool = shown(hide(train, clean, options), options)
        train = labelled(pool)
        clean = train.labels
    # Judged by the true and by the noisy label: neither the pictures nor the name of a class left out remain.
    transfer = train.take((allowed[clean] & allowed[train.labels]).nonzero().flatten())
    if len(transfer) == 0:
        raise ConfigError(
            f"dataset.classes={_shown(options.classes)} and dataset.omit_classes={options.omit_classes} are "
            "not allowed together: they leave the student nothing to learn from; keep at least one class "
            "that has training examples."
        )
    if options.limit_transfer is not None:
        transfer = limit(transfer, options.limit_transfer, options.seed)
    test = _test(options, Split(source.test_inputs, source.test_labels))
    return replace(_dataset(options, source, train, transfer, val, test), pool=pool)


def _dataset(
    options: DatasetOptions, source: Source, train: Split, transfer: Split, val: Split | None, test: Split
) -> Dataset:
    shape = tuple(train.inputs.shape[1:])
    return Dataset(
        name=options.name,
        train=train,
        transfer=transfer,
        val=val,
        test=test,
        classes=source.classes,
        normalization=normalization(options, train.inputs, source.maximum, source.statistics_of),
        augment=augmentation(options, shape),
        transfer_augment=augmentation(options, shape, student=True),
        fingerprint=source.fingerprint(),
        maximum=source.maximum,
    )


def _regression(options: DatasetOptions, source: Source) -> Dataset:
    """The same where targets are numbers: without classes and what is done to them, and on the scale of training."""
    train, val = _hold_out(options, Split(source.train_inputs, source.train_labels))
    if options.limit_train is not None:
        train = limit(train, options.limit_train, options.seed)
    targets = Targets.of(source.targets, train.labels, f"dataset={options.name}")

    def learned(split: Split) -> Split:
        return Split(split.inputs, targets.learned(split.labels))

    train, test = learned(train), learned(_test(options, Split(source.test_inputs, source.test_labels)))
    val = None if val is None else learned(val)
    for name, split in (("test", test), ("validation", val)):
        _require_spread(options, name, split, targets)
    transfer = train if options.limit_transfer is None else limit(train, options.limit_transfer, options.seed)
    return replace(_dataset(options, source, train, transfer, val, test), targets=targets)


def _require_spread(options: DatasetOptions, name: str, split: Split | None, targets: Targets) -> None:
    """Where a target is always the same, there is no variance to explain."""
    if split is None:
        return
    for target, low, high in zip(
        targets.names, split.labels.amin(0).tolist(), split.labels.amax(0).tolist(), strict=True
    ):
        if low == high:
            raise DataError(
                f"dataset={options.name}: the target {target!r} is the same in all {len(split)} {name} examples, so "
                "that R2 has no meaning there; give more of them."
            )


def _test(options: DatasetOptions, test: Split) -> Split:
    return test if options.limit_test is None else limit(test, options.limit_test, options.seed)


def _allowed_classes(options: DatasetOptions, classes: int) -> Tensor:
    """`[classes]` bool: which ones the transfer set may show."""
    for key, given in (("classes", options.classes or []), ("omit_classes", options.omit_classes)):
        if any(number >= classes for number in given):
            raise ConfigError(
                f"dataset.{key}={given} is not allowed: {options.name} has the class numbers 0..{classes - 1}."
            )
    allowed = torch.full((classes,), options.classes is None)
    allowed[torch.tensor(options.classes or [], dtype=torch.int64)] = True
    allowed[torch.tensor(options.omit_classes, dtype=torch.int64)] = False
    return allowed


def _hold_out(options: DatasetOptions, train: Split) -> tuple[Split, Split | None]:
    if options.val_fraction == 0:
        return train, None
    count = round(options.val_fraction * len(train))
    if count in (0, len(train)):
        raise ConfigError(
            f"dataset.val_fraction={options.val_fraction} is not allowed: of {len(train)} training examples "
            f"it would hold out {count}; give 0 for none, or a share that leaves examples on both sides."
        )
    stays, held_out = divide(train.labels, count, generator(options.seed, "validation"))
    return train.take(stays), train.take(held_out)


def _with_noise(options: DatasetOptions, labels: Tensor, classes: int) -> Tensor:
    count = round(options.label_noise * len(labels))
    random = generator(options.seed, "label noise")
    chosen = torch.randperm(len(labels), generator=random)[:count]
    noisy = labels.clone()
    noisy[chosen] = (labels[chosen] + torch.randint(1, classes, (count,), generator=random)) % classes
    return noisy


def _shown(value: list[int] | None) -> str:
    return "null" if value is None else str(value)

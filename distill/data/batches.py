"""Batches of a split: shuffled and augmented to learn from, or in order to measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from distill.data.augment import Augmentation, Plan
from distill.data.mixing import Pairing
from distill.data.normalization import Normalization
from distill.data.sampling import balanced
from distill.data.split import Split
from distill.data.staging import delivered
from distill.data.strong import StrongPlan, check_pictures, draw, strongly
from distill.errors import ConfigError
from distill.seeds import generator
from distill.types import Batch

if TYPE_CHECKING:
    from distill.data.views import View

Shard = tuple[int, int]
_WHOLE: Shard = (0, 1)


class Batches:
    """The batches of one split.

    The last batch of an epoch may be smaller. Only when it would hold a single example, from which batch
    norm cannot learn, for some process do its examples join the batch before.

    Args:
        split: The examples; batches are selected where they lie.
        batch_size: Examples per step, of all processes together, >= 1.
        normalization: Applied to every batch, after shifts and flips.
        augmentation: Applied to the batches of `epoch`.
        seed: Of order and augmentation.
        device: Where batches go, for a split that does not fit there whole; default: where the split is.
        shard: `(rank, size)`: of how many processes that train together this is which one, counted from 0.
        strong: Whether batches of `epoch` also come under strong augmentation, which goes on from the same shifts and
            flips, replaces cut-out by its own, is drawn anew in every epoch, and is mixed with the same partners.
        by_class: Whether `epoch` shows every class as often as the others (`sampling.balanced`) instead of every
            example once.
        view: What of each example becomes `Batch.inputs`, which `normalization` is then for; the whole becomes
            `Batch.whole`. Shifts and flips are those of the whole.

    Raises:
        ConfigError: `strong`, and the examples are no pictures, or there is a view of them.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        normalization: Normalization,
        augmentation: Augmentation,
        seed: int,
        device: torch.device | str | None = None,
        shard: Shard = _WHOLE,
        strong: bool = False,
        by_class: bool = False,
        view: View | None = None,
    ):
        self.split = split
        self.strong = strong
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.seed = seed
        self.device = split.device if device is None else torch.device(device)
        self.normalization = normalization.to(self.device)
        self.shard = shard
        self._labels = split.labels.cpu() if by_class else None
        self._shape = tuple(split.inputs.shape[1:])
        self._view = view
        self._whole = None if view is None else view.whole.to(self.device)
        if strong:
            check_pictures(self._shape)
        if strong and view is not None:
            raise ConfigError(
                "dataset.student_view is not allowed with a method that looks at strongly augmented pictures: choose "
                "another method."
            )

    def __len__(self) -> int:
        """Steps per epoch, the same in every process."""
        return len(self._bounds())

    @property
    def sizes(self) -> list[int]:
        """Examples in each batch of an epoch, those of all processes together."""
        return [stop - start for start, stop in self._bounds()]

    @property
    def views(self) -> int | None:
        """How many fixed views an example has; 1 without augmentation, `None` when every epoch draws anew."""
        return 1 if self.augmentation.deterministic else self.augmentation.views

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The shuffled and augmented batches of one epoch; of a batch, the rows of this process.

        All that is random is drawn on the CPU before the first batch: it is the same on every device, and an
        epoch does not depend on which others came before it.

        Args:
            number: Of the epoch, from 0.
            start: How many batches to leave out at its beginning.
        """
        order = self._order(generator(self.seed, "order", number))
        view = number % (self.views or 1)
        plan, strong = self._plan(number, view, order), self._strong_plan(number)
        pairings = self._pairings(number)
        batches = self._bounds()
        # Partners come from anywhere in a batch: with mixing, every process makes it whole.
        chosen = batches if pairings else [_share(bounds, self.shard) for bounds in batches]
        order = order.to(self.split.device)
        parts = self._selected([order[first:last] for first, last in chosen[start:]])
        for step, (inputs, labels, index) in enumerate(parts, start):
            rows = slice(*chosen[step])
            inputs, hard, whole = self._finished(inputs, plan and plan[rows], strong and strong[rows])
            batch = Batch(inputs, labels, index, view=view, strong=hard, whole=whole)
            yield self._own_rows(pairings[step].mixed(batch)) if pairings else batch

    def in_order(self, batch_size: int | None = None, shard: Shard = _WHOLE) -> Iterator[Batch]:
        """Every example once, in the split's own order, without augmentation.

        Args:
            batch_size: Examples per batch; default: that of a step.
            shard: `(rank, size)` gives only the share of one process, which may be empty; the shares of all
                of them, one after the other, are the split.
        """
        return self._in_order(None, 0, batch_size, shard)

    def view(self, number: int, batch_size: int | None = None, shard: Shard = _WHOLE) -> Iterator[Batch]:
        """Every example once, in the split's own order, as the fixed view `number` that epochs show.

        Args:
            number: Of the view, less than `views`.
            batch_size: As for `in_order`.
            shard: Likewise.
        """
        assert self.views is not None, "no view comes back"
        assert number < self.views, "there is no such view"
        return self._in_order(self._plan(number, number, None), number, batch_size, shard)

    def _in_order(self, plan: Plan | None, view: int, batch_size: int | None, shard: Shard) -> Iterator[Batch]:
        first, last = _share((0, len(self.split)), shard)
        parts = torch.arange(first, last, device=self.split.device).split(batch_size or self.batch_size)
        parts = [part for part in parts if len(part)]
        for inputs, labels, index in self._selected(parts):
            inputs, _, whole = self._finished(inputs, plan and plan[index])
            yield Batch(inputs, labels, index, view=view, whole=whole)

    def _order(self, random: torch.Generator) -> Tensor:
        if self._labels is not None:
            return balanced(self._labels, random)
        return torch.randperm(len(self.split), generator=random)

    def _plan(self, epoch: int, view: int, order: Tensor | None) -> Plan | None:
        """What happens to the examples in this order (`None`: the split's own), on the device."""
        augmentation = self.augmentation
        if not (augmentation.moves or augmentation.cutout):
            return None
        stream = ("augment", epoch) if augmentation.views is None else ("view", view)
        plan = augmentation.draw(len(self.split), generator(self.seed, *stream), self._shape)
        if augmentation.views is not None and order is not None:
            plan = plan[order]
        return plan.to(self.device)

    def _strong_plan(self, epoch: int) -> StrongPlan | None:
        if not self.strong:
            return None
        return draw(len(self.split), self._shape, generator(self.seed, "strong", epoch)).to(self.device)

    def _pairings(self, epoch: int) -> Sequence[Pairing]:
        mixing = self.augmentation.mixing
        return mixing.draw(self.sizes, self._shape, self.seed, epoch, self.device) if mixing else ()

    def _selected(self, parts: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
        """Inputs, labels and positions of each part, on the device."""
        inputs, labels = self.split.inputs, self.split.labels
        if isinstance(inputs, Tensor):
            pictures = (inputs.index_select(0, part) for part in parts)
        else:
            pictures = inputs.ahead(parts)
        chosen = ((picked, labels[part], part) for picked, part in zip(pictures, parts, strict=True))
        return chosen if self.split.device.type == self.device.type else delivered(chosen, self.device)

    def _finished(
        self, inputs: Tensor, plan: Plan | None, strong: StrongPlan | None = None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """What a network sees of raw examples, their strongly augmented form, and what only its teacher sees."""
        moved = inputs if plan is None else self.augmentation.move(inputs, plan)
        if self._view is not None and self._whole is not None:
            return self.normalization(self._view.look(moved)), None, self._whole(moved)
        hard = None if strong is None else strongly(moved, strong, self.normalization)
        normal = self.normalization(moved)
        return normal if plan is None else self.augmentation.cut(normal, plan), hard, None

    def _own_rows(self, batch: Batch) -> Batch:
        return batch.rows(slice(*_share((0, len(batch)), self.shard)))

    def _bounds(self) -> list[tuple[int, int]]:
        count = len(self.split)
        starts = list(range(0, count, self.batch_size))
        fewest = max(min(2 * self.shard[1], self.batch_size), self.shard[1])
        if len(starts) > 1 and count - starts[-1] < fewest:
            starts.pop()
        return list(zip(starts, [*starts[1:], count], strict=True))


def _share(bounds: tuple[int, int], shard: Shard) -> tuple[int, int]:
    """The part of a range that belongs to one process: contiguous, as long as the others' or one longer."""
    (start, stop), (rank, size) = bounds, shard
    first, last = ((stop - start) * part // size for part in (rank, rank + 1))
    return start + first, start + last


def check_batch_size(key: str, batch_size: int, examples: int, processes: int = 1) -> None:
    """Refuses a batch that is larger than the data, or too small to be divided.

    Args:
        key: What the user would change, such as `hparams.student.batch_size`.
        batch_size: Examples per step.
        examples: How many there are to learn from.
        processes: How many share each batch.

    Raises:
        ConfigError: The batch is larger, or has no example for some process.
    """
    if batch_size > examples:
        there = "is 1 example" if examples == 1 else f"are {examples} examples"
        raise ConfigError(f"{key}={batch_size} is not allowed: there {there} to train on; give at most {examples}.")
    if batch_size < processes:
        raise ConfigError(
            f"{key}={batch_size} is not allowed: {processes} processes share each batch; give at least {processes}."
        )

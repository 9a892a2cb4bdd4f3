"""A data set that comes as a stream of tasks: groups of its classes, one after the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from distill.config.dataset_options import DatasetOptions
from distill.data.dataset import Dataset
from distill.data.split import Split
from distill.errors import ConfigError

Tasks = tuple[tuple[int, ...], ...]


def so_far(data: Dataset, options: DatasetOptions, argument: str) -> Dataset:
    """What is there when a task comes: its training examples alone, and the test examples of all tasks until then.

    Args:
        data: All of it.
        options: What was asked for.
        argument: JSON `[tasks, number]`: the class numbers of each task, and which task comes, from 0; -1 for all of
            them at once.

    Raises:
        ConfigError: A class is not there, or a task has no training or test examples.
    """
    groups, number = json.loads(argument)
    tasks: Tasks = tuple(tuple(group) for group in groups)
    known = len(data.classes)
    if any(label >= known for task in tasks for label in task):
        raise ConfigError(f"dataset.tasks={options.tasks} is not allowed: {data.name} has the classes 0..{known - 1}.")
    seen = tasks if number < 0 else tasks[: number + 1]
    new = seen if number < 0 else seen[-1:]
    splits = {"train": data.train, "transfer": data.transfer}
    found = {name: _of(split, new) for name, split in splits.items()} | {"test": _of(data.test, seen)}
    for name, split in found.items():
        if not all(len(_of(split, (task,))) for task in (new if name != "test" else seen)):
            raise ConfigError(f"dataset.tasks={options.tasks} is not allowed: a task has no {name} examples.")
    val = None if data.val is None else _of(data.val, seen)
    return replace(data, **found, val=val if val is None or len(val) else None, tasks=seen)


def _of(split: Split, tasks: Tasks) -> Split:
    labels = torch.tensor(sorted({label for task in tasks for label in task}))
    return split.take(torch.isin(split.labels.cpu(), labels).nonzero().flatten())


def within_task(logits: Tensor, labels: Tensor, tasks: Tasks) -> Tensor:
    """Logits of examples whose task is known: those of the classes of other tasks are out of the question.

    Args:
        logits: `[examples, classes]`.
        labels: `[examples]` int64, which say the task.
        tasks: Class numbers of each.
    """
    return logits.masked_fill(_task_of(labels, tasks, logits.shape[1])[:, None] != _classes(tasks, logits), -1e9)


def task_accuracies(logits: Tensor, labels: Tensor, tasks: Tasks) -> list[float]:
    """Share of the examples of each task that are classified right, its task being known, 0..1.

    Args:
        logits: `[examples, classes]`.
        labels: `[examples]` int64.
        tasks: Class numbers of each.
    """
    right = within_task(logits, labels, tasks).argmax(dim=1) == labels
    task = _task_of(labels, tasks, logits.shape[1])
    return [float(right[task == number].float().mean()) for number in range(len(tasks))]


def forgetting(learned: Sequence[float], now: Sequence[float]) -> float | None:
    """Mean loss of accuracy on earlier tasks since each was learned; `None` for the first task.

    Args:
        learned: Accuracy on each task right after it was learned, the last one included.
        now: Accuracy on each of them after the last one.
    """
    losses = [before - after for before, after in zip(learned[:-1], now[:-1], strict=True)]
    return sum(losses) / len(losses) if losses else None


def _classes(tasks: Tasks, logits: Tensor) -> Tensor:
    return _task_of(torch.arange(logits.shape[1], device=logits.device), tasks, logits.shape[1])


def _task_of(labels: Tensor, tasks: Tasks, classes: int) -> Tensor:
    numbers = torch.full((classes,), -1, device=labels.device)
    for number, task in enumerate(tasks):
        numbers[torch.tensor(task, device=labels.device)] = number
    return numbers[labels]

"""The processes that train one network together, started by `torchrun`; usually there is one."""

from __future__ import annotations

import atexit
import datetime
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from distill.training import torchrun

_T = TypeVar("_T")
# A network that only the first process trains or measures may take long; the others wait for it.
_PATIENCE = datetime.timedelta(days=2)


@dataclass(frozen=True)
class World:
    """This process among those that share a run.

    Attributes:
        rank: Its number, from 0; the first one alone writes files and speaks.
        size: How many there are.
        local_rank: Its number on its machine, which is that of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    @property
    def shard(self) -> tuple[int, int]:
        """Which part of every batch is this process's."""
        return self.rank, self.size

    def tell(self, value: _T) -> _T:
        """What the first process has as `value`, given to all."""
        if self.size == 1:
            return value
        told = [value]
        dist.broadcast_object_list(told, src=0)
        return told[0]

    def together(self, work: Callable[[], _T]) -> _T:
        """Lets the first process work, and gives to all what it got or raises in all what it met."""
        if self.size == 1:
            return work()
        error: BaseException | None = None
        value: Any = None
        if self.leads:
            try:
                value = work()
            except BaseException as met:  # the others wait, and must hear of an interruption as well
                error = met
        value, told = self.tell((value, None if error is None else _portable(error)))
        if error is not None:
            raise error
        if told is not None:
            told.told = True  # type: ignore[attr-defined]  # by the first process, so that others need not
            raise told
        return value

    def largest(self, number: int) -> int:
        """The largest of the numbers that the processes give."""
        if self.size == 1:
            return number
        given = torch.tensor(number)
        dist.all_reduce(given, dist.ReduceOp.MAX)
        return int(given)

    def gather(self, value: _T) -> list[_T]:
        """What every process gives, by rank."""
        if self.size == 1:
            return [value]
        given: list[Any] = [None] * self.size
        dist.all_gather_object(given, value)
        return given

    def add_up(self, tensors: list[Tensor]) -> None:
        """Replaces each tensor, in place, by its sum over all processes.

        They travel as one, in a layout that never changes, so that a continued training sums in the same order.
        """
        if self.size == 1 or not tensors:
            return
        joined = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(joined)
        for tensor, part in zip(tensors, joined.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))


def _portable(error: BaseException) -> BaseException:
    """An error as another process can have it: one that cannot be pickled goes by its text."""
    try:
        pickle.dumps(error)
    except Exception:  # whatever an attribute of a foreign exception raises
        return RuntimeError(str(error))
    return error


ALONE = World()


def join() -> World:
    """This process's place as `torchrun` says it, with the connection to the others made on the first call."""
    if torchrun.processes() == 1:
        return ALONE
    if not dist.is_initialized():
        # Small facts travel between the CPUs, gradients between the devices.
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=_PATIENCE)
        atexit.register(dist.destroy_process_group)
    return World(torchrun.rank(), torchrun.processes(), torchrun.local_rank())

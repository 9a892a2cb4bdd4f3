"""Pictures that do not fit into memory: they stay on disk until a batch asks for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from distill.data.decoding import decode

_BATCHES_AHEAD = 2
_PICTURES_AT_ONCE = 512


class Pictures(ABC):
    """Looks like a tensor `[pictures, channels, height, width]` uint8 of which only parts can be had.

    Args:
        rows: `[pictures]` int64, which of the pictures on disk these are.
        picture_shape: `(channels, height, width)`.
        workers: Threads that fetch pictures ahead of their use.
    """

    dtype = torch.uint8
    device = torch.device("cpu")

    def __init__(self, rows: Tensor, picture_shape: tuple[int, ...], workers: int):
        self.shape = torch.Size((len(rows), *picture_shape))
        self.ndim = len(self.shape)
        self._rows = rows
        self.workers = workers

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, positions: Tensor) -> Tensor:
        """The pictures at `positions` (`[count]` int64): `[count, channels, height, width]` uint8."""
        return self._read(self._rows[positions])

    @property
    def nbytes(self) -> int:
        """What they would take in memory, bytes."""
        return self.shape.numel()

    def is_floating_point(self) -> bool:
        """Never: they are bytes."""
        return False

    @abstractmethod
    def take(self, positions: Tensor) -> Self:
        """The pictures at `positions`, none of which is read now."""

    @abstractmethod
    def _read(self, rows: Tensor) -> Tensor: ...

    def ahead(self, parts: Iterable[Tensor]) -> Iterator[Tensor]:
        """The pictures at each of `parts`, while the next parts are being fetched.

        Threads, not processes: reading, decoding and scaling release Python's lock. A JPEG of 500x375 pixels
        takes 1.0 ms of CPU time to become 64x64, of which about 0.15 ms hold the lock, so that threads can keep some
        six cores busy, without copies between processes and an interpreter that imports torch for each.
        """
        pool = ThreadPoolExecutor(self.workers)
        waiting: deque[list[Future[Tensor]]] = deque()
        try:
            for part in parts:
                pieces = part.tensor_split(min(self.workers, len(part)))
                waiting.append([pool.submit(self.__getitem__, piece) for piece in pieces])
                if len(waiting) > _BATCHES_AHEAD:
                    yield _joined(waiting.popleft())
            while waiting:
                yield _joined(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


class MappedPictures(Pictures):
    """Decoded pictures in one file that is mapped into memory.

    Args:
        array: `[files, channels, height, width]` uint8, memory-mapped.
        workers: Threads that read ahead.
        rows: Which of them; default: all.
    """

    def __init__(self, array: np.ndarray, workers: int, rows: Tensor | None = None):
        super().__init__(torch.arange(len(array)) if rows is None else rows, array.shape[1:], workers)
        self._array = array

    def take(self, positions: Tensor) -> MappedPictures:
        """The pictures at `positions`, none of which is read now."""
        return MappedPictures(self._array, self.workers, self._rows[positions])

    def _read(self, rows: Tensor) -> Tensor:
        return torch.from_numpy(np.asarray(self._array.take(rows.numpy(), axis=0)))


class PictureFiles(Pictures):
    """Picture files, decoded each time they are asked for.

    Args:
        files: All of them.
        picture_shape: `(channels, size, size)` to decode to.
        workers: Threads that decode ahead.
        rows: Which of them; default: all.
    """

    def __init__(
        self, files: Sequence[Path], picture_shape: tuple[int, int, int], workers: int, rows: Tensor | None = None
    ):
        super().__init__(torch.arange(len(files)) if rows is None else rows, picture_shape, workers)
        self._files = files

    def take(self, positions: Tensor) -> PictureFiles:
        """The pictures at `positions`, none of which is read now."""
        channels, size, _ = self.shape[1:]
        return PictureFiles(self._files, (channels, size, size), self.workers, self._rows[positions])

    def _read(self, rows: Tensor) -> Tensor:
        channels, size, _ = self.shape[1:]
        return torch.from_numpy(np.stack([decode(self._files[row], size, channels) for row in rows.tolist()]))


def everything(pictures: Pictures, device: torch.device | str) -> Tensor:
    """All of the pictures, in the memory of `device`."""
    whole = torch.empty(pictures.shape, dtype=pictures.dtype, device=device)
    parts = torch.arange(len(pictures)).split(_PICTURES_AT_ONCE)
    for part, read in zip(parts, pictures.ahead(parts), strict=True):
        whole[int(part[0]) : int(part[-1]) + 1] = read.to(device)
    return whole


def _joined(pieces: Sequence[Future[Tensor]]) -> Tensor:
    return torch.cat([piece.result() for piece in pieces])

"""Reads what wandb writes offline: blocks of 32 KiB that hold protobuf messages, as in a log of LevelDB."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK, _HEADER = 32768, 7
_WHOLE, _LAST = 1, 4


def messages(path: Path) -> Iterator[Any]:
    from wandb.proto import wandb_internal_pb2

    for data in _records(path.read_bytes()):
        message = wandb_internal_pb2.Record()  # type: ignore[attr-defined]  # made when it is imported
        message.ParseFromString(data)
        yield message


def _records(content: bytes) -> Iterator[bytes]:
    at, parts = _HEADER, b""  # the file has a header of its own
    while at + _HEADER <= len(content):
        if _BLOCK - at % _BLOCK < _HEADER:  # too short for another record: padding
            at += _BLOCK - at % _BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        parts += content[at + _HEADER : at + _HEADER + length]
        at += _HEADER + length
        if kind in (_WHOLE, _LAST):
            yield parts
            parts = b""

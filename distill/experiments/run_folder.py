"""What a run leaves behind: its record, tables, curves and weights, each whole at any moment."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from distill.errors import DistillError
from distill.files import replacing, unwritable, write_text
from distill.results.curves import curves
from distill.results.generated import draw
from distill.results.rows import write_csv

_METRICS = "metrics.csv"


class RunFolder:
    """The folder of one run. Every method raises `DistillError` when it is gone or cannot be written.

    Args:
        path: The folder; it is there already.
        output: The folder that the user gave for all runs, as `output=...`.
    """

    def __init__(self, path: Path, output: str):
        self._path = path
        self._output = output
        self._facts: dict[str, Any] = {}

    def tell(self, **facts: Any) -> None:
        """Adds to what `run.json` says."""
        self._facts.update(facts)
        self.write("run.json", json.dumps(self._facts, indent=1))

    def write(self, name: str, text: str) -> None:
        """Writes a file of text."""
        with self._writing():
            write_text(self._path / name, text)

    def results(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes a row per network to `results.csv`."""
        with self._writing():
            write_csv(rows, self._path / "results.csv")

    def metrics(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes a row per network and epoch to `metrics.csv`, its losses before what they led to."""
        columns = dict.fromkeys(key for row in rows for key in row)
        losses = [key for key in columns if key.startswith("loss")]
        before = [key for key in ("role", "epoch", "step", "seconds", "lr") if key in columns]
        after = [key for key in columns if key not in (*losses, *before)]
        with self._writing():
            write_csv(rows, self._path / _METRICS, [*before, *losses, *after])

    def draw(self) -> None:
        """Draws the metrics to `curves.png`."""
        with self._writing():
            curves(pd.read_csv(self._path / _METRICS), self._path / "curves.png")

    def generated(self, pictures: np.ndarray, names: Sequence[str], title: str) -> None:
        """Draws `[count, height, width, 3]` uint8 pictures under the names of their classes to `generated.png`."""
        with self._writing():
            draw(pictures, names, title, self._path / "generated.png")

    def weights(self, role: str, stored: Path) -> None:
        """Gives a network's file in the store a name here: a hard link where the file system has them, else a copy."""
        with self._writing(), replacing(self._path / "checkpoints" / f"{role}.safetensors") as draft:
            try:
                os.link(stored, draft)
            except OSError:
                shutil.copyfile(stored, draft)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        # Writing would make it anew, and a folder with half of a run in it is worse than none.
        if not self._path.is_dir():
            raise DistillError(
                f"{self._path} was deleted or moved while its run went on; give the same command again: networks that "
                "are in the store are not trained again."
            )
        try:
            yield
        except OSError as error:
            raise unwritable("output", self._output, error) from error

"""The folder of a search: what was asked for and found, at any moment; and an earlier one that can go on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from distill.files import unwritable, write_text
from distill.results import process
from distill.results.rows import write_csv
from distill.search.outcome import COLUMNS

_RECORD, _TABLE, FRONT = "search.json", "search.csv", "front.png"
_NAMED = "%Y-%m-%d_%H-%M-%S-%f"


class SearchFolder:
    """Where a search leaves its files.

    Attributes:
        path: The folder.
        resumed: Whether an earlier search goes on there.
        begun: Whether this one has; before that nothing is written.

    Args:
        output: The folder that the user gave for all results.
        words: The command line after `distill search`; a search with the same words that was interrupted goes on in
            its own folder, with the latencies that it measured, so that its candidates are the same.
    """

    def __init__(self, output: str, words: Sequence[str]):
        self._output = output
        self._words = list(words)
        earlier = self._earlier(Path(output) / "searches")
        self.resumed = earlier is not None
        self.begun = False
        self.path = earlier or Path(output) / "searches" / datetime.now().strftime(_NAMED)
        self._facts: dict[str, Any] = _read(self.path) if earlier else {}

    def tell(self, **facts: Any) -> None:
        """Adds to what `search.json` says.

        Raises:
            DistillError: It cannot be written.
        """
        self._facts.update(facts)
        try:
            write_text(self.path / _RECORD, json.dumps(self._facts, indent=1))
        except OSError as error:
            raise unwritable("output", self._output, error) from error

    def begin(self, **facts: Any) -> None:
        """Says what is asked for and who does it."""
        here = {"words": self._words, "directory": os.getcwd(), "process": process.this(), "status": "running"}
        self.begun = True
        self.tell(**here, **facts)

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes a row per candidate to `search.csv`.

        Raises:
            DistillError: It cannot be written.
        """
        try:
            write_csv(rows, self.path / _TABLE, COLUMNS)
        except OSError as error:
            raise unwritable("output", self._output, error) from error

    def timed(self, key: Sequence[str], measure: Callable[[], float]) -> float:
        """The latency of a candidate, which is measured once and kept.

        Args:
            key: Its words.
            measure: Measures it, milliseconds.
        """
        known: dict[str, float] = self._facts.setdefault("latencies", {})
        name = " ".join(key)
        if name not in known:
            known[name] = measure()
            if self.begun:
                self.tell()
        return known[name]

    def _earlier(self, folder: Path) -> Path | None:
        for path in sorted(folder.glob("*"), reverse=True):
            facts = _read(path)
            same = (facts.get("words"), facts.get("directory")) == (self._words, os.getcwd())
            status = facts.get("status")
            left = status == "interrupted" or (status == "running" and process.is_alive(facts["process"]) is False)
            if same and left:
                return path
        return None


def _read(folder: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        facts = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        return facts if isinstance(facts, dict) else {}
    return {}

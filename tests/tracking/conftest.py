"""Commands in this process, and what they leave."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from distill import cli

TINY = ("hparams=smoke", "dataset.val_fraction=0.2", "verbosity=quiet")


@dataclass(frozen=True)
class Left:
    """A command that ended: its folder, exit code and standard error."""

    folder: Path
    code: int
    said: str

    @property
    def jobs(self) -> list[Path]:
        return sorted(path.parent for path in self.folder.glob("*/run.json"))


@pytest.fixture
def train(tmp_path, monkeypatch, capfd) -> Callable[..., Left]:
    """`train("tracker=csv")` runs a tiny `distill train` in `tmp_path`; with `-m`, a tiny sweep."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Left:
        tiny = () if any(word.startswith("resume=") for word in words) else TINY
        monkeypatch.setattr(sys, "argv", ["distill", "train", *words, *tiny])
        GlobalHydra.instance().clear()
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        kind = "sweeps" if "-m" in words else "runs"
        newest = max((tmp_path / "outputs" / kind).glob("*"), default=tmp_path)
        return Left(newest, int(ended.value.code or 0), capfd.readouterr().err)

    return run

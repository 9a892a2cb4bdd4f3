"""Runs of `distill train` in a folder of their own, and what they leave there."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import Forked
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from distill import cli
from distill.config import tree
from distill.config.compose import Registries, check
from distill.config.schema import Config
from distill.data import datasets
from distill.methods import methods
from distill.models import models
from distill.tracking import trackers


@dataclass(frozen=True)
class Left:
    """A run folder, read with nothing but the standard library."""

    folder: Path
    code: int
    said: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        return json.loads((self.folder / "run.json").read_text(encoding="utf-8"))

    @property
    def rows(self) -> list[dict[str, str]]:
        return table(self.folder / "results.csv")

    def row(self, role: str) -> dict[str, str]:
        return next(row for row in self.rows if row["role"] == role)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def read_table() -> Callable[[Path], list[dict[str, str]]]:
    return table


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums over threads depend on their number, and other processes of these tests have one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def train(tmp_path, monkeypatch, capfd) -> Callable[..., Left]:
    """`train("T=2")` runs `distill train T=2` in this process; the newest run or sweep folder comes back."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.chdir(tmp_path)

    def run(*words: str, here: Path = tmp_path) -> Left:
        monkeypatch.chdir(here)
        monkeypatch.setattr(sys, "argv", ["distill", "train", *words])
        GlobalHydra.instance().clear()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        kind = "sweeps" if "-m" in words else "runs"
        newest = max((tmp_path / "outputs" / kind).glob("*"), default=tmp_path)
        return Left(newest, int(ended.value.code or 0), capfd.readouterr().err)

    return run


@pytest.fixture
def refused(train, tmp_path) -> Callable[..., None]:
    """`refused("T=0", saying="T=0 is not allowed")`: one sentence, exit code 2, and nothing was trained."""

    def check(*words: str, saying: str) -> None:
        left = train(*words)
        assert left.code == 2
        told = [line for line in left.said.splitlines() if line.startswith("distill: ")]
        assert len(told) == 1, left.said
        assert saying in told[0]
        assert not list((tmp_path / "outputs").glob("store/*"))

    return check


@pytest.fixture
def start(tmp_path) -> Callable[..., Forked]:
    """`start("T=2")` begins `distill train T=2` in a process of its own."""
    return lambda *words: Forked(words, tmp_path)


@pytest.fixture
def configure() -> Callable[..., Config]:
    """`configure("T=2")` is the checked config of `distill train T=2`."""

    def configured(*overrides: str) -> Config:
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(tree.folder()), version_base="1.3"):
            composed = compose("train", [*overrides])
        return check(composed, Registries(models, datasets, methods, trackers))

    return configured

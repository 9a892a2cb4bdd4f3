"""The command line in this process: what it says, how it ends, what it leaves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from distill import cli


@dataclass(frozen=True)
class Ended:
    """A command that ended.

    Attributes:
        code: Exit code.
        out: Standard output.
        err: Standard error.
        left: Paths that were not there before, relative to the working folder.
    """

    code: int
    out: str
    err: str
    left: tuple[str, ...]


@pytest.fixture
def distill(tmp_path, monkeypatch, capfd) -> Callable[..., Ended]:
    """`distill("train", "T=0")` runs that command line in `tmp_path`."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["distill", *words])
        GlobalHydra.instance().clear()
        before = _paths(tmp_path)
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capfd.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err, tuple(sorted(_paths(tmp_path) - before)))

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A run on the digits that tests look at and leave as it is."""
    folder = tmp_path_factory.mktemp("trained")
    words = ["hparams=smoke", "dataset.val_fraction=0.2", "verbosity=quiet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYDRA_FULL_ERROR", "1")
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["distill", "train", *words])
        GlobalHydra.instance().clear()
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert not ended.value.code
    (run,) = (folder / "outputs" / "runs").iterdir()
    return run


def _paths(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}

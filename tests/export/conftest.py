"""Tiny runs to export, each trained once, and the command line in this process."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

from distill import cli
from distill.experiments.saved import open_run


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Callable[..., Path]:
    """`trained("model@student=mlp_30")` is the folder of such a run; `{data}` is that of `vectors.npz`."""
    data = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    inputs = (5 * random.normal(size=(400, 12)) + 3).astype("float32")
    labels = (inputs[:, 0] > 3) + 2 * (inputs[:, 1] > 3)
    np.savez(data / "vectors.npz", x_train=inputs[:300], y_train=labels[:300], x_test=inputs[300:], y_test=labels[300:])
    runs: dict[tuple[str, ...], Path] = {}

    def run(*words: str) -> Path:
        if words not in runs:
            home = tmp_path_factory.mktemp("run")
            _give(home, "train", "hparams=smoke", "verbosity=quiet", *(word.format(data=data) for word in words))
            (runs[words],) = (home / "outputs" / "runs").iterdir()
        return runs[words]

    return run


@pytest.fixture(scope="session")
def exported(trained, tmp_path_factory) -> Path:
    """A run whose student, convolutions that simkd redesigned, was exported in every format, and in int8."""
    run = trained("model@teacher=cnn_teacher", "model@student=cnn_student", "method=simkd")
    _give(tmp_path_factory.mktemp("export"), "export", str(run), "--format", "onnx,torchscript,pt2,safetensors")
    _give(tmp_path_factory.mktemp("export"), "export", str(run), "--quantize", "int8")
    return run


def _give(home: Path, *words: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setattr(sys, "argv", ["distill", *words])
        GlobalHydra.instance().clear()
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert not ended.value.code


@pytest.fixture
def distill(tmp_path, monkeypatch, capfd) -> Callable[..., Said]:
    """`distill("export", folder)` runs that command line in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["distill", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capfd.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def table() -> Callable[[Path], list[dict[str, str]]]:
    def read(path: Path) -> list[dict[str, str]]:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    return read


@pytest.fixture
def expected() -> Callable[..., np.ndarray]:
    """Logits of a run's student, normalised by hand from what `run.json` says."""

    def logits(folder: Path, raw: np.ndarray) -> np.ndarray:
        said = json.loads((folder / "run.json").read_text())["dataset"]["normalization"]
        shape = (-1,) + (1,) * (raw.ndim - 2)
        offset, scale = (np.array(said[name], "float32").reshape(shape) for name in ("offset", "scale"))
        with torch.no_grad():
            return open_run(folder).network("student")(torch.from_numpy((raw - offset) * scale)).numpy()

    return logits

"""Students that learn from their teacher alone (`dafl`, `deepinversion`), through the whole program."""

from __future__ import annotations

import math
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from rich.console import Console
from safetensors.torch import load_file
from torch import Tensor

from distill.data import Split, load
from distill.errors import ConfigError
from distill.experiments.display import Display
from distill.experiments.obtain import Workshop
from distill.experiments.plan import plan
from distill.experiments.run_folder import RunFolder
from distill.experiments.store import Store
from distill.methods.dafl import Dafl
from distill.methods.inversion import Inversion
from distill.training.interrupt import Stop
from distill.training.world import World

SMALL = ("hparams.epochs=2", "hparams.batch_size=16", "dataset.limit_train=64", "dataset.limit_test=64")
QUIET = ("verbosity=quiet",)
DAFL = ("method=dafl", "method.width=8", "method.steps=4", "model@teacher=mlp_64", "model@student=mlp_32")
INVERSION = (
    *("method=deepinversion", "method.pictures=32", "method.batch=16", "method.iterations=4"),
    *("model@teacher=resnet8", "teacher.widths=[4,4,8,8]", "model@student=mlp_32"),
)
BOTH = pytest.mark.parametrize("method", [DAFL, INVERSION], ids=["dafl", "deepinversion"])


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    monkeypatch.setattr(RunFolder, "draw", lambda self: None)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """One store for the runs of this file: teachers and baselines train once."""
    return tmp_path_factory.mktemp("without_data") / "store"


def weights(left: Any, role: str) -> dict[str, Tensor]:
    return load_file(left.folder / "checkpoints" / f"{role}.safetensors")


def losses(rows: list[dict[str, str]], role: str) -> set[str]:
    found = [row for row in rows if row["role"] == role]
    named = {name for row in found for name, value in row.items() if name.startswith("loss_") and value}
    assert all(math.isfinite(float(row[name])) for row in found for name in named)
    return named


def assert_shows_pictures(path: Path, rows: int) -> None:
    """Rows of 8 squares, which take the larger part of the picture and are not white."""
    drawn = imread(path)
    height, width = drawn.shape[:2]
    assert rows < 8 * height / width < rows * 1.6
    assert ((drawn[..., :3] < 0.98).any(axis=2)).mean() > 0.2


def test_the_generator_of_dafl_is_trained_with_the_student_and_is_no_part_of_it(train, store, read_table):
    left = train(*DAFL, *SMALL, *QUIET, f"store.dir={store}")
    assert [row["role"] for row in left.rows] == ["teacher", "baseline", "student"]
    student = left.row("student")
    assert student["params"] == left.row("baseline")["params"]
    # 100 x 8 * 2 * 2 + 32, batch norm 16; 8 * 8 * 9 + 8, 16; 8 * 4 * 9 + 4, 8; 4 * 9 + 1.
    assert int(student["adapters"]) == 3232 + 16 + 584 + 16 + 292 + 8 + 37
    assert all(value.isfinite().all() for value in weights(left, "student").values())
    assert losses(read_table(left.folder / "metrics.csv"), "student") == {
        f"loss_{name}" for name in ("soft", "one_hot", "balance", "activation")
    }
    assert student["train_agreement"] == ""
    assert float(student["agreement"]) >= 0
    assert left.facts["teacher_outputs"] == "live"
    assert_shows_pictures(left.folder / "generated.png", rows=8)


def test_pictures_of_deepinversion_are_no_row_and_leave_the_teacher_as_it_is(train, store, read_table):
    left = train(*INVERSION, *SMALL, *QUIET, f"store.dir={store}")
    assert [row["role"] for row in left.rows] == ["teacher", "baseline", "student"]
    assert left.row("student")["adapters"] == "0"
    rows = read_table(left.folder / "metrics.csv")
    assert losses(rows, "pictures") == {"loss_class", "loss_statistics", "loss_tv"}
    assert losses(rows, "student") == {"loss_soft"}
    assert len([row for row in rows if row["role"] == "pictures"]) == 4
    dream, teacher = weights(left, "pictures"), weights(left, "teacher")
    judge = {name.removeprefix("judge."): value for name, value in dream.items() if name.startswith("judge.")}
    assert judge.keys() == teacher.keys()
    assert all(torch.equal(value, teacher[name]) for name, value in judge.items())
    assert dream["step"] == 4 * 2
    assert_shows_pictures(left.folder / "generated.png", rows=4)

    again = train(*INVERSION, "T=2", *SMALL, *QUIET, f"store.dir={store}")
    assert not [row for row in read_table(again.folder / "metrics.csv") if row["role"] == "pictures" and not row["lr"]]
    assert len(list(store.glob("pictures-*"))) == 1  # which do not depend on how the student learns
    np.testing.assert_array_equal(imread(left.folder / "generated.png"), imread(again.folder / "generated.png"))


class Guarded:
    """Says of a tensor what can be known without reading it."""

    def __init__(self, tensor: Tensor):
        self.shape, self.dtype, self.device, self.nbytes = tensor.shape, tensor.dtype, tensor.device, tensor.nbytes

    def __len__(self) -> int:
        return self.shape[0]

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def __getattr__(self, name: str) -> Any:
        raise PermissionError(f"{name} of the training examples")

    def refuse(self, *words: Any) -> Any:
        raise PermissionError("what is in the training examples")

    __getitem__ = __eq__ = __lt__ = __ge__ = __add__ = __iter__ = refuse


@BOTH
def test_no_training_example_is_read_once_the_teacher_is_there(method, configure, store):
    config = configure(*method, *SMALL)
    data = load(config.dataset)

    def workshop(data: Any) -> Workshop:
        display = Display(Console(quiet=True), quiet=True)
        return Workshop(config, data, torch.device("cpu"), Store(store / "guarded"), display, Stop(), 0.0)

    nodes = {node.role: node for node in plan(config)}
    first = workshop(data)
    prepared = {node.role: node for node in first.prepare(list(nodes.values()))}
    teacher = first.obtain(prepared["teacher"], [])

    closed: Any = Split(Guarded(data.train.tensor), Guarded(data.train.labels))  # pyright: ignore[reportArgumentType]
    second = workshop(replace(data, train=closed, transfer=closed))
    prepared = {node.role: node for node in second.prepare(list(nodes.values()))}
    with pytest.raises(PermissionError):
        second.obtain(prepared["baseline"], [])
    obtained = {"teacher": teacher}
    for role in [role for role in prepared if role not in ("teacher", "baseline")]:
        node = prepared[role]
        obtained[role] = second.obtain(node, [obtained[need] for need in node.needs])
        assert not obtained[role].reused
        second.fidelity(obtained[role], teacher)
    assert second.generated(obtained["student"]) is not None


def test_pictures_are_refused_to_processes_that_train_together(configure, store):
    config = configure(*INVERSION, *SMALL)
    display = Display(Console(quiet=True), quiet=True)
    together = World(0, 2)
    workshop = Workshop(
        config, load(config.dataset), torch.device("cpu"), Store(store), display, Stop(), 0.0, world=together
    )
    with pytest.raises(ConfigError, match="torchrun is not allowed with method=deepinversion, whose pictures"):
        workshop.prepare(plan(config))


@BOTH
def test_stopping_in_the_middle_changes_no_bit(method, train, store, monkeypatch):
    step = 7  # of 8, the first or the third of its epoch
    whole = train(*method, *SMALL, *QUIET, f"store.dir={store}")
    changed = Dafl if method is DAFL else Inversion
    counted = {"steps": 0}
    prepare = changed.prepare

    def stopped(self, batch):
        counted["steps"] += 1
        if counted["steps"] == step:
            signal.raise_signal(signal.SIGTERM)
        return prepare(self, batch)

    words = (*method, *SMALL, *QUIET, f"store.dir={store.parent / f'stopped-{method[0][7:]}'}")
    with monkeypatch.context() as patched:
        patched.setattr(changed, "prepare", stopped)
        assert train(*words).code == 143
        assert counted["steps"] == step
        rest = train(*words)
    assert rest.code == 0
    assert counted["steps"] == 8  # none is taken twice
    for role in ("pictures", "student") if method is INVERSION else ("student",):
        assert all(torch.equal(value, weights(rest, role)[name]) for name, value in weights(whole, role).items())
    assert (rest.folder / "generated.png").read_bytes() == (whole.folder / "generated.png").read_bytes()


def test_jobs_of_a_sweep_share_what_they_can_and_show_their_pictures(train, store):
    left = train(*INVERSION, "T=1,3", "-m", *SMALL, *QUIET, f"store.dir={store}")
    assert left.code == 0, left.said
    jobs = sorted(path for path in left.folder.iterdir() if (path / "run.json").exists())
    assert len(jobs) == 2
    assert all((job / "generated.png").exists() for job in jobs)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("method=deepinversion",), "method=deepinversion needs a teacher with batch norm, and this one has none"),
        (("method=deepinversion", "method.batch=100"), "method.pictures=2560 is not allowed: it must be a multiple of"),
        (("method=dafl", "method.width=7"), "method.width=7 is not allowed: it must be even"),
        (
            ("method=dafl", "select=best_val", "dataset.val_fraction=0.2"),
            "select=best_val is not allowed with method=dafl",
        ),
        (("method=dafl", "hparams.student.batch_size=1"), "which looks at the examples of a batch: give at least 2"),
        (("method=dafl", "dataset.student_view=crop"), "dataset.student_view is not allowed with method=dafl"),
        (("method=dafl", "dataset=synthetic"), "is not allowed with a method that makes its own examples"),
        (("method=takd", "assistants=[mlp_32]", "base=dafl"), "method.base=dafl is not allowed"),
        (
            ("method=compose", "terms=hinton+dafl"),
            "dafl has a plan of its own, so it cannot be a part of a composition",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence_before_anything_trains(train, tmp_path, words, sentence):
    left = train(*words, "hparams=smoke")
    assert left.code == 2, left.said
    (told,) = [line for line in left.said.splitlines() if line.startswith("distill: ")]
    assert sentence in told
    assert not list(tmp_path.glob("outputs/store/*-*"))

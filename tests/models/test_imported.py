"""A network of one's own: found in the current folder, fitted, read, refused in one sentence, known by its source."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from distill.config.options import read
from distill.errors import ConfigError
from distill.models import create
from distill.models.networks.imported import ImportOptions
from distill.models.taps import Taps, default_taps

SOURCE = """
from torch import nn

from distill.models.taps import Taps
from mine_parts import WIDTH


class Small(nn.Module):
    def __init__(self, input_shape, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(input_shape[0], WIDTH, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(WIDTH, classes)
        self.taps = Taps(features=("body",), embedding="head")

    def forward(self, inputs):
        return self.head(self.body(inputs).mean(dim=(2, 3)))


def build(input_shape, classes):
    return Small(input_shape, classes)


def nothing():
    return nn.Identity()


def number(input_shape, classes):
    return 7


def broken(input_shape, classes):
    return 1 / 0


def wide(input_shape, classes):
    return Small(input_shape, classes + 1)


def flat(input_shape, classes):
    return nn.Linear(9, classes)


class Pair(Small):
    def forward(self, inputs):
        return super().forward(inputs), inputs


CONSTANT = 3
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a module `mine` that imports another, forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "mine.py").write_text(SOURCE)
    (tmp_path / "mine_parts.py").write_text("WIDTH = 4\n")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("mine", "mine_parts", "mine_broken", "mine_raising", "mine_package"):
            del sys.modules[name]


def options(path: str) -> ImportOptions:
    return ImportOptions(name="import", path=path)


def test_a_function_of_the_current_folder_builds_the_network():
    network = create(options("mine:build"), (1, 8, 8), 5)
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 5)
    assert default_taps(network) == Taps(("body",), "head")
    assert network.training
    assert options("mine:build").label() == "mine:build"


def test_a_class_that_takes_the_same_two_will_do():
    assert isinstance(create(options("mine:Small"), (3, 8, 8), 2), nn.Module)


def test_a_module_of_a_package_will_do(here: Path):
    (here / "mine_package").mkdir()
    (here / "mine_package" / "__init__.py").touch()
    (here / "mine_package" / "nets.py").write_text("from mine import build as build\n")
    assert create(options("mine_package.nets:build"), (1, 8, 8), 5)(torch.zeros(1, 1, 8, 8)).shape == (1, 5)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (None, "path=null is not allowed: it must be module:function, such as my_networks:build."),
        ("mine", "path=mine is not allowed: it must be module:function"),
        ("./mine.py:build", "path=./mine.py:build is not allowed: it must be module:function"),
        ("missing:build", "path=missing:build is not allowed: there is no module missing in "),
        ("missing.deep:build", "path=missing.deep:build is not allowed: there is no module missing.deep in "),
        ("mine:nope", "path=mine:nope is not allowed: the module mine has no function nope."),
        ("mine:CONSTANT", "path=mine:CONSTANT is not allowed: the module mine has no function CONSTANT."),
        ("mine_broken:build", "cannot be imported: SyntaxError: invalid syntax (mine_broken.py, line 2)."),
        ("mine_raising:build", "cannot be imported: ValueError: no (mine_raising.py, line 1)."),
    ],
)
def test_a_path_that_leads_nowhere_is_told_by_key(here: Path, path: str | None, sentence: str):
    (here / "mine_broken.py").write_text("\nx = = 1\n")
    (here / "mine_raising.py").write_text("raise ValueError('no')\n")
    problems = read(ImportOptions, {"name": "import", "path": path})[1]
    assert len(problems) == 1
    assert sentence in problems[0]


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        ("nothing", r"cannot be built: nothing\(\(1, 8, 8\), 5\) raises TypeError: .* takes 0 positional arguments"),
        ("broken", r"cannot be built: .* raises ZeroDivisionError: division by zero \(mine.py, line \d+\)\.$"),
        ("number", r"is int and not a torch.nn.Module\.$"),
        ("wide", r"answers two examples with numbers of shape 2x6, and this data set has 5 classes: it must be 2x5\.$"),
        ("flat", r"cannot take examples of 1x8x8 \(.*mat1 and mat2 shapes cannot be multiplied"),
        ("Pair", r"answers with tuple instead of one tensor of logits; wrap it so that"),
    ],
)
def test_a_network_that_does_not_fit_is_refused_in_a_sentence(function: str, sentence: str):
    with pytest.raises(ConfigError, match=rf"^The model mine:{function} .*{sentence}"):
        create(options(f"mine:{function}"), (1, 8, 8), 5)


def test_vectors_are_told_as_python_writes_them():
    with pytest.raises(ConfigError, match=r"broken\(\(6,\), 5\) raises"):
        create(options("mine:broken"), (6,), 5)


def test_its_identity_is_its_source_and_that_of_what_it_imports_from_beside_it(here: Path):
    def identity() -> str:
        return options("mine:build").identity()["source"]

    first = identity()
    (here / "unrelated.py").write_text("import mine\n")
    assert identity() == first
    (here / "mine_parts.py").write_text("WIDTH = 8\n")
    second = identity()
    (here / "mine.py").write_text(SOURCE + "\n# edited\n")
    assert len({first, second, identity()}) == 3


def test_its_identity_does_not_depend_on_where_it_lies(here: Path, monkeypatch: pytest.MonkeyPatch):
    first = options("mine:build").identity()
    moved = here / "elsewhere"
    moved.mkdir()
    for name in ("mine.py", "mine_parts.py"):
        (here / name).rename(moved / name)
    monkeypatch.chdir(moved)
    assert options("mine:build").identity() == first


def test_an_installed_package_is_known_by_the_file_that_is_named():
    assert options("torch.nn:Linear").identity() != options("torch.optim:Adam").identity()

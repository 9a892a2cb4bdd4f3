"""Bars and pictures on terminals of several kinds."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from distill.results.inspection.answers import Answers
from distill.results.inspection.bars import Row, bar, table
from distill.results.inspection.findings import find
from distill.results.inspection.half_blocks import rendered, shows_pictures
from distill.results.inspection.numbers import probability, short
from distill.results.inspection.softened import soften
from distill.results.inspection.terminal import print_findings


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, ""), (1, "████"), (0.5, "██"), (1 / 32, "▏"), (0.25 + 7 / 32, "█▉"), (1 / 100, "")]
)
def test_a_bar_is_exact_to_an_eighth_of_a_character(share, drawn):
    assert bar(share, 4) == drawn


def test_a_bar_of_a_plain_terminal_is_of_number_signs():
    assert bar(0.5, 10, ascii_only=True) == "#####"


@pytest.mark.parametrize(
    ("value", "written"), [(0.57412, "0.574"), (0, "0.000"), (2e-6, "2e-06"), (0.0005, "0.001"), (float("nan"), "-")]
)
def test_probabilities_keep_their_order_of_magnitude(value, written):
    assert probability(value) == written


def test_long_names_end_in_an_ellipsis():
    assert short("golden retriever", 8) == "golden …"
    assert short("cat", 8) == "cat"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_temperatures_stand_side_by_side_as_far_as_the_width_goes(width):
    temperatures = [1, 2, 3, 5, 8, 13, 21, 34]
    softened = [soften(np.array([2, 1, 0.5, 0.2]), T) for T in temperatures]
    rows = [Row("cat", [0]), Row("the 3 others", [1, 2, 3])]
    lines = [line.plain for line in table(softened, rows, width)]
    assert max(map(len, lines)) <= width
    headings = [line.split() for line in lines if "T=" in line]
    assert [word for heading in headings for word in heading] == [f"T={T}" for T in temperatures]
    assert len(headings) == {40: 8, 80: 2, 120: 2}[width]
    cat, others = (next(line for line in lines if line.startswith(name)) for name in ("cat", "the 3"))
    assert cat.split()[1] == "0.569"
    assert "█" not in others  # a sum is not drawn beside single classes


def terminal(width: int = 80, **kind) -> Console:
    return Console(file=io.StringIO(), width=width, **kind)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


COLOURED = {"force_terminal": True, "color_system": "truecolor"}


def test_two_pixels_share_a_character_with_their_colours():
    pixels = np.zeros((28, 28, 3), np.uint8)
    pixels[0, 0], pixels[1, 0] = (255, 0, 0), (0, 0, 255)
    lines = rendered(pixels)
    assert (len(lines), lines[0].cell_len) == (14, 28)
    console = terminal(**COLOURED)
    console.print(lines[0])
    assert written(console).startswith("\x1b[38;2;255;0;0;48;2;0;0;255m▀")


@pytest.mark.parametrize(("side", "shown"), [(8, 16), (28, 28), (32, 32), (64, 32)])
def test_tiny_pictures_are_enlarged_and_wide_ones_reduced(side, shown):
    lines = rendered(np.full((side, side, 3), 7, np.uint8))
    assert (len(lines), lines[0].cell_len) == (shown // 2, shown)


def test_nothing_is_drawn_on_pipes_without_colours_or_of_large_pictures():
    small = np.zeros((8, 8, 3), np.uint8)
    assert shows_pictures(terminal(**COLOURED), small)
    assert not shows_pictures(terminal(), small)
    assert not shows_pictures(terminal(force_terminal=True, color_system=None), small)
    assert not shows_pictures(terminal(**COLOURED), np.zeros((224, 224, 3), np.uint8))


def test_pictures_stand_beside_the_bars_and_a_pipe_gets_the_same_words():
    logits = np.array([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0]])
    one, other = Answers("teacher", "cnn", logits), Answers("student", "mlp", logits[:, ::-1])
    found = find("run", "toys", ["a", "[b]", "c"], np.array([0, 1]), one, other, temperatures=[1.0, 4.0], count=2)
    pixels = {position: np.full((8, 8, 3), 90, np.uint8) for position in (0, 1)}
    said = []
    for kind in ({}, COLOURED):
        console = terminal(**kind)
        print_findings(found, pixels, console)
        said.append(written(console))
    piped, shown = said
    assert "\x1b" not in piped
    assert "▀" not in piped
    assert "48;2;90;90;90m▀" in shown
    assert "Agreement: the student says what the teacher says on 50.00 % of 2" in piped
    assert "[b] (true)" in piped
    assert max(map(len, piped.splitlines())) <= 80

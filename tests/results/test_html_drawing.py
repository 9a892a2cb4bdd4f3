"""Scales, ticks, names and legends of plots, by numbers that can be checked by hand."""

from __future__ import annotations

import re

import pytest

from distill.results.html.drawing.look import SERIES
from distill.results.html.drawing.marks import Entry, Legend, named
from distill.results.html.drawing.scales import Scale, around, beyond, is_geometric, tick_labels
from distill.results.html.drawing.svg import element, shortened


def test_a_scale_is_linear_or_logarithmic_between_its_ends() -> None:
    assert Scale(0, 10, 100, 200)(2.5) == 125
    assert Scale(0, 10, 200, 100)(10) == 100
    assert Scale(1, 100, 0, 200, log=True)(10) == pytest.approx(100)


def test_a_scale_of_one_value_has_room_on_both_sides() -> None:
    for log in (False, True):
        scale = around([0.95], 0, 100, log=log)
        assert scale(0.95) == pytest.approx(50, abs=1)


@pytest.mark.parametrize(
    ("low", "high", "count", "ticks"),
    [
        (90.4, 99.9, 3, [92, 94, 96, 98]),
        (0, 1.2, 6, [0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2]),
        (-3, 4, 8, [-3, -2, -1, 0, 1, 2, 3, 4]),
    ],
)
def test_ticks_are_round_values_inside(low: float, high: float, count: int, ticks: list[float]) -> None:
    assert Scale(low, high, 0, 1).ticks(count) == pytest.approx(ticks)


def test_logarithmic_ticks_thin_out_with_the_range() -> None:
    assert Scale(80, 1100, 0, 1, log=True).ticks(6) == [100, 200, 500, 1000]
    assert Scale(9e4, 2e6, 0, 1, log=True).ticks(2) == [1e5, 1e6]
    assert len(Scale(0.037, 0.041, 0, 1, log=True).ticks(5)) > 1


def test_labels_of_ticks_are_short_and_even() -> None:
    assert tick_labels([10_000, 500_000, 2_500_000]) == ["10k", "500k", "2.5M"]
    assert tick_labels([96, 96.5, 97], even=True) == ["96.0", "96.5", "97.0"]
    assert tick_labels([-1, 0, 0.1 + 0.2]) == ["−1", "0", "0.3"]


def test_temperatures_that_double_are_geometric_and_alphas_are_not() -> None:
    assert is_geometric([1, 2, 4, 8, 20])
    assert not is_geometric([0.3, 0.7, 0.9])
    assert not is_geometric([1, 2, 3, 4])


def test_a_value_is_beyond_others_at_three_times_their_range() -> None:
    assert beyond(98, [60, 61])
    assert not beyond(64, [60, 61])
    assert not beyond(98, [60])


def test_names_lie_on_no_point_and_on_no_other_name() -> None:
    places = [(100.0, 100.0), (104.0, 103.0), (100.0, 108.0)]
    drawn = named([(place, "a network") for place in places], places, (0, 0, 300, 200))
    boxes = [
        (float(x), float(y)) for x, y in re.findall(r'<text class="label halo" x="([\d.]+)" y="([\d.]+)"', str(drawn))
    ]
    assert boxes
    for i, (x, y) in enumerate(boxes):
        for px, py in places:
            assert not (x < px < x + 50 and y - 10 < py < y + 3)
        for other_x, other_y in boxes[:i]:
            assert abs(y - other_y) >= 10 or abs(x - other_x) >= 50


def test_a_legend_takes_as_many_lines_as_it_needs() -> None:
    entries = [Entry(look, "ten letters") for look in SERIES]
    assert Legend(entries, 1000).height == Legend.LINE
    assert Legend(entries, 120).height == len(SERIES) * Legend.LINE
    assert Legend([], 120).height == 0


def test_texts_and_attributes_are_escaped() -> None:
    drawn = element("text", "<b>", class_='"x"', x=1.26, y=None)
    assert drawn == '<text class="&#34;x&#34;" x="1.3">&lt;b&gt;</text>'


def test_long_texts_end_in_an_ellipsis() -> None:
    assert shortened("T=4", 100, 12) == "T=4"
    assert shortened("T=4, alpha=0.9, hparams.student.lr=0.1", 100, 12) == "T=4, alpha=0.…"

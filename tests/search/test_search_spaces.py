"""Spaces: those that ship, those of users, and what a candidate is on a command line."""

import pytest
from hydra.core.global_hydra import GlobalHydra

from distill.config import tree
from distill.config.overrides import of_run
from distill.errors import ConfigError
from distill.experiments.named import named
from distill.experiments.saved import REGISTRIES
from distill.search.search import check
from distill.search.space import Space, load, nearest
from distill.search.strategies import RandomStrategy

SHIPPED = [choice.name for choice in tree.choices("space")]


def space(tmp_path, text: str) -> Space:
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return load(str(file))


def drawn(found: Space, count: int):
    return [RandomStrategy(found, seed).propose().candidate for seed in range(count)]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_network_of_a_space_that_ships_is_allowed(name):
    check(load(name), 0)


def test_the_large_space_has_the_families_of_the_others():
    families = {family for name in SHIPPED if name != "all" for family in load(name).families}
    assert set(load("all").families) == families


@pytest.mark.parametrize("family", list(load("all").families))
def test_a_candidate_is_the_student_that_its_words_choose(family):
    (candidate,) = RandomStrategy(load("all"), 3).several(family, 1)
    GlobalHydra.instance().clear()
    composed = of_run([*candidate.words, "student.seed=5"], REGISTRIES).student
    assert composed == named("space", candidate.values, 5)


def test_choices_stay_within_what_the_file_says(tmp_path):
    found = space(
        tmp_path,
        """
a:
  model: mlp
  widths: {layers: [1, 3], each: {from: 8, to: 24, step: 8}}
  activation: [relu, tanh]
b:
  model: resnet8
  widths: {times: [1, 1, 2, 4], of: {from: 3, to: 5}}
""",
    )
    candidates = drawn(found, 60)
    mlps = [one.chosen for one in candidates if one.family == "a"]
    resnets = [one.chosen["widths"] for one in candidates if one.family == "b"]
    assert {len(one["widths"]) for one in mlps} == {1, 3}
    assert {width for one in mlps for width in one["widths"]} == {8, 16, 24}
    assert {one["activation"] for one in mlps} == {"relu", "tanh"}
    assert {tuple(widths) for widths in resnets} == {(3, 3, 6, 12), (4, 4, 8, 16), (5, 5, 10, 20)}
    assert len(mlps) + len(resnets) == 60


def test_labels_and_words_say_what_was_chosen(tmp_path):
    found = space(tmp_path, "big:\n  model: resnet8\n  depth: [14]\n  widths: [[8, 8, 16, 32]]\n")
    (candidate,) = drawn(found, 1)
    assert candidate.label() == "big depth=14 widths=8-8-16-32"
    assert candidate.words == ["model@student=resnet8", "student.depth=14", "student.widths=[8,8,16,32]"]


def test_small_numbers_are_as_likely_as_large_ones_by_ratio():
    draws = [nearest(place / 4000, 8, 512, None) for place in range(4000)]
    assert (min(draws), max(draws)) == (8, 512)
    assert sum(draw <= 62 for draw in draws) == pytest.approx(2000, abs=20)  # 7.5 * 512.5 = 62 * 62


def test_every_step_is_as_likely_and_none_is_beyond_the_end():
    shares = [(place + 0.5) / 30 for place in range(30)]
    draws = [nearest(share, 4, 12, 3) for share in shares]  # 4, 7, 10; 13 is too large
    assert {draw: draws.count(draw) for draw in draws} == {4: 10, 7: 10, 10: 10}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "the file must have a family of networks per key."),
        ("a: [1", "it is not YAML"),
        ("a: {widths: [1]}", "a.model=null is not allowed: it must be the name of a network; `distill list models`."),
        ("a: {model: mpl}", "a.model=mpl is not allowed: it must be the name of a network (did you mean 'mlp'?);"),
        ("a: {model: mlp, width: [[8]]}", "mlp has no option width (did you mean 'widths'?)."),
        ("a: {model: mlp, widths: 8}", "a.widths=8 is not allowed: it must be a list, {from: 8, to: 64}, "),
        ("a: {model: mlp, widths: {from: 8, to: 4}}", "a.widths={from: 8, to: 4} is not allowed: it must be two whole"),
        ("a: {model: mlp, widths: {layers: 2, each: [8]}}", "a.widths.layers=2 is not allowed: it must be a list of"),
        ("a: {model: resnet8, widths: {times: [a], of: [8]}}", "a.widths.times=[a] is not allowed: it must be a list"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_a_sentence(tmp_path, text, said):
    with pytest.raises(ConfigError) as refused:
        space(tmp_path, text)
    (problem,) = refused.value.problems
    assert problem.startswith(f"space={tmp_path / 'mine.yaml'}")
    assert said in problem


def test_a_value_that_no_network_takes_is_found_before_anything_trains(tmp_path):
    found = space(tmp_path, "a:\n  model: resnet8\n  depth: [8, 9]\n")
    with pytest.raises(ConfigError, match=r"a\.depth=9 is not allowed: it must be 6n\+2"):
        check(found, 0)


def test_a_name_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(
        ConfigError, match=r"space=covn is not allowed: .* \(did you mean 'conv'\?\); .* all, conv, mlp, "
    ):
        load("covn")

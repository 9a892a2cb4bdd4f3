"""What `distill search` makes of its command line."""

import pytest

from distill.errors import ConfigError
from distill.search.options import parse


@pytest.mark.parametrize(
    ("given", "meant"), [("200k", 200_000), ("1.1M", 1_100_000), ("2G", 2_000_000_000), ("2500", 2500)]
)
def test_an_amount_may_have_a_suffix(given, meant):
    options, _ = parse(["space=mlp", f"budget.params={given}"])
    assert options.budget.limits == {"params": meant}


def test_words_of_the_run_are_left_to_it():
    options, rest = parse(["method=dkd", "space=conv", "T=2", "trials=7", "budget.latency_ms=0.5", "+a.b=1"])
    assert rest == ["method=dkd", "T=2", "+a.b=1"]
    assert (options.space, options.trials, options.budget.limits) == ("conv", 7, {"latency_ms": 0.5})


def test_candidates_are_compared_by_the_first_limit_or_else_by_parameters():
    assert parse(["space=mlp"])[0].budget.cost == "params"
    assert parse(["space=mlp", "budget.latency_ms=1", "budget.flops=5M"])[0].budget.cost == "flops"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("trials=0", "trials=0 is not allowed: it must be greater than or equal to 1."),
        ("trials=2.5", "trials=2.5 is not allowed: it must be a whole number."),
        ("budget.params=abc", "budget.params=abc is not allowed: it must be a whole number."),
        ("budget.params=2m", "budget.params=2m is not allowed: it must be a whole number."),
        ("budget.latency_ms=0", "budget.latency_ms=0 is not allowed: it must be greater than 0."),
        ("budget.size=5", "There is no key budget.size."),
        ("budget=200k", "budget=200k is not allowed: say of what, such as budget.params=200k."),
        ("trial=5", "There is no key trial (did you mean 'trials'?)."),
        ("strategy=grid", "strategy=grid is not allowed: it must be 'both', 'tpe' or 'random'."),
        ("sampler=tpe", "sampler=tpe is not allowed: it is strategy=... that says how candidates are proposed."),
        ("T=1,2", "T=1,2 is not allowed: a search takes one value for each key."),
        ("-m", "-m is not allowed: a search takes only key=value, with one value each."),
        ("student.widths=[3]", "student.widths=[3] is not allowed: the student is what is searched for; "),
        ("model@student=mlp", "model@student=mlp is not allowed: the student is what is searched for; "),
        ("seeds=3", "seeds=3 is not allowed: a search has one seed; "),
        ("tracker=csv", "tracker=csv is not allowed: no tracker follows a search; "),
    ],
)
def test_a_word_that_is_not_allowed_is_told_in_one_sentence(word, said):
    with pytest.raises(ConfigError) as refused:
        parse(["space=mlp", word])
    (problem,) = refused.value.problems
    assert problem.startswith(said)


def test_all_mistakes_are_told_together():
    with pytest.raises(ConfigError) as refused:
        parse(["trials=0", "seeds=2"])
    assert [problem.split()[0] for problem in refused.value.problems] == ["seeds=2", "space", "trials=0"]


def test_a_list_is_one_value():
    assert parse(["space=mlp", "terms=[hinton,at]", "dataset.root='/a,b'"])[1] == [
        "terms=[hinton,at]",
        "dataset.root='/a,b'",
    ]

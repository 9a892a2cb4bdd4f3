import pytest

from distill.errors import DistillError
from distill.experiments.seed_words import spread


@pytest.mark.parametrize(
    ("words", "written_out"),
    [
        (["seeds=3"], ["-m", "seed=0,1,2"]),
        (["T=1,4", "seeds=2", "alpha=0.3"], ["-m", "T=1,4", "seed=0,1", "alpha=0.3"]),
        (["-m", "seeds=2"], ["-m", "seed=0,1"]),
        (["seeds=1"], ["-m", "seed=0"]),
        (["T=4", "teacher.seed=7", "seeds=2"], ["-m", "T=4", "teacher.seed=7", "seed=0,1"]),
        (["T=4"], ["T=4"]),
    ],
)
def test_seeds_stand_for_a_sweep(words: list[str], written_out: list[str]):
    assert spread(words) == written_out


@pytest.mark.parametrize(
    "word", ["seeds=0", "seeds=-1", "seeds=abc", "seeds=", "seeds=1.5", "seeds=2,3", "seeds=99999"]
)
def test_a_number_of_seeds_that_is_none_is_refused(word: str):
    with pytest.raises(DistillError, match=rf"^{word} is not allowed: it must be a whole number from 1 to 10,000"):
        spread([word])


@pytest.mark.parametrize("other", ["seed=1", "seed=1,2", "+seed=3", "seeds=4"])
def test_seeds_beside_other_seeds_are_refused(other: str):
    with pytest.raises(DistillError, match="both say which seeds to take"):
        spread(["seeds=3", other])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seeds=abc"], "seeds=abc is not allowed"),
        (["seeds=3", "seed=1"], "both say which seeds"),
        (["sedes=3"], "did you mean 'seeds'?"),
        (["resume=x", "seeds=3"], "takes no other words, as seeds=3"),
        (["-m", "seeds=3", "--cfg", "job"], "--cfg and --info tell of one run"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(distill, words: list[str], said: str):
    ended = distill("train", *words)
    assert (ended.code, ended.left) == (2, ())
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_search_takes_no_seeds(distill):
    ended = distill("train", "experiment=tune", "seeds=3")
    assert (ended.code, ended.left) == (2, ())
    assert ended.err.startswith("distill: seeds=3 is not for a search, which would choose the luckiest seed")


def test_the_config_of_several_seeds_is_that_of_one(distill):
    ended = distill("train", "seeds=3", "--cfg", "job")
    assert (ended.code, ended.left) == (0, ())
    assert "seed: 0" in ended.out.splitlines()

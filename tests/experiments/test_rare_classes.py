"""`dataset.imbalance` and what makes up for it, through the whole program."""

import pytest

from distill.errors import ConfigError
from distill.experiments.run_folder import RunFolder

TAIL = ("dataset.imbalance=20", "dataset.limit_transfer=null", "dataset.limit_test=200", "hparams.epochs=2")
ROLES = ("teacher", "baseline", "student")


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    monkeypatch.setattr(RunFolder, "draw", lambda self: None)


def test_a_long_tail_shows_accuracy_by_how_frequent_classes_are(train):
    left = train(*TAIL, "verbosity=quiet")
    assert left.code == 0, left.said
    counts = left.facts["dataset"]["train_by_class"]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] // counts[-1] >= 20
    for role in ROLES:
        row = left.row(role)
        shares = left.facts["class_accuracy"][role]
        assert float(row["accuracy_head"]) == pytest.approx(sum(shares[:3]) / 3)
        assert float(row["accuracy_tail"]) == pytest.approx(sum(shares[7:]) / 3)


def test_a_run_that_makes_up_for_rare_classes_sees_every_class_as_often(train, read_table):
    left = train(*TAIL, "verbosity=quiet", "sampler=balanced", "hparams.teacher.sampler=natural")
    assert left.code == 0, left.said
    metrics = read_table(left.folder / "metrics.csv")
    steps = {row["role"]: int(row["step"]) for row in metrics if row["epoch"] == "2"}
    assert steps["student"] == steps["teacher"]  # an epoch is as long as any other


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("sampler=balanced", "hparams.hard_loss=weighted"), "hard_loss=weighted is not allowed with sampler=balanced"),
        (("dataset.imbalance=0.5",), "dataset.imbalance=0.5 is not allowed: it must be greater than or equal to 1."),
        (("sampler=even",), "sampler=even is not allowed"),
        (("hparams.hard_loss=focal",), "hparams.hard_loss=focal is not allowed"),
    ],
)
def test_what_no_config_can_say_is_told_in_a_sentence(configure, words, sentence):
    with pytest.raises(ConfigError) as told:
        configure(*words)
    assert sentence in told.value.problems[0]


def test_a_tail_too_long_for_the_data_is_told_before_anything_trains(train, tmp_path):
    left = train("dataset.imbalance=1000")
    assert left.code == 2
    assert "dataset.imbalance=1000 is not allowed: it would leave class" in left.said
    assert not list((tmp_path / "outputs").glob("store/*-*"))

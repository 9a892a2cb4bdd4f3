"""A transfer set that lacks a class, and pictures that move for the teacher alone."""

import pytest

SMOKE = ("hparams=smoke", "verbosity=quiet")


def test_a_run_without_a_class_records_what_its_bias_does(train):
    left = train(*SMOKE, "dataset.omit_classes=[3]", "hparams.limit_test=null")
    facts = left.facts
    assert set(facts["unseen"]) == {"baseline", "student"}
    assert set(facts["class_accuracy"]) == {"teacher", "baseline", "student"}
    counts = facts["dataset"]["test_by_class"]
    assert sum(counts) == facts["dataset"]["test"] == 540
    for role, by_class in facts["class_accuracy"].items():
        row = left.row(role)
        right = sum(share * count for share, count in zip(by_class, counts, strict=True))
        assert right / 540 == pytest.approx(float(row["accuracy"]))
        assert int(row["errors"]) == 540 - round(right)
    student = facts["unseen"]["student"]
    assert student["classes"] == [3]
    # 183 threes of 1,797 digits, 55 of which are test examples; the teacher learned from the others.
    assert student["share"] == pytest.approx(128 / 1257)
    row = left.row("student")
    assert float(row["accuracy_prior"]) == student["prior"]["accuracy"]
    assert float(row["shift_oracle"]) == student["oracle"]["shift"]
    assert float(row["accuracy_oracle"]) >= max(float(row["accuracy"]), float(row["accuracy_prior"]))
    assert left.row("teacher")["accuracy_prior"] == ""


def test_a_run_that_shows_every_class_has_nothing_to_correct(train):
    left = train(*SMOKE)
    assert left.facts["unseen"] == {}
    assert left.row("student")["accuracy_prior"] == ""
    assert left.row("student")["errors"] != ""


def test_the_teacher_of_students_whose_pictures_stay_is_asked_once_per_example(train):
    words = (*SMOKE, "dataset.augment=jitter", "dataset.jitter=1")
    assert train(*words).facts["teacher_outputs"] == "live"
    still = train(*words, "dataset.transfer_augment=none")
    assert still.facts["teacher_outputs"] == "cached"
    assert still.row("teacher")["reused"] == "true"

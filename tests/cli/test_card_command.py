"""`distill card` on a run that was trained."""

from __future__ import annotations

import csv
import shutil

import yaml


def test_a_card_is_left_in_the_run_and_nothing_else(distill, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    ended = distill("card", "run")
    assert (ended.code, ended.out, ended.err, ended.left) == (0, "Written: run/card.md\n", "", ("run/card.md",))
    text = (tmp_path / "run" / "card.md").read_text(encoding="utf-8")
    with (trained / "results.csv").open(newline="") as file:
        student = next(row for row in csv.DictReader(file) if row["role"] == "student")
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["model-index"][0]["results"][0]["metrics"][0]["value"] == float(student["accuracy"])
    for words in (
        "hparams=smoke dataset.val_fraction=0.2",
        f"`{student['signature']}`",
        "distill predict run picture.png --role student",
        "Examples: 128 to learn from (of 1,006 that there are to train on), 251 held out",
        "### By class",
        "Most frequent mistakes",
        "Versions: python",
    ):
        assert words in text


def test_a_dash_prints_it_and_leaves_nothing(distill, trained):
    ended = distill("card", str(trained), "--role", "teacher", "--output", "-")
    assert (ended.code, ended.err, ended.left) == (0, "", ())
    assert ended.out.startswith("---\nlibrary_name: distill\n")
    assert "# mlp-400, a teacher for digits" in ended.out


def test_a_mistake_is_told_in_one_sentence(distill, trained):
    for words in ([], ["nothing"], [str(trained), "--role", "pupil"], [str(trained), "more"]):
        ended = distill("card", *words, "--output", "card.md")
        assert (ended.code, ended.out, ended.left) == (2, "", ())
        assert len(ended.err.splitlines()) == 1

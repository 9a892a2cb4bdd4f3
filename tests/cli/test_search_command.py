"""`distill search` from its command line to its folder, on the digits."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra

from distill import cli
from distill.config.overrides import of_run
from distill.experiments.saved import REGISTRIES
from distill.search import run as searching
from distill.search import search
from distill.search.trainer import Diverged, Trainer
from distill.training import latency

WORDS = ("space=mlp", "budget.params=2500", "strategy=random", "trials=4", "hparams=smoke")


def run(folder: Path, *words: str, drawn: bool = False) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYDRA_FULL_ERROR", "1")
        patch.setattr(latency, "_REPEATS", 5)  # timing takes longer than training here
        if not drawn:  # which takes longer than all else
            patch.setattr(searching, "draw", lambda outcome, path: path)
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["distill", *words])
        GlobalHydra.instance().clear()
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Path:
    """A folder in which a search has been made; tests leave what is there as it is."""
    folder = tmp_path_factory.mktemp("searched")
    assert run(folder, "search", *WORDS, drawn=True) == 0
    return folder


def only(folder: Path) -> Path:
    (found,) = (folder / "outputs" / "searches").iterdir()
    return found


def table(folder: Path) -> list[dict[str, str]]:
    with (only(folder) / "search.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def facts(folder: Path) -> dict[str, Any]:
    return json.loads((only(folder) / "search.json").read_text(encoding="utf-8"))


def kept(folder: Path) -> dict[str, float]:
    metas = (folder / "outputs" / "store").glob("*/meta.json")
    return {meta.parent.name: json.loads(meta.read_text(encoding="utf-8"))["created"] for meta in metas}


def test_no_candidate_is_over_the_budget_and_a_third_is_trained_in_full(searched):
    rows = table(searched)
    assert len(rows) == len({row["candidate"] for row in rows}) == 4
    assert all(int(row["params"]) <= 2500 for row in rows)
    assert facts(searched)["rungs"] == [1, 2]
    assert sorted(row["epochs"] for row in rows) == ["1", "1", "2", "2"]
    assert all((row["stopped"] == "true") == (row["epochs"] == "1") for row in rows)
    assert facts(searched)["strategies"]["random"]["epochs"] == 4 * 1 + 2 * 2


def test_the_winner_has_the_best_validation_accuracy_and_test_is_told_of_the_front_alone(searched):
    full = [row for row in table(searched) if row["stopped"] == "false"]
    best = max(full, key=lambda row: (float(row["val_accuracy"]), -int(row["params"])))
    assert facts(searched)["winner"]["overrides"] == best["overrides"]
    assert best["on_front"] == "true"
    assert all((row["test_accuracy"] != "") == (row["on_front"] == "true") for row in table(searched))


def test_the_teacher_is_trained_once_and_no_baseline(searched):
    roles = [name.rpartition("-")[0] for name in kept(searched)]
    assert sorted(roles) == ["student"] * 6 + ["teacher"]


def test_the_front_is_drawn(searched):
    assert (only(searched) / "front.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_of_a_finalist_takes_it_from_the_store(searched):
    before = kept(searched)
    winner = facts(searched)["winner"]
    words = [*shlex.split(winner["overrides"]), "hparams=smoke", "dataset.val_fraction=0.2", "verbosity=quiet"]
    assert run(searched, "train", *words) == 0
    added = set(kept(searched)) - set(before)
    assert [name.rpartition("-")[0] for name in added] == ["baseline"]
    (left,) = (searched / "outputs" / "runs").iterdir()
    with (left / "results.csv").open(encoding="utf-8", newline="") as file:
        student = next(row for row in csv.DictReader(file) if row["role"] == "student")
    assert float(student["accuracy"]) == winner["test_accuracy"]


def test_the_next_command_is_one_that_composes(searched):
    words = shlex.split(facts(searched)["next"])
    assert words[:3] == ["distill", "train", "-m"]
    single = [word.partition(",")[0] if word.startswith("seed=") else word for word in words[3:]]
    GlobalHydra.instance().clear()
    assert of_run(single, REGISTRIES).run.seed == 1


def test_an_interrupted_search_goes_on_in_its_folder_and_ends_as_if_it_never_stopped(searched, tmp_path, monkeypatch):
    trained: list[int] = []
    whole = Trainer.train

    def stopping(self, options, epochs):
        trained.append(epochs)
        if len(trained) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return whole(self, options, epochs)

    monkeypatch.setattr(Trainer, "train", stopping)
    assert run(tmp_path, "search", *WORDS) == 130
    assert facts(tmp_path)["status"] == "interrupted"
    assert len(table(tmp_path)) == 2
    before = kept(tmp_path)
    monkeypatch.setattr(Trainer, "train", whole)
    assert run(tmp_path, "search", *WORDS) == 0
    assert facts(tmp_path)["status"] == "finished"
    same = (
        "strategy",
        "trial",
        "candidate",
        "epochs",
        "stopped",
        "val_accuracy",
        "on_front",
        "test_accuracy",
        "params",
    )
    ended, alone = ([[row[key] for key in same] for row in table(folder)] for folder in (tmp_path, searched))
    assert ended == alone
    after = kept(tmp_path)
    assert before.items() <= after.items()  # nothing was trained twice
    assert {name for name in after if name in kept(searched)} == set(after)


def test_the_same_command_again_trains_nothing(searched, tmp_path):
    stored = kept(searched)
    assert run(tmp_path, "search", *WORDS, f"store.dir={searched / 'outputs' / 'store'}") == 0
    assert kept(searched) == stored
    assert all(row["reused"] == "true" for row in table(tmp_path))


def test_a_candidate_that_diverges_is_counted_and_another_takes_its_place(searched, tmp_path, monkeypatch):
    whole, asked = Trainer.train, []

    def failing(self, options, epochs):
        asked.append(options)
        if len(asked) == 1:
            raise Diverged("The loss is nan.")
        return whole(self, options, epochs)

    monkeypatch.setattr(Trainer, "train", failing)
    assert run(tmp_path, "search", *WORDS, f"store.dir={searched / 'outputs' / 'store'}") == 0
    found = facts(tmp_path)["strategies"]["random"]
    assert (found["trained"], found["rejected"]["diverged"]) == (4, 1)


def test_both_strategies_are_told_at_the_same_cost(searched, tmp_path, capfd):
    pytest.importorskip("optuna")
    words = [word for word in WORDS if not word.startswith("strategy=")]
    assert run(tmp_path, "search", *words, f"store.dir={searched / 'outputs' / 'store'}") == 0
    found = facts(tmp_path)["strategies"]
    assert list(found) == ["random", "tpe"]
    assert found["random"]["epochs"] == found["tpe"]["epochs"] == 8
    assert "TPE's best has" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["budget.params=10", "strategy=random"],
            r"distill: budget.params=10 is not allowed: none of \d+ candidates of space=mlp keeps it; the least they "
            r"had was [\d,]+ parameters.",
        ),
        (["method=simkd", "strategy=random"], r"(?s).*method=simkd is not allowed: it makes another network"),
        (["strategy=random", "dataset.val_fraction=0"], r"distill: dataset.val_fraction=0 is not allowed: candidates "),
        (["strategy=random", "methd=none", "T=0"], r"distill: There is no key methd \(did you mean 'method'\?\)"),
    ],
)
def test_what_is_impossible_is_told_before_anything_trains(distill: Callable[..., Any], monkeypatch, words, said):
    monkeypatch.setattr(search, "_MOST_COSTLY", 3)
    monkeypatch.setattr(search, "_MOST_MISSES", 50)
    ended = distill("search", "space=mlp", "hparams=smoke", *words)
    assert ended.code == 2
    assert re.match(said, ended.err)
    assert ended.left == ()


def test_spaces_are_listed_and_shown_as_they_stand(distill):
    listed = distill("list", "spaces")
    assert all(name in listed.out for name in ("all", "conv", "mlp", "resnet"))
    assert "widths: {layers: [1, 2, 3], each: {from: 8, to: 512}}" in distill("list", "spaces", "mlp").out

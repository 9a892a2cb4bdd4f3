"""Model cards, of runs whose numbers can be checked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from distill.errors import DistillError
from distill.results.card.page import page

from .conftest import network, three

HPARAMS = {"epochs": 4, "optimizer": "adamw", "grad_clip": None, "limit_examples": None}
CONFIG = {
    "teacher": {"name": "mlp", "widths": [1200, 1200]},
    "student": {"name": "mlp", "widths": [30]},
    "dataset": {"name": "digits", "augment": "none", "cutout": 3},
    "method": {"name": "hinton", "T": 4.0, "alpha": 0.9},
    "hparams": {"teacher": HPARAMS, "student": HPARAMS},
}
DATA = {
    "name": "digits",
    "fingerprint": "f00d",
    "classes": ["cat", "dog|fox"],
    "train": 1257,
    "transfer": 300,
    "val": 0,
    "test": 400,
    "input_shape": [1, 8, 8],
    "maximum": 16.0,
    "normalization": {"offset": [4.5], "scale": [0.25]},
    "test_by_class": [100, 300],
}


@pytest.fixture
def run(leave):
    """Leaves a run with all that a card tells."""

    def leave_run(where: str = "run", seed: int = 0, student: float = 0.955, **more) -> Path:
        rows = [{**row, "device": "cpu", "nll": 0.25, "ece": 0.08} for row in three(student=student, seed=seed)]
        facts = {"finished": "2026-11-21", "seed": seed, "device": {"name": "cpu", "processor": "x", "platform": "y"}}
        folder = leave(where, rows, **{"dataset": DATA, **facts, **more})
        (folder / "config.resolved.yaml").write_text(yaml.safe_dump(CONFIG))
        measured = {"class_accuracy": [0.85, 0.99], "confusions": [[0, 1, 15], [1, 0, 3]]}
        (folder / "details.json").write_text(json.dumps({"networks": {"student": measured}}))
        return folder

    return leave_run


def test_it_tells_what_the_network_is_and_what_was_measured(run):
    text, folder = page(run())
    assert folder.name == "run"
    body = " ".join(text.split())
    for words in (
        "# mlp-30, a distilled student for digits",
        "taught by mlp-1200-1200 (2,395,210 parameters) on digits with the method `hinton` (T=4, alpha=0.9)",
        "It classifies 95.50 % of 400 test examples right, 1.50 points more than the same network trained on labels",
        "Not recorded: a run knows what it measured",
        "licence CC BY 4.0",
        "Examples: 300 to learn from (of 1,257 that there are to train on), 0 held out for validation, 400 to test on.",
        "pictures of 0 (black) to 16 (white), 1x8x8, normalised as (input - [4.5]) * [0.25] per channel",
        "Changes to the examples: cutout=3.",
        "| `hparams.epochs` | `4` |",
        "cat taken for dog|fox 15 times; dog|fox taken for cat 3 times",
        "cat is recognised in 85.0 % of its examples",
        "Its probabilities are off by 8.0 points on average",
        # sqrt(0.955 * 0.045 / 400)
        "the standard error of an accuracy on 400 examples is ± 1.04 points",
        "Seeds: one (seed 0)",
        "distill train",
    ):
        assert words in body
    assert "grad_clip" not in text
    assert body.index("| cat | 85.00 | 100 |") < body.index("| dog\\|fox | 99.00 | 300 |")


def test_its_head_is_yaml_with_the_metrics(run):
    head = yaml.safe_load(page(run())[0].split("---\n")[1])
    (model,) = head["model-index"]
    assert model["name"] == "mlp-30"
    assert model["results"][0]["metrics"][0] == {"type": "accuracy", "value": 0.955}
    assert head["metrics"] == ["accuracy", "nll", "ece"]
    assert {"knowledge-distillation", "image-classification", "hinton"} <= set(head["tags"])


def test_a_teacher_has_a_card_too(run):
    text, _ = page(run(), "teacher")
    assert "# mlp-1200-1200, a teacher for digits" in text
    assert "trained on the labels of digits" in text
    assert "Examples: 1,257 to learn from" in text
    assert "`method.T`" not in text


def test_other_seeds_of_its_sweep_tell_how_sure_it_is(run):
    """Gains of 1, 2 and 3 points: mean 2, standard deviation 1; of 2^3 flips 2 give a sum as far from 0."""
    folders = [
        run(f"outputs/sweeps/s/{seed}", seed, student, sweep=True, overrides={"seed": str(seed)})
        for seed, student in enumerate((0.95, 0.96, 0.97))
    ]
    body = " ".join(page(folders[2])[0].split())
    assert "Seeds: 3 of this setting lie beside this run. Their mean accuracy is 96.00 ± 1.00 %" in body
    assert "Gain over the baseline of the same seed: +2.00 ± 1.00 points" in body
    assert "better in 3/3 seeds, p = .25 by sign flips; 3 seeds cannot give less than .25." in body
    assert "This job of the sweep: seed=2." in body


def test_a_setting_among_several_has_its_p_corrected(run):
    """Of the four flips of three seeds, one more takes (1, -1, .5) further from 0 than (1, 2, 3) is: 2 of 4."""
    students = {"1": (0.95, 0.96, 0.97), "2": (0.95, 0.93, 0.945)}
    folders = [
        run(f"outputs/sweeps/s/{lr}{seed}", seed, student, sweep=True, overrides={"seed": str(seed), "lr": lr})
        for lr, accuracies in students.items()
        for seed, student in enumerate(accuracies)
    ]
    assert "p = .25 (.5 corrected for the 2 settings of the sweep) by sign flips" in page(folders[0])[0]


def test_weights_that_were_deleted_are_neither_named_nor_used(run):
    text, _ = page(run())
    assert "Its weights are not kept any more" in text
    assert "safetensors" not in text
    assert "distill predict" not in text
    assert "open_run" not in text


def test_a_file_of_weights_names_its_network(run):
    weights = run() / "checkpoints" / "baseline.safetensors"
    weights.parent.mkdir()
    weights.touch()
    text, _ = page(weights)
    assert "a baseline for digits" in text
    assert f"Its weights are `{weights}`." in text


def test_what_is_no_finished_run_has_no_card(run, leave, tmp_path):
    with pytest.raises(DistillError, match="There is no"):
        page(tmp_path / "nothing")
    run("runs/one")
    with pytest.raises(DistillError, match="holds several runs: give the folder of one"):
        page(tmp_path / "runs")
    with pytest.raises(DistillError, match="is not a run"):
        page(tmp_path)
    with pytest.raises(DistillError, match=r"--role pupil is not allowed: .* has teacher, baseline, student"):
        page(tmp_path / "runs" / "one", "pupil")
    with pytest.raises(DistillError, match="has not finished \\(failed\\): a card is of a run that has"):
        page(leave("failed", None, status="failed", error="boom"))
    with pytest.raises(DistillError, match="does not say what was trained"):
        page(leave("old", three()))


def test_of_networks_between_teacher_and_student_it_claims_no_more_than_is_known(leave):
    between = [
        {**network("generation_1", 0.95, 1_276_810, "g", method="ban", T=1.0, alpha=0.5), "device": "cpu"},
        {**network("ensemble", 0.96, 2_553_620, "e"), "device": "cpu"},
    ]
    device = {"name": "cpu", "processor": "x", "platform": "y"}
    rows = [*three(method="ban"), *between]
    folder = leave("run", rows, dataset=DATA, seed=0, finished="2026-11-21", device=device)
    (folder / "config.resolved.yaml").write_text(yaml.safe_dump({**CONFIG, "method": {"name": "ban", "T": 1.0}}))

    def told(role: str) -> str:
        return " ".join(page(folder, role)[0].split())

    assert "taught on digits with the method `ban` (T=1, alpha=0.5)" in told("generation_1")
    assert "| `method.T` | `1.0` |" in told("generation_1")
    assert "parameters, the mean answer of several networks of its run." in told("ensemble")
    # Whether the teacher or a generation taught it, the record does not say.
    assert "parameters, taught on digits with the method `ban`" in told("student")
    assert "the teacher of the run classifies" in told("student")

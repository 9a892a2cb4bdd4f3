"""`distill eval RUN shift=... adapt=test_time`: what it prints and writes, and what it refuses."""

import csv
import hashlib
import shutil
from pathlib import Path

import pytest


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def digests(run: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (run / "checkpoints").iterdir()}


def test_each_network_and_shift_has_a_line_before_and_after_and_the_stored_weights_stay(distill, trained, tmp_path):
    before = digests(trained)
    words = (str(trained), "shift=noise,jitter", "shift.severity=2", "adapt=test_time", "adapt.batch_size=50")
    ended = distill("eval", *words, "adapt.lr=1e-2", "--csv", "first.csv")
    assert (ended.code, ended.err, ended.left) == (0, "", ("first.csv",))
    found = rows(tmp_path / "first.csv")
    states = [(row["shift"], row["severity"], row["adapt"]) for row in found if row["role"] == "student"]
    under = [(name, "2", adapt) for name in ("noise", "jitter") for adapt in ("none", "test_time")]
    assert states == [("none", "", "none"), *under]
    assert len(found) == 3 * 5
    own = {row["role"]: row["accuracy"] for row in rows(trained / "results.csv")}
    assert {row["role"]: row["accuracy"] for row in found if row["shift"] == "none"} == own
    for word in ("noise 2", "jitter 2", "adapted", "Adaptation raised"):
        assert word in ended.out
    assert "without labels" in " ".join(ended.out.split())
    assert distill("eval", *words, "adapt.lr=1e-2", "--csv", "second.csv").out == ended.out.replace("first", "second")
    assert rows(tmp_path / "second.csv") == found
    assert digests(trained) == before


def test_a_shift_alone_and_adaptation_alone(distill, trained, tmp_path):
    student = str(trained / "checkpoints" / "student.safetensors")
    shift = distill("eval", student, "shift=blur", "--csv", "shift.csv")
    assert (shift.code, "adapted" in shift.out) == (0, False)
    assert [row["shift"] for row in rows(tmp_path / "shift.csv")] == ["none", "blur"]
    adapt = distill("eval", student, "adapt=test_time", "--csv", "adapt.csv")
    assert (adapt.code, "shifted" in adapt.out) == (0, False)
    assert [(row["shift"], row["adapt"]) for row in rows(tmp_path / "adapt.csv")] == [
        ("none", "none"),
        ("none", "test_time"),
    ]


def test_weights_that_no_run_left_adapt_as_well(distill, trained, tmp_path):
    shutil.copy(trained / "checkpoints" / "student.safetensors", tmp_path / "net.safetensors")
    words = ("net.safetensors", "model=mlp_32", "dataset=digits", "shift=noise", "adapt=test_time")
    ended = distill("eval", *words, "--csv", "net.csv")
    assert ended.code == 0, ended.err
    assert [row["adapt"] for row in rows(tmp_path / "net.csv")] == ["none", "none", "test_time"]


@pytest.mark.parametrize(
    ("line", "fragments"),
    [
        ("RUN shift=nose", ["shift=nose is not allowed (did you mean 'noise'?)", "none, noise, jitter, blur"]),
        ("RUN shift=noise,fog", ["shift=fog is not allowed"]),
        ("RUN adapt=tent", ["adapt=tent is not allowed", "none, test_time"]),
        ("RUN shift=noise shift.severity=6", ["shift.severity=6 is not allowed", "less than or equal to 5"]),
        ("RUN shift=noise shift.severty=2", ["no key shift.severty (did you mean 'severity'?)", "shift.seed"]),
        ("RUN shift.severity=2", ["without shift=noise it has no effect"]),
        ("RUN shift=noise adapt.lr=0.1", ["without adapt=test_time it has no effect"]),
        ("RUN adapt=test_time adapt.lr=0", ["adapt.lr=0", "greater than 0"]),
        ("RUN adapt=test_time adapt.lr=fast", ["adapt.lr=fast", "number"]),
        ("RUN adapt=test_time adapt.lr=[", ["adapt.lr=[ cannot be read"]),
        ("RUN adapt=test_time adapt.batch_size=1", ["adapt.batch_size=1", "greater than or equal to 2"]),
        ("RUN adapt=test_time adapt.parameters=norm", ["no normalisation layer", "adapt.parameters=all"]),
        ("RUN adapt=test_time precision=bf16", ["precision=bf16 is not allowed", "fp32"]),
        (
            "net.safetensors model=mlp_32 dataset=synthetic_regression shift=noise",
            ["shift=noise is not allowed", "real-valued targets"],
        ),
        ("net.onnx adapt=test_time model=mlp_32 dataset=digits", ["an exported file cannot learn"]),
        ("RUN/student.pt2 shift=noise adapt=test_time", ["an exported file cannot learn"]),
    ],
)
def test_a_mistake_is_told_in_one_sentence(distill, trained, tmp_path, line, fragments):
    shutil.copy(trained / "checkpoints" / "student.safetensors", tmp_path / "net.safetensors")
    ended = distill("eval", *(word.replace("RUN", str(trained)) for word in line.split()), "--csv", "none.csv")
    assert (ended.code, ended.out, ended.left) == (2, "", ()), ended.err
    assert len(ended.err.splitlines()) == 1
    for fragment in fragments:
        assert fragment in ended.err

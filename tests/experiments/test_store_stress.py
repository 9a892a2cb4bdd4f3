"""The store when many processes want it at once, when some are killed, and when files in it go bad."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from distill.errors import DistillError
from distill.experiments import signature as signatures
from distill.experiments.store import FORMAT, Store
from distill.results import collect, records

SMOKE = ("hparams=smoke", "verbosity=quiet")


def tables(folder: Path, read_table) -> list[dict[str, str]]:
    return [row for path in sorted(folder.glob("*/results.csv")) for row in read_table(path)]


def test_eight_processes_with_one_sweep_train_every_network_once(start, tmp_path, read_table):
    """One of them is killed in the midst of it; `distill report` looks on all the time."""
    sweep = ("-m", *SMOKE, "T=1,4")
    processes = [start(*sweep) for _ in range(8)]
    victim = processes.pop()
    outputs = tmp_path / "outputs"
    looking = [sys.executable, "-m", "distill", "report", "outputs", "-o", "looked"]
    for line in victim.said:
        if line.startswith("teacher"):  # it holds a lock now, or is about to
            break
    victim.kill()
    victim.ended()
    looked = subprocess.run(looking, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert looked.returncode == 0, looked.stderr
    for process in processes:
        said = process.ended()
        assert process.returncode == 0, said

    (cut_short,) = [folder for folder in (outputs / "sweeps").iterdir() if not (folder / "results.csv").exists()]
    whole = [folder for folder in (outputs / "sweeps").iterdir() if folder != cut_short]
    rows = [row for folder in whole for row in tables(folder, read_table)]
    assert Counter((row["role"], row["T"]) for row in rows) == {
        ("teacher", ""): 14,
        ("baseline", ""): 14,
        ("student", "1.0"): 7,
        ("student", "4.0"): 7,
    }
    trained = Counter(
        (row["role"], row["T"]) for row in [*rows, *tables(cut_short, read_table)] if row["reused"] == "false"
    )
    assert set(trained) <= {("teacher", ""), ("baseline", ""), ("student", "1.0"), ("student", "4.0")}
    assert set(trained.values()) == {1}
    for role in ("teacher", "baseline", "student"):
        assert len({row["accuracy"] for row in rows if row["role"] == role and row["T"] in ("", "4.0")}) == 1
    assert len(list((outputs / "store").glob("*-*/meta.json"))) == 4
    assert not [path for path in (outputs / "store").iterdir() if "." in path.name]
    for folder in whole:  # the table of each sweep holds the rows of its jobs, each once
        joined = read_table(folder / "results.csv")
        assert Counter((row["role"], row["signature"]) for row in joined) == Counter(
            (row["role"], row["signature"]) for row in tables(folder, read_table)
        )


def test_a_run_that_ends_while_a_report_looks_at_it_is_finished(train, monkeypatch):
    """Its record said `running`, and by the time its process was looked for, both had come to their end."""
    left = train(*SMOKE)
    record = left.folder / "run.json"
    finished = record.read_text()
    record.write_text(json.dumps({**left.facts, "status": "running"}))

    def gone(process: dict[str, object]) -> bool:
        record.write_text(finished)
        return False

    monkeypatch.setattr(records, "is_alive", gone)
    found = collect.collect([left.folder])
    assert [run["status"] for run in found.runs] == ["finished"]
    assert found.rows["role"].tolist() == ["teacher", "baseline", "student"]


@pytest.fixture
def stored(train, tmp_path) -> Store:
    assert train(*SMOKE).code == 0
    return Store(tmp_path / "outputs" / "store")


@pytest.mark.parametrize("file", ["weights.safetensors", "meta.json"])
def test_a_bit_flipped_anywhere_in_a_network_is_noticed(stored, file, tmp_path):
    folder = next(stored.root.glob("baseline-*"))
    identity = folder.name.partition("-")[2]
    whole = (folder / file).read_bytes()
    for position in range(0, len(whole), max(1, len(whole) // 50)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 7
        (folder / file).write_bytes(damaged)
        said: list[str] = []
        assert stored.find("baseline", identity, said.append) is None, position
        (line,) = said
        assert "is damaged (" in line
        next(stored.root.glob(f"{folder.name}.damaged-*")).rename(folder)
    (folder / file).write_bytes(whole)
    assert stored.find("baseline", identity, pytest.fail) is not None


def test_a_damaged_network_is_set_aside_and_trained_again_to_the_same(stored, train, tmp_path):
    weights = next(stored.root.glob("teacher-*")) / "weights.safetensors"
    whole = weights.read_bytes()
    shutil.copy(weights, tmp_path / "damaged")  # the run's folder has the very same file
    weights.unlink()
    weights.write_bytes(whole[:-1])
    again = train(*SMOKE)
    assert again.code == 0
    assert (
        "is damaged (weights.safetensors has changed since it was written); it is set aside as teacher-" in again.said
    )
    assert again.row("teacher")["reused"] == "false"
    assert weights.read_bytes() == whole
    assert len(list(stored.root.glob("teacher-*.damaged-*"))) == 1


def test_a_network_under_the_name_of_another_is_noticed(stored):
    teacher = next(stored.root.glob("teacher-*"))
    shutil.copytree(teacher, stored.root / "teacher-0000000000000000")
    said: list[str] = []
    assert stored.find("teacher", "0" * 16, said.append) is None
    assert f"is damaged (it is {teacher.name})" in said[0]


def test_a_network_of_a_newer_version_is_left_alone(stored, train):
    folder = next(stored.root.glob("teacher-*"))
    meta = folder / "meta.json"
    said = json.loads(meta.read_text())
    said["format"] = FORMAT + 1
    said["new"] = "something that this version does not know"
    del said["seal"]
    said["seal"] = sealed(said)
    meta.write_text(json.dumps(said))
    before = meta.read_bytes()
    again = train(*SMOKE)
    assert again.code == 2
    (line,) = [line for line in again.said.splitlines() if line.startswith("distill: ")]
    assert f"teacher-{folder.name[8:]} is of another version of distill" in line
    assert "store.dir=FOLDER" in line
    assert meta.read_bytes() == before


def sealed(meta: dict) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def test_another_recipe_takes_nothing_and_disturbs_nothing(stored, train, monkeypatch):
    before = {path: path.read_bytes() for path in stored.root.rglob("*") if path.is_file()}
    monkeypatch.setattr(signatures, "RECIPE", signatures.RECIPE + 1)
    other = train(*SMOKE)
    assert other.code == 0
    assert [row["reused"] for row in other.rows] == ["false"] * 3
    assert {path: path.read_bytes() for path in before} == before
    assert len(stored.artifacts()) == 6


@pytest.mark.parametrize("change", ["recipe", "hparams", "seed"])
def test_no_other_training_finds_a_checkpoint(change, configure, stored):
    """Its folder is named by the signature, which holds all of these."""
    (found,) = stored.root.glob("student-*/meta.json")
    made_of = json.loads(found.read_text())["ingredients"]
    known = signatures.signature(made_of)
    assert known == found.parent.name.partition("-")[2]
    if change == "recipe":
        made_of["recipe"] += 1
    elif change == "hparams":
        made_of["hparams"]["lr"] *= 2
    else:
        made_of["model"]["seed"] += 1
    assert stored.checkpoint("student", signatures.signature(made_of)) != stored.checkpoint("student", known)


def test_half_a_replacement_is_undone(stored):
    """As a process leaves it that is killed between the two renames of a replacement."""
    folder = next(stored.root.glob("teacher-*"))
    folder.rename(folder.with_name(f"{folder.name}.replaced-0123"))
    assert stored.find("teacher", folder.name.partition("-")[2], pytest.fail) is not None
    assert folder.is_dir()


def test_a_store_that_cannot_be_written_is_told_when_it_is_locked(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(DistillError, match=r"store\.dir=.*cannot be written: .*Not a directory; make it writable"),
        Store(tmp_path / "file" / "store").lock("teacher", "0" * 16, lambda: None),
    ):
        pytest.fail("it was locked")

"""Runs at the same time, and runs that are stopped: each in a process of its own."""

import json
import signal

import pytest
import torch

from distill.models import weights

LONG = ("hparams.teacher.epochs=60", "hparams.student.epochs=30", "teacher.dropout=0.1", "dataset.augment=jitter")


def _stopped(process, role: str, number: signal.Signals) -> tuple[int, int]:
    """The first epoch of a network that the process told of, when it gets the signal; and how it ended."""
    for line in process.said:
        if line.startswith(role) and " epoch " in line:
            process.send_signal(number)
            break
    else:
        pytest.fail(f"the {role} was not trained")
    process.ended()
    return int(line.split("epoch")[1].split("/")[0]), process.returncode


def test_a_stopped_run_continues_to_the_weights_of_one_that_was_not(start, train, tmp_path):
    assert _stopped(start(*LONG), "teacher", signal.SIGINT) == (1, 130)
    (record,) = (tmp_path / "outputs" / "runs").glob("*/run.json")
    assert json.loads(record.read_text(encoding="utf-8"))["status"] == "interrupted"
    assert [path.name[:8] for path in (tmp_path / "outputs" / "store").glob("*.partial")] == ["teacher-"]

    epoch, code = _stopped(start(*LONG), "teacher", signal.SIGTERM)
    assert code == 143
    assert epoch > 1

    process = start(*LONG)
    said = process.ended()
    assert process.returncode == 0, said
    assert "teacher   epoch  1/60" not in said
    assert list((tmp_path / "outputs" / "store").glob("*.partial")) == []
    stopped = max((tmp_path / "outputs" / "runs").iterdir())

    whole = train(*LONG, "store.dir=another")
    for role in ("teacher", "baseline", "student"):
        one, two = (weights.load(folder / "checkpoints" / f"{role}.safetensors") for folder in (stopped, whole.folder))
        assert all(torch.equal(one[name], two[name]) for name in one), role

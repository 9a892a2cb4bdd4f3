"""Signals at every moment of a run: it ends with 130 or 143 and a sentence, and the same command goes on."""

import importlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from distill.experiments.display import Display

SMOKE = ("hparams=smoke", "verbosity=quiet")
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}


def half_written(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if ".tmp" in path.name or ".new-" in path.name]


def stopped(left, number: signal.Signals) -> None:
    assert left.code == SIGNALS[number], left.said
    (line,) = [line for line in left.said.splitlines() if line.startswith("distill: ")]
    assert "give the same command again" in line
    assert "Traceback" not in left.said


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize(
    ("moment", "times", "number"),
    [
        ("distill.experiments.run.loaded", 1, signal.SIGTERM),
        ("distill.training.evaluate.total", 1, signal.SIGINT),
        ("distill.training.checkpoint.save", 1, signal.SIGTERM),
        ("distill.experiments.obtain.measure", 1, signal.SIGTERM),
        ("distill.experiments.obtain.measure", 2, signal.SIGINT),  # the second is one too many to be polite
        ("distill.experiments.run_folder.write_csv", 1, signal.SIGINT),
        ("distill.experiments.run_folder.curves", 1, signal.SIGTERM),
    ],
)
def test_a_signal_ends_the_run_and_the_same_command_goes_on(moment, times, number, train, tmp_path, monkeypatch):
    room, _, name = moment.rpartition(".")
    module = importlib.import_module(room)
    function = getattr(module, name)

    def interrupted(*words, **more):
        for _ in range(times):
            signal.raise_signal(number)
        return function(*words, **more)

    with monkeypatch.context() as patched:
        patched.setattr(module, name, interrupted)
        stopped(train(*SMOKE, "checkpoint.minutes=0.0001"), number)
    assert half_written(tmp_path) == []
    again = train(*SMOKE, "checkpoint.minutes=0.0001")
    assert again.code == 0
    assert again.facts["status"] == "finished"


def test_a_signal_ends_the_wait_for_another_process(train, tmp_path, monkeypatch):
    number = signal.SIGTERM
    assert train(*SMOKE).code == 0
    (lock,) = (tmp_path / "outputs" / "store" / "locks").glob("teacher-*.lock")
    monkeypatch.setattr(Display, "waiting", lambda *_: signal.raise_signal(number))
    with FileLock(lock):
        stopped(train(*SMOKE), number)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_torch_is_imported_leaves_no_traceback(number, tmp_path):
    words = [sys.executable, "-m", "distill", "train", *SMOKE]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    maps = Path(f"/proc/{process.pid}/maps")
    while process.poll() is None and "libtorch" not in maps.read_text():
        pass
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == SIGNALS[number], said
    assert said.splitlines() == [
        "distill: stopped; everything up to here is kept: give the same command again to continue."
    ]
    assert not (tmp_path / "outputs" / "store").exists()

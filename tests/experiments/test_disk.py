"""Disks that are full, folders that are read-only or go away: one sentence, and what was there before stays."""

import errno
import io
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from distill import files
from distill.experiments import store
from distill.experiments.display import Display
from distill.experiments.obtain import Workshop

SMOKE = ("hparams=smoke", "verbosity=quiet")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def half_written(folder: Path) -> list[Path]:
    marks = (".tmp", ".new-", ".replaced-", ".old-")
    return [path for path in folder.rglob("*") if any(mark in path.name for mark in marks)]


def sentence(left) -> str:
    """The one line that a command which failed had to say."""
    (line,) = [line for line in left.said.splitlines() if line.startswith("distill: ")]
    assert left.code == 2
    assert "Traceback" not in left.said
    return line.removeprefix("distill: ")


@pytest.mark.usefixtures("unhurried")
def test_a_disk_that_fills_up_at_any_file_costs_nothing_that_was_there(train, tmp_path, monkeypatch):
    written = {
        "config.resolved.yaml": "output",
        "run.json": "output",
        "weights.safetensors": "store.dir",
        "meta.json": "store.dir",
        "student.safetensors": "output",
        "metrics.csv": "output",
        "results.csv": "output",
        "curves.png": "output",
    }
    assert train(*SMOKE, "T=2").code == 0
    sync = files._sync
    for file, key in written.items():
        before = contents(tmp_path / "outputs")

        def full(path: Path, file: str = file) -> None:
            if f".{file}." in path.name:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(path)

        monkeypatch.setattr(files, "_sync", full)
        said = sentence(train(*SMOKE, "T=3"))
        folder = {"output": "outputs", "store.dir": "outputs/store"}[key]
        assert said.startswith(f"{key}={folder} cannot be written: ")
        assert f"{file}: No space left on device; free some space, or give {key}=FOLDER on another disk" in said
        after = contents(tmp_path / "outputs")
        assert {name: after[name] for name in before} == before
        assert half_written(tmp_path) == []
    monkeypatch.setattr(files, "_sync", sync)
    again = train(*SMOKE, "T=3")
    assert again.code == 0
    assert [row["reused"] for row in again.rows] == ["true"] * 3


class Full(io.StringIO):
    """A log on a full disk."""

    def write(self, *_: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_log_on_a_full_disk_is_no_reason_to_stop():
    display = Display(Console(file=Full()), quiet=False)
    display.say("teacher   epoch 1/2")
    display.warn("something")


def test_a_limit_on_the_size_of_files_is_told_as_such(train, tmp_path):
    """The operating system itself refuses here: the weights of the teacher are larger than a file may be."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64_000, limits[1]))
    try:
        said = sentence(train(*SMOKE))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "weights.safetensors: File too large; make it writable" in said
    assert half_written(tmp_path) == []
    assert train(*SMOKE).code == 0


def _mounted(folder: Path, options: str) -> bool:
    folder.mkdir(exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of its own."""
    folder = tmp_path / "disk"
    if shutil.which("mount") is None or not _mounted(folder, "size=2m"):
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def after_the_teacher(monkeypatch):
    """Lets something happen between the teacher and the baseline."""

    obtain = Workshop.obtain

    def arrange(happen) -> None:
        def obtained(self, node, *more):
            found = obtain(self, node, *more)
            if node.role == "teacher":
                happen()
            return found

        monkeypatch.setattr(Workshop, "obtain", obtained)

    return arrange


def _fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_disk_that_is_really_full_is_told_and_space_lets_the_run_go_on(
    small_disk, train, after_the_teacher, read_table
):
    after_the_teacher(lambda: _fill(small_disk))
    said = sentence(train(*SMOKE, "output=disk"))
    assert said.startswith("output=disk cannot be written: ")
    assert "No space left on device; free some space, or give output=FOLDER on another disk" in said
    assert half_written(small_disk) == []
    (small_disk / "filler").unlink()
    after_the_teacher(lambda: None)
    (run,) = (small_disk / "runs").iterdir()
    assert train(*SMOKE, "output=disk").code == 0
    (table,) = (path for path in (small_disk / "runs").glob("*/results.csv") if path.parent != run)
    assert [row["reused"] for row in read_table(table)] == ["true", "false", "false"]


@pytest.mark.parametrize("key", ["output", "store.dir"])
def test_a_read_only_folder_is_told(key, small_disk, train, tmp_path):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    said = sentence(train(*SMOKE, f"{key}=disk/x"))
    assert said.startswith(f"{key}=disk/x cannot be written: ")
    assert "Read-only file system" in said
    assert f"{key}=FOLDER" in said


def test_a_run_whose_folder_is_deleted_says_so_and_makes_no_new_one(train, after_the_teacher, tmp_path, monkeypatch):
    after_the_teacher(lambda: shutil.rmtree(tmp_path / "outputs" / "runs"))
    said = sentence(train(*SMOKE))
    assert "was deleted or moved while its run went on; give the same command again" in said
    assert not (tmp_path / "outputs" / "runs").exists()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    (teacher,) = (tmp_path / "outputs" / "store").glob("teacher-*/weights.safetensors")
    assert teacher.stat().st_size > 0


def test_a_run_whose_outputs_are_all_deleted_ends_with_a_sentence(train, after_the_teacher, tmp_path):
    after_the_teacher(lambda: shutil.rmtree(tmp_path / "outputs"))
    assert "was deleted or moved while its run went on" in sentence(train(*SMOKE))


def test_a_store_that_is_deleted_before_the_student_is_taught_is_told(train, after_the_teacher, tmp_path):
    after_the_teacher(lambda: shutil.rmtree(tmp_path / "outputs" / "store"))
    assert "cannot be " in sentence(train(*SMOKE))


def test_a_network_of_another_user_that_cannot_be_read_is_left_where_it_is(train, tmp_path, monkeypatch):
    assert train(*SMOKE).code == 0
    before = contents(tmp_path / "outputs" / "store")

    def refuse(folder: Path, *more: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder / "meta.json"))

    with monkeypatch.context() as patched:
        patched.setattr(store, "_read", refuse)
        said = sentence(train(*SMOKE))
    assert "store.dir=outputs/store cannot be read: " in said
    assert "Permission denied" in said
    assert contents(tmp_path / "outputs" / "store") == before

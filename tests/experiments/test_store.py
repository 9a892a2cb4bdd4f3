import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from distill.errors import DistillError
from distill.experiments import store_command
from distill.experiments.store import Record, Store

SIGNATURE = "0123456789abcdef"


def record(role: str = "teacher", signature: str = SIGNATURE, **more: Any) -> Record:
    values: dict[str, Any] = {
        "role": role,
        "signature": signature,
        "model": "mlp-4",
        "dataset": "digits",
        "method": "none",
        "ingredients": {"recipe": 1},
        "history": [{"role": role, "epoch": 1, "loss": 0.5}],
        "measures": {"accuracy": 0.75},
        "predictions": [3, 1, 4],
        "seconds": 1.5,
        "created": 1_700_000_000.0,
    }
    return Record(**{**values, **more})


def write(path: Path, adapters: Path) -> None:
    path.write_bytes(b"weights")


def refuse_warning(text: str) -> None:
    pytest.fail(text)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


def test_what_was_put_is_found_again(store):
    put = store.put(record(), write)
    found = store.find("teacher", SIGNATURE, refuse_warning)
    assert found is not None
    assert found.record == record()
    assert found.weights.read_bytes() == b"weights"
    assert found.folder == put.folder


def test_what_was_not_put_is_not_found(store):
    store.put(record(), write)
    assert store.find("baseline", SIGNATURE, refuse_warning) is None
    assert store.find("teacher", "f" * 16, refuse_warning) is None


def test_a_later_put_takes_the_place_of_an_earlier_one(store):
    store.put(record(), write)
    store.put(record(seconds=9.0), write)
    found = store.find("teacher", SIGNATURE, refuse_warning)
    assert found is not None
    assert found.record.seconds == 9.0
    assert [artifact.folder.name for artifact in store.artifacts()] == [f"teacher-{SIGNATURE}"]


@pytest.mark.parametrize("name", ["weights.safetensors", "adapters.safetensors"])
def test_a_flipped_bit_sets_the_network_aside_with_a_warning(store, name):
    def both(path: Path, adapters: Path) -> None:
        path.write_bytes(b"weights")
        adapters.write_bytes(b"adapters")

    damaged = store.put(record(), both).folder / name
    content = bytearray(damaged.read_bytes())
    content[2] ^= 1
    damaged.write_bytes(content)
    warnings: list[str] = []
    assert store.find("teacher", SIGNATURE, warnings.append) is None
    (aside,) = store.leftovers()
    assert f"{name} has changed" in warnings[0]
    assert aside.name in warnings[0]
    assert store.artifacts() == []
    assert store.find("teacher", SIGNATURE, refuse_warning) is None


@pytest.mark.parametrize("left", [0, 40])
def test_a_truncated_record_sets_the_network_aside(store, left):
    meta = store.put(record(), write).folder / "meta.json"
    meta.write_bytes(meta.read_bytes()[:left])
    warnings: list[str] = []
    assert store.artifacts() == []
    assert store.find("teacher", SIGNATURE, warnings.append) is None
    assert len(warnings) == len(store.leftovers()) == 1


def test_weights_that_are_gone_set_the_network_aside(store):
    store.put(record(), write).weights.unlink()
    warnings: list[str] = []
    assert store.find("teacher", SIGNATURE, warnings.append) is None
    assert len(warnings) == 1


def test_a_put_that_fails_leaves_nothing(store):
    def fail(path: Path, adapters: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with pytest.raises(DistillError, match=r"^store.dir=.*weights\.safetensors: No space left on device; free some"):
        store.put(record(), fail)
    assert list(store.root.iterdir()) == []


def test_a_put_that_fails_keeps_what_was_there(store):
    def fail(path: Path, adapters: Path) -> None:
        raise KeyboardInterrupt

    store.put(record(), write)
    with pytest.raises(KeyboardInterrupt):
        store.put(record(seconds=9.0), fail)
    found = store.find("teacher", SIGNATURE, refuse_warning)
    assert found is not None
    assert found.record.seconds == 1.5


def test_a_put_ends_the_unfinished_training(store):
    checkpoint = store.checkpoint("teacher", SIGNATURE)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"state")
    assert store.leftovers() == [checkpoint.parent]
    store.put(record(), write)
    assert store.leftovers() == []


def test_artifacts_come_newest_first(store):
    for number in (2, 3, 1):
        store.put(record(signature=str(number) * 16, created=float(number)), write)
    assert [artifact.record.created for artifact in store.artifacts()] == [3.0, 2.0, 1.0]


def test_a_folder_that_another_process_is_writing_is_no_leftover_until_a_day_later(store):
    fresh = store.root / f"teacher-{SIGNATURE}.new-1"
    fresh.mkdir(parents=True)
    assert store.leftovers() == []
    os.utime(fresh, (0, 0))
    assert store.leftovers() == [fresh]


@pytest.mark.parametrize("name", [SIGNATURE, "0123", f"teacher-{SIGNATURE}", "teacher-0"])
def test_a_network_is_removed_by_its_name_or_the_beginning_of_it(store, name, capsys):
    store.put(record(), write)
    store.put(record("student", "f" * 16), write)
    store_command.remove(store.root, [name], everything=False)
    assert [artifact.record.role for artifact in store.artifacts()] == ["student"]
    assert capsys.readouterr().out == f"removed teacher-{SIGNATURE}\n"


def test_removing_everything_takes_leftovers_along(store, capsys):
    store.put(record(), write)
    store.checkpoint("student", "f" * 16).parent.mkdir(parents=True)
    store_command.remove(store.root, [], everything=True)
    assert [path.name for path in store.root.iterdir()] == ["locks"]  # another process may hold one of them


@pytest.mark.parametrize("names", [[], ["abc"], [""], [SIGNATURE, "abc"]])
def test_removing_what_is_not_there_removes_nothing(store, names):
    store.put(record(), write)
    with pytest.raises(DistillError, match="distill store ls"):
        store_command.remove(store.root, names, everything=False)
    assert len(store.artifacts()) == 1


HOLD = """
import sys
from pathlib import Path
from distill.experiments.store import Store
with Store(Path(sys.argv[1])).lock("teacher", sys.argv[2], lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(store):
    """Another process that is training the teacher."""
    words = [sys.executable, "-c", HOLD, str(store.root), SIGNATURE]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_waits_for_the_process_that_holds_it_and_ends_when_that_is_killed(store, holder):
    looks: list[int | None] = []

    def waiting() -> None:
        looks.append(holder.poll())
        holder.kill()
        holder.wait()

    with store.lock("teacher", SIGNATURE, waiting):
        assert holder.poll() is not None
    assert looks[0] is None


def test_a_lock_of_another_network_does_not_wait(store, holder):
    with store.lock("teacher", "f" * 16, lambda: pytest.fail("it waits")):
        assert holder.poll() is None


def test_a_wait_can_be_given_up(store, holder):
    def give_up() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), store.lock("teacher", SIGNATURE, give_up):
        pytest.fail("it was held")


def test_a_network_in_training_is_not_removed(store, holder, capsys):
    partial = store.checkpoint("teacher", SIGNATURE).parent
    partial.mkdir(parents=True)
    with pytest.raises(DistillError, match="is being trained right now"):
        store_command.remove(store.root, [SIGNATURE], everything=False)
    assert partial.is_dir()

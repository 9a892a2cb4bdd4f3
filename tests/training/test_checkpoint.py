"""What a checkpoint refuses: damage, code, other versions, and states of other trainings."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from distill import files
from distill.errors import CheckpointError
from distill.training import checkpoint


def state() -> dict[str, Any]:
    return {"network": {"weight": torch.arange(200.0)}, "history": '[{"epoch": 1}]', "epoch": 1, "step": 3}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "teacher-0123.partial" / "checkpoint.pt"
    checkpoint.save(path, state())
    return path


def refused(path: Path) -> str:
    """The one line that says why training starts over."""
    said: list[str] = []
    assert checkpoint.load(path, said.append) is None
    (line,) = said
    assert "\n" not in line
    assert line.startswith(f"{path} cannot be read (")
    assert line.endswith("); training starts over.")
    return line


def test_a_bit_flipped_anywhere_is_noticed_or_makes_no_difference(saved):
    whole = saved.read_bytes()
    noticed = 0
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        saved.write_bytes(damaged)
        said: list[str] = []
        loaded = checkpoint.load(saved, said.append)
        noticed += loaded is None
        assert (loaded is None) == (len(said) == 1)
        if loaded is not None:
            assert torch.equal(loaded.pop("network")["weight"], state()["network"]["weight"])
            assert {key: loaded[key] for key in ("history", "epoch", "step")} == {
                key: state()[key] for key in ("history", "epoch", "step")
            }
    assert noticed > 200 * 4 / 7  # at least wherever a weight was hit


@pytest.mark.parametrize("left", [0, 10, 500, -1])
def test_a_truncated_checkpoint_is_said_to_be_damaged(saved, left):
    saved.write_bytes(saved.read_bytes()[:left])
    assert "(it is damaged)" in refused(saved)


class Malicious:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def test_a_malicious_pickle_is_not_opened(saved, monkeypatch):
    monkeypatch.chdir(saved.parent)
    torch.save({"format": 2, "torch": str(torch.__version__), "network": Malicious()}, saved)
    assert "it holds Python code (posix.system), not only tensors, and is not opened" in refused(saved)
    assert not Path("pwned").exists()


@pytest.mark.parametrize("content", [{"format": 0, "epoch": 3}, [1, 2], {"epoch": 3}])
def test_a_checkpoint_of_another_format_is_said(saved, content):
    torch.save(content, saved)
    assert "another version of distill wrote it" in refused(saved)


def test_a_checkpoint_of_another_torch_is_not_continued_from(saved, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "9.9.9")
    assert f"torch {checkpoint_torch(saved)} wrote it, and this is torch 9.9.9" in refused(saved)


def checkpoint_torch(path: Path) -> str:
    return torch.load(path, weights_only=True)["torch"]


def test_no_checkpoint_is_no_reason_for_words(tmp_path):
    assert checkpoint.load(tmp_path / "absent.pt", pytest.fail) is None


def test_what_killed_writers_left_is_removed(saved):
    for number in (1, 2):
        (saved.parent / f".checkpoint.pt.{number}.abcd.tmp").write_bytes(b"half")
    assert checkpoint.load(saved, pytest.fail) is not None
    assert [path.name for path in saved.parent.iterdir()] == ["checkpoint.pt"]


def test_a_full_disk_leaves_the_checkpoint_before(saved, monkeypatch):
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(files, "_sync", full)
        with pytest.raises(CheckpointError, match=r"checkpoint\.pt cannot be written: No space left on device; free"):
            checkpoint.save(saved, {**state(), "epoch": 2})
    assert [path.name for path in saved.parent.iterdir()] == ["checkpoint.pt"]
    loaded = checkpoint.load(saved, pytest.fail)
    assert loaded is not None
    assert loaded["epoch"] == 1


def test_a_state_that_does_not_fit_is_a_sentence(saved):
    network = torch.nn.Linear(2, 2)
    with pytest.raises(CheckpointError) as refusal, checkpoint.restoring(saved):
        network.load_state_dict({"weight": torch.zeros(3, 2)})
    assert str(refusal.value) == (
        f"{saved} is no state of this training (RuntimeError); "
        "`distill store rm teacher-0123.partial` lets it start over."
    )

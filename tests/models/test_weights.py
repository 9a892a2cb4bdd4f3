"""Files of weights are written whole, read without running code, and refused in one sentence."""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from distill.errors import CheckpointError
from distill.models.weights import file_digest, load, load_into, save


class Touch:
    """Makes a file when it is unpickled, as a malicious checkpoint would run a command."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def network(classes: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, classes))


def test_what_is_saved_is_loaded_again(tmp_path: Path):
    saved = network()
    save(saved.state_dict(), tmp_path / "weights.safetensors")
    loaded = network()
    load_into(loaded, tmp_path / "weights.safetensors")
    torch.testing.assert_close(loaded.state_dict(), saved.state_dict())


def test_shared_and_transposed_memory_can_be_saved(tmp_path: Path):
    shared = torch.arange(6.0).reshape(2, 3)
    save({"a": shared, "b": shared.T}, tmp_path / "weights.safetensors")
    torch.testing.assert_close(load(tmp_path / "weights.safetensors"), {"a": shared, "b": shared.T})


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "weights.safetensors"
    save({"a": torch.zeros(2)}, path)

    def full(*args: Any):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"No space left on device: .*/weights\.safetensors'$"):
        save({"a": torch.ones(2)}, path)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    torch.testing.assert_close(load(path), {"a": torch.zeros(2)})


def test_a_saved_file_has_the_permissions_of_any_new_file(tmp_path: Path):
    save({"a": torch.zeros(2)}, tmp_path / "weights.safetensors")
    (tmp_path / "plain").touch()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {"net": state}, "epoch": 3},
        lambda state: {"epoch": 240, "model": state, "accuracy": torch.tensor([75.6]), "optimizer": {"state": {}}},
        lambda state: {"model_state_dict": {f"module.{name}": one for name, one in state.items()}},
        lambda state: {f"_orig_mod.module.{name}": one for name, one in state.items()},
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
def test_the_wrappings_of_training_scripts_are_taken_off(
    tmp_path: Path, wrap: Callable[[dict[str, Tensor]], Any], suffix: str
):
    state = dict(network().state_dict())
    torch.save(wrap(state), tmp_path / f"weights{suffix}")
    torch.testing.assert_close(load(tmp_path / f"weights{suffix}"), state)


def by_torch(content: Any, path: Path) -> None:
    torch.save(content, path)


def by_old_torch(content: Any, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def by_pickle(content: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("write", [by_torch, by_old_torch, by_pickle])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path, write: Callable[[Any, Path], None]):
    path = tmp_path / "weights.pt"
    write({"state_dict": Touch(tmp_path / "ran")}, path)
    with pytest.raises(CheckpointError, match=r"teacher.checkpoint=.* holds Python code.*, not only tensors; refused"):
        load(path, "teacher.checkpoint")
    assert not (tmp_path / "ran").exists()


def test_a_whole_pickled_network_is_refused(tmp_path: Path):
    torch.save(nn.Linear(2, 2), tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match=r"holds Python code \(torch\.nn\.modules\.linear\.Linear\)"):
        load(tmp_path / "weights.pt")


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
@pytest.mark.parametrize("keep", [0, 5, 2000])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, keep: int):
    path = tmp_path / name
    state = {"a": torch.ones(1000)}
    torch.save(state, path) if path.suffix == ".pt" else safetensors.torch.save_file(state, path)
    os.truncate(path, keep)
    with pytest.raises(CheckpointError, match=r"checkpoint=.*it is damaged or not a file of weights"):
        load(path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("absent.pt", "there is no such file"),
        ("folder.pt", "it is not a file"),
        ("weights.onnx", r"the file's name must end in one of \.safetensors, \.pt"),
        ("list.pt", "it must hold a state dict"),
        ("mixed.pt", "'epoch' is int"),
    ],
)
def test_what_is_no_file_of_weights_is_told_in_a_sentence(tmp_path: Path, name: str, sentence: str):
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "weights.onnx").touch()
    torch.save([torch.ones(1)], tmp_path / "list.pt")
    torch.save({"a": torch.ones(1), "epoch": 3}, tmp_path / "mixed.pt")
    with pytest.raises(CheckpointError, match=f"student.checkpoint=.*{sentence}"):
        load(tmp_path / name, "student.checkpoint")


def test_a_misfit_is_counted_and_leaves_the_network_as_it_was(tmp_path: Path):
    other = nn.Sequential(nn.Linear(7, 5), nn.Identity(), nn.Linear(5, 3), nn.Linear(3, 3))
    save(other.state_dict(), tmp_path / "weights.safetensors")
    target = network()
    before = {name: one.clone() for name, one in target.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_into(target, tmp_path / "weights.safetensors", "teacher.checkpoint")
    sentence = str(caught.value)
    assert sentence.startswith(f"teacher.checkpoint={tmp_path / 'weights.safetensors'} does not fit the network")
    assert "5 missing (first: 1.weight)" in sentence
    assert "2 unexpected (first: 3." in sentence
    assert "1 misshapen (first: 0.weight is 5x7, needed 5x6)" in sentence
    torch.testing.assert_close(target.state_dict(), before)


def test_a_different_number_of_classes_is_named(tmp_path: Path):
    save(network(100).state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match="the file is for 100 classes and the network has 3"):
        load_into(network(3), tmp_path / "weights.safetensors")


def test_the_digest_is_the_sha_256_of_the_files_bytes(tmp_path: Path):
    (tmp_path / "weights.pt").write_bytes(b"distill")
    assert file_digest(tmp_path / "weights.pt") == hashlib.sha256(b"distill").hexdigest()
    with pytest.raises(CheckpointError, match="there is no such file"):
        file_digest(tmp_path / "absent.pt")

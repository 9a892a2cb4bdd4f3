import gzip
import hashlib
import pickle
import socket
import urllib.request
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from scipy.io import savemat
from torchvision import datasets as torchvision_datasets

from distill.data import load
from distill.data.sources.torchvision import TorchvisionOptions
from distill.errors import DataError

RANDOM = np.random.default_rng(0)
PICTURES = {"train": RANDOM.integers(0, 256, (20, 28, 28)), "t10k": RANDOM.integers(0, 256, (10, 28, 28))}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def idx(values: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    return header + values.astype(np.uint8).tobytes()


def mnist(root: Path, folder: str = "MNIST") -> Path:
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    for part, pictures in PICTURES.items():
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(pictures))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(len(pictures)) % 10))
    return raw


@pytest.mark.parametrize(
    ("name", "folder", "second_class"),
    [("mnist", "MNIST", "1"), ("fashion_mnist", "FashionMNIST", "Trouser"), ("kmnist", "KMNIST", "ki")],
)
def test_idx_files_that_are_there_are_read_without_a_word(tmp_path, capfd, name, folder, second_class):
    mnist(tmp_path, folder)
    dataset = load(TorchvisionOptions(name=name, root=str(tmp_path), download=False))
    assert torch.equal(dataset.train.tensor, torch.from_numpy(PICTURES["train"]).byte()[:, None])
    assert torch.equal(dataset.test.tensor, torch.from_numpy(PICTURES["t10k"]).byte()[:, None])
    assert dataset.train.labels.tolist() == list(range(10)) * 2
    assert dataset.classes[1] == second_class
    assert capfd.readouterr() == ("", "")


def test_archives_that_are_there_are_unpacked_even_when_downloads_are_off(tmp_path, monkeypatch, capfd):
    raw = mnist(tmp_path)
    resources = []
    for file in sorted(raw.iterdir()):
        packed = file.with_name(f"{file.name}.gz")
        packed.write_bytes(gzip.compress(file.read_bytes()))
        resources.append((packed.name, hashlib.md5(packed.read_bytes()).hexdigest()))
        file.unlink()
    monkeypatch.setattr(torchvision_datasets.MNIST, "resources", resources)
    dataset = load(TorchvisionOptions(name="mnist", root=str(tmp_path), download=False))
    assert len(dataset.train) == 20
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_truncated_files_are_refused_with_advice(tmp_path, file):
    damaged = mnist(tmp_path) / file
    damaged.write_bytes(damaged.read_bytes()[:-3])
    with pytest.raises(DataError, match=r"^mnist: the files in .* are truncated or damaged.*delete them"):
        load(TorchvisionOptions(name="mnist", root=str(tmp_path)))


def cifar(root: Path, name: str = "cifar10") -> np.ndarray:
    kind = {"cifar10": torchvision_datasets.CIFAR10, "cifar100": torchvision_datasets.CIFAR100}[name]
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    key = "labels" if name == "cifar10" else "fine_labels"
    pictures = np.random.default_rng(1).integers(0, 256, (10, 3, 32, 32)).astype(np.uint8)
    for file, _ in [*kind.train_list, *kind.test_list]:
        (folder / file).write_bytes(pickle.dumps({"data": pictures.reshape(10, -1), key: list(range(10))}))
    classes = [f"class {number}" for number in range(10 if name == "cifar10" else 100)]
    (folder / kind.meta["filename"]).write_bytes(pickle.dumps({kind.meta["key"]: classes}))
    return pictures


@pytest.fixture
def unchecked(monkeypatch):
    """Lets torchvision accept pickles other than the original ones."""
    for kind in (torchvision_datasets.CIFAR10, torchvision_datasets.CIFAR100):
        monkeypatch.setattr(kind, "_check_integrity", lambda self: True)
        monkeypatch.setattr(kind, "meta", kind.meta | {"md5": None})


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("name", "files", "classes"), [("cifar10", 5, 10), ("cifar100", 1, 100)])
def test_cifar_pictures_have_their_channels_first(tmp_path, name, files, classes):
    pictures = cifar(tmp_path, name)
    dataset = load(TorchvisionOptions(name=name, root=str(tmp_path)))
    assert torch.equal(dataset.train.tensor, torch.from_numpy(pictures).repeat(files, 1, 1, 1))
    assert dataset.train.labels.tolist() == list(range(10)) * files
    assert dataset.class_count == classes
    assert dataset.classes[3] == "class 3"


def test_cifar_files_other_than_the_original_ones_are_never_unpickled(tmp_path):
    cifar(tmp_path)
    with pytest.raises(DataError, match=r"^cifar10: the files in .* are truncated or damaged"):
        load(TorchvisionOptions(name="cifar10", root=str(tmp_path)))


def test_svhn_counts_its_tens_as_zeros(tmp_path, monkeypatch):
    pictures = np.random.default_rng(1).integers(0, 256, (32, 32, 3, 10)).astype(np.uint8)
    for part in ("train", "test"):
        savemat(tmp_path / f"{part}_32x32.mat", {"X": pictures, "y": np.arange(1, 11)[:, None]})
    monkeypatch.setattr(torchvision_datasets.SVHN, "_check_integrity", lambda self: True)
    dataset = load(TorchvisionOptions(name="svhn", root=str(tmp_path)))
    assert dataset.train.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert torch.equal(dataset.train.tensor, torch.from_numpy(pictures).permute(3, 2, 0, 1))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("mnist", r"train-images-idx3-ubyte\.gz, .*t10k-labels-idx1-ubyte\.gz into .*MNIST.raw"),
        ("cifar10", r"cifar-10-python\.tar\.gz into "),
    ],
)
def test_a_download_that_fails_was_announced_and_says_what_to_put_where(tmp_path, capfd, name, wanted):
    root = tmp_path / "data"
    with pytest.raises(DataError, match=rf"^{name} could not be downloaded \(.*no route.*\); put {wanted}"):
        load(TorchvisionOptions(name=name, root=str(root)))
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(f"Downloading {name} (about 1")
    assert socket.getdefaulttimeout() is None


def test_an_interrupted_download_leaves_no_file_that_passes_for_whole(tmp_path, monkeypatch):
    def interrupted(url, root, filename, md5):
        (Path(root) / filename).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("torchvision.datasets.svhn.download_url", interrupted)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    with pytest.raises(KeyboardInterrupt):
        load(TorchvisionOptions(name="svhn", root=str(tmp_path)))
    assert not (tmp_path / "train_32x32.mat").exists()


def test_without_download_nothing_is_fetched_or_made(tmp_path, capfd):
    with pytest.raises(DataError, match=r"^mnist is not in .* and dataset\.download=false; put train-images"):
        load(TorchvisionOptions(name="mnist", root=str(tmp_path / "data"), download=False))
    assert not (tmp_path / "data").exists()
    assert capfd.readouterr() == ("", "")

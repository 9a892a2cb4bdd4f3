import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from distill.data import Batches, Dataset, decoding, keeping, load
from distill.data.pictures import MappedPictures, PictureFiles
from distill.data.sources import imagefolder
from distill.data.sources.imagefolder import ImageFolderOptions
from distill.errors import DataError


@pytest.fixture
def photographs(tmp_path) -> Path:
    """JPEGs large enough to be decoded at a quarter of their size, in three classes."""
    random = np.random.default_rng(0)
    for part, count in (("train", 5), ("test", 2)):
        for label in range(3):
            for number in range(count):
                file = tmp_path / "photographs" / part / f"class{label}" / f"{number}.jpg"
                file.parent.mkdir(parents=True, exist_ok=True)
                pixels = random.integers(0, 256, (5, 6, 3)).astype(np.uint8)
                Image.fromarray(pixels).resize((48, 40), Image.Resampling.BICUBIC).save(file, quality=90)
    return tmp_path / "photographs"


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


def loaded(cache: Path, path: Path, **values: Any) -> Dataset:
    return load(ImageFolderOptions(cache=str(cache), path=str(path), **{"size": 8, **values}))


def arrays(cache: Path) -> list[Path]:
    return list(cache.glob("*.npy"))


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
def test_batches_are_the_same_bit_for_bit_wherever_pictures_are_kept(photographs, cache, augment):
    def shown(keep: str) -> tuple[str, list[torch.Tensor]]:
        dataset = loaded(
            cache, path=photographs, size=8, keep=keep, val_fraction=0.2, limit_test=4, augment=augment, workers=2
        )
        assert dataset.val is not None
        batches = Batches(dataset.train, 4, dataset.normalization, dataset.augment, seed=0)
        epochs = [batch.inputs for number in range(2) for batch in batches.epoch(number)]
        for split in (dataset.val, dataset.test):
            epochs += [
                batch.inputs for batch in Batches(split, 3, dataset.normalization, dataset.augment, 0).in_order()
            ]
        return dataset.fingerprint, epochs

    fingerprint, expected = shown("memory")
    for keep in ("disk", "none"):
        other, epochs = shown(keep)
        assert other == fingerprint
        assert [batch.shape for batch in epochs] == [batch.shape for batch in expected]
        assert all(torch.equal(one, two) for one, two in zip(epochs, expected, strict=True))


def test_with_keep_none_nothing_is_decoded_before_it_is_needed(photographs, cache, monkeypatch):
    decoded: list[Path] = []

    def noted(file: Path, size: int, channels: int) -> np.ndarray:
        decoded.append(file)
        return decoding.decode(file, size, channels)

    monkeypatch.setattr("distill.data.pictures.decode", noted)
    dataset = loaded(
        cache, path=photographs, size=8, keep="none", val_fraction=0.2, limit_train=6, limit_test=3, normalize="none"
    )
    assert isinstance(dataset.train.inputs, PictureFiles)
    assert (dataset.train.inputs.shape, dataset.train.inputs.nbytes) == ((6, 3, 8, 8), 6 * 192)
    assert (decoded, arrays(cache)) == ([], [])
    positions = torch.tensor([4, 1])
    both = dataset.train.inputs[positions]
    assert len(decoded) == 2
    in_memory = loaded(cache, path=photographs, size=8, keep="memory", val_fraction=0.2, limit_train=6)
    assert torch.equal(both, in_memory.train.tensor[positions])


def test_a_part_of_a_file_on_disk_stays_on_disk(photographs, cache):
    dataset = loaded(cache, path=photographs, size=8, keep="disk", limit_train=6)
    assert isinstance(dataset.train.inputs, MappedPictures)
    assert len(dataset.train.inputs) == 6
    dataset.train.inputs[torch.arange(6)].zero_()
    assert dataset.train.inputs[torch.arange(6)].float().mean() > 50


def test_a_broken_picture_is_named_when_an_epoch_meets_it(photographs, cache):
    (photographs / "train" / "class1" / "3.jpg").write_bytes(b"not a picture")
    dataset = loaded(cache, path=photographs, keep="none", normalize="none", workers=2)
    with pytest.raises(DataError, match=r"class1.3\.jpg is not a picture that can be read; remove or replace it\.$"):
        list(Batches(dataset.train, 4, dataset.normalization, dataset.augment, seed=0).epoch(0))


def test_a_batch_that_nobody_waits_for_any_more_ends_its_workers(photographs, cache):
    dataset = loaded(cache, path=photographs, size=8, keep="none", workers=3)
    before = threading.active_count()
    epoch = Batches(dataset.train, 2, dataset.normalization, dataset.augment, seed=0).epoch(0)
    next(epoch)
    assert threading.active_count() > before
    del epoch
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("memory", "disk", "kept", "told"),
    [
        (10**9, 0, torch.Tensor, "1.0 GB of memory are free: they are kept there."),
        (100, 10**9, MappedPictures, "100 B of memory are free, of which half may be used: they are read from "),
        (100, 100, PictureFiles, "are free, of which half may be used: they are decoded anew in each epoch."),
    ],
)
def test_auto_keeps_pictures_where_there_is_room_and_says_so(
    photographs, cache, capfd, monkeypatch, memory, disk, kept, told
):
    monkeypatch.setattr(keeping, "free_bytes", lambda device: memory)
    monkeypatch.setattr(keeping, "_disk_free", lambda folder: disk)
    dataset = loaded(cache, path=photographs)
    assert isinstance(dataset.train.inputs, kept)
    said = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("Decoding")]
    assert len(said) == 1
    assert said[0].startswith("The pictures take 4.0 kB decoded to 8x8 pixels; ")
    assert told in said[0]


def test_what_is_on_disk_already_needs_no_room_there(photographs, cache, monkeypatch):
    loaded(cache, path=photographs, keep="disk")
    monkeypatch.setattr(keeping, "free_bytes", lambda device: 0)
    monkeypatch.setattr(keeping, "_disk_free", lambda folder: 0)
    assert isinstance(loaded(cache, path=photographs).train.inputs, MappedPictures)


def test_pictures_kept_in_memory_need_no_room_on_disk(photographs, cache, monkeypatch):
    expected = loaded(cache, path=photographs).train.tensor
    monkeypatch.setattr(keeping, "_disk_free", lambda folder: 0)
    other = cache.with_name("other")
    assert torch.equal(loaded(other, path=photographs, keep="memory").train.tensor, expected)
    assert arrays(other) == []


def test_statistics_come_from_evenly_spread_pictures_wherever_all_are_kept(photographs, cache, monkeypatch):
    monkeypatch.setattr(imagefolder, "_STATISTICS_OF", 5)
    datasets = [loaded(cache, path=photographs, size=8, keep=keep) for keep in ("memory", "disk", "none")]
    assert len({tuple(dataset.normalization.offset.tolist()) for dataset in datasets}) == 1
    # Of 15 pictures every third.
    expected = datasets[0].train.tensor[::3].double().mean((0, 2, 3))
    assert datasets[0].normalization.offset.tolist() == pytest.approx(expected.tolist(), rel=1e-6)


def test_jpegs_decoded_at_a_part_of_their_size_look_as_if_scaled_from_the_whole(photographs):
    file = photographs / "train" / "class0" / "0.jpg"
    with Image.open(file) as opened:
        whole = np.asarray(opened.resize((10, 8), Image.Resampling.BILINEAR).crop((1, 0, 9, 8)), dtype=float)
    assert np.abs(decoding.decode(file, 8, 3).transpose(1, 2, 0) - whole).mean() < 8

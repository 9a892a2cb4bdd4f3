from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from distill.config.options import read
from distill.data import Dataset, load
from distill.data.decoding import decode
from distill.data.sources.imagefolder import ImageFolderOptions
from distill.errors import ConfigError, DataError


def paint(file: Path, colour: tuple[int, int, int], size: tuple[int, int] = (8, 8)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(file)


@pytest.fixture
def pictures(tmp_path) -> Path:
    for part, count in (("train", 4), ("test", 2)):
        for number in range(count):
            paint(tmp_path / "pictures" / part / "dark" / f"{number}.png", (number, 0, 0))
            paint(tmp_path / "pictures" / part / "light" / f"{number}.png", (255, 250, number))
    return tmp_path / "pictures"


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


def loaded(cache: Path, **values) -> Dataset:
    values = {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}
    return load(ImageFolderOptions(cache=str(cache), **{"size": 4, **values}))


def test_train_and_test_folders_become_the_splits(pictures, cache):
    dataset = loaded(cache, path=pictures)
    assert dataset.classes == ("dark", "light")
    assert dataset.train.tensor.shape == (8, 3, 4, 4)
    assert dataset.train.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert dataset.test.labels.tolist() == [0, 0, 1, 1]
    assert dataset.train.tensor[2].unique().tolist() == [0, 2]
    assert dataset.train.tensor[7, :, 0, 0].tolist() == [255, 250, 3]


def test_folders_can_be_given_one_by_one(pictures, cache):
    whole = loaded(cache, path=pictures)
    apart = loaded(cache, train=pictures / "train", test=pictures / "test")
    assert whole.fingerprint == apart.fingerprint


def test_a_single_folder_is_divided_by_class(pictures, cache):
    dataset = loaded(cache, path=pictures / "train", test_fraction=0.5)
    assert dataset.train.labels.tolist() == dataset.test.labels.tolist() == [0, 0, 1, 1]
    both = torch.cat([dataset.train.tensor, dataset.test.tensor]).flatten(1).tolist()
    assert sorted(both) == sorted(loaded(cache, path=pictures).train.tensor.flatten(1).tolist())


def test_pictures_are_scaled_to_the_shorter_side_and_cropped_in_the_middle(tmp_path, cache):
    stripes = np.repeat(np.array([10, 50, 200], np.uint8), 8)[None, :].repeat(8, 0)
    for part in ("train", "test"):
        for name in ("a", "b"):
            file = tmp_path / part / name / "0.png"
            file.parent.mkdir(parents=True)
            Image.fromarray(stripes).save(file)
    dataset = loaded(cache, path=tmp_path, size=8)
    assert dataset.train.tensor.unique().tolist() == [50]
    smaller = loaded(cache, path=tmp_path, size=4).train.tensor[0]
    assert smaller.shape == (3, 4, 4)
    assert (smaller[:, :, 1:3] == 50).all()


def test_one_channel_is_the_luma_of_the_colours(pictures, cache):
    dataset = loaded(cache, path=pictures, channels=1)
    assert dataset.input_shape == (1, 4, 4)
    # ITU-R 601-2, as PIL documents its conversion to grey.
    expected = (255 * 299 + 250 * 587 + 3 * 114) / 1000
    assert dataset.train.tensor[7].unique().tolist() == [pytest.approx(expected, abs=1)]


def test_transparent_palettes_and_turned_photographs_are_read(tmp_path, cache):
    for part in ("train", "test"):
        palette = tmp_path / part / "a" / "0.png"
        palette.parent.mkdir(parents=True)
        Image.new("P", (4, 4)).save(palette, transparency=b"\0")
        turned = Image.new("RGB", (4, 8), (0, 0, 0))
        turned.paste((255, 255, 255), (0, 0, 4, 4))
        exif = Image.Exif()
        exif[0x0112] = 3  # upside down
        (tmp_path / part / "b").mkdir()
        turned.save(tmp_path / part / "b" / "0.png", exif=exif)
    dataset = loaded(cache, path=tmp_path, size=4)
    rows = dataset.train.tensor[1].float().mean((0, 2))
    assert rows[0] < 128 < rows[3]


def arrays(cache: Path) -> list[Path]:
    return list(cache.glob("*.npy"))


def no_decoding(*args) -> None:
    raise AssertionError("decoded")


def test_grey_pictures_of_sixteen_bits_keep_their_levels(tmp_path):
    levels = np.array([[0, 255], [32768, 65535]], dtype=np.uint16)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    assert decode(tmp_path / "deep.png", 2, 1).tolist() == [[[0, 0], [128, 255]]]


def test_decoded_pictures_are_kept_and_reused(pictures, cache, capfd, monkeypatch):
    first = loaded(cache, path=pictures)
    assert capfd.readouterr().err.count("Decoding") == 2
    assert len(arrays(cache)) == 2
    monkeypatch.setattr("distill.data.pictures.decode", no_decoding)
    again = loaded(cache, path=pictures)
    assert again.fingerprint == first.fingerprint
    assert torch.equal(again.train.tensor, first.train.tensor)
    assert "Decoding" not in capfd.readouterr().err


def test_a_changed_picture_or_size_is_decoded_anew(pictures, cache):
    before = loaded(cache, path=pictures)
    paint(pictures / "train" / "dark" / "0.png", (77, 77, 77), (16, 16))
    after = loaded(cache, path=pictures)
    assert after.train.tensor[0].unique().tolist() == [77]
    assert torch.equal(after.test.tensor, before.test.tensor)
    assert after.fingerprint != before.fingerprint
    assert loaded(cache, path=pictures, size=5).input_shape == (3, 5, 5)


def test_a_damaged_cache_is_made_anew(pictures, cache):
    before = loaded(cache, path=pictures)
    for file in arrays(cache):
        file.write_bytes(file.read_bytes()[:40])
    assert torch.equal(loaded(cache, path=pictures).train.tensor, before.train.tensor)


def test_an_unreadable_picture_is_named_and_nothing_is_kept(pictures, cache):
    (pictures / "train" / "light" / "1.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"light.1\.png is not a picture that can be read"):
        loaded(cache, path=pictures)
    assert arrays(cache) == []
    assert not list(cache.glob("*.tmp")) + list(cache.glob(".*.tmp"))


def test_a_truncated_picture_is_refused(pictures, cache):
    file = pictures / "test" / "dark" / "0.png"
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"dark.0\.png is not a picture"):
        loaded(cache, path=pictures)


def test_a_cache_that_cannot_be_written_is_refused(pictures, tmp_path):
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(DataError, match=r"dataset\.cache="):
        loaded(tmp_path / "cache", path=pictures)


def test_missing_folders_are_named(pictures, cache):
    with pytest.raises(DataError, match=r"there is no folder .*absent"):
        loaded(cache, path=pictures / "absent")
    with pytest.raises(DataError, match=r"there is no test set beside .*dataset\.test_fraction=0\.2"):
        loaded(cache, path=pictures / "train")
    with pytest.raises(DataError, match="dark holds no folders"):
        loaded(cache, path=pictures / "train" / "dark", test_fraction=0.5)


def test_one_class_is_refused(pictures, cache, tmp_path):
    paint(tmp_path / "single" / "only" / "0.png", (1, 1, 1))
    paint(tmp_path / "single" / "only" / "1.png", (1, 1, 1))
    with pytest.raises(DataError, match=r"holds one class \(only\)"):
        loaded(cache, path=tmp_path / "single", test_fraction=0.5)


def test_train_and_test_must_have_the_same_classes(pictures, cache):
    paint(pictures / "test" / "grey" / "0.png", (100, 100, 100))
    with pytest.raises(DataError, match="must hold the same classes, but only one of them holds grey"):
        loaded(cache, path=pictures)


def test_a_class_without_pictures_is_refused(pictures, cache):
    (pictures / "train" / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no pictures"):
        loaded(cache, path=pictures)


def test_a_share_beside_a_test_folder_is_refused(pictures, cache):
    with pytest.raises(ConfigError, match=r"^dataset\.test_fraction=0\.5 is not allowed"):
        loaded(cache, path=pictures, test_fraction=0.5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "path=null is not allowed: give either"),
        ({"path": "a", "train": "b"}, "path=a is not allowed: give either"),
        ({"train": "a", "test": "b", "test_fraction": 0.5}, "test_fraction=0.5 is not allowed"),
        ({"path": "a", "channels": 2}, "channels=2"),
        ({"path": "a", "size": 0}, "size=0"),
        ({"path": "a", "keep": "ram"}, "keep=ram"),
        ({"path": "a", "workers": 0}, "workers=0"),
    ],
)
def test_options_that_do_not_fit_are_reported(values, message):
    options, problems = read(ImageFolderOptions, values)
    assert options is None
    assert problems[0].startswith(message)

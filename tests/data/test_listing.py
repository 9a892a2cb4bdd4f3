import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from distill.data.listing import listing


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("a/0.png", "a/1.png", "b/0.png"):
        file = tmp_path / "pictures" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    return tmp_path / "pictures"


def test_a_copy_elsewhere_has_the_same_digest(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, copy_function=shutil.copyfile)
    os.utime(copy / "a" / "0.png", (1, 1))
    assert listing(copy).key != listing(folder).key
    assert listing(copy).digest(tmp_path) == listing(folder).digest(tmp_path)


def test_a_picture_under_another_name_is_another_collection(folder, tmp_path):
    before = listing(folder).digest(tmp_path)
    (folder / "a" / "0.png").rename(folder / "a" / "2.png")
    assert listing(folder).digest(tmp_path) != before


@pytest.mark.parametrize("place", [0, 20_000, -1])
def test_an_edit_that_keeps_the_size_changes_the_fingerprint(tmp_path, place):
    file = tmp_path / "a" / "0.bmp"
    file.parent.mkdir()
    content = bytearray(np.random.default_rng(0).bytes(40_000))
    file.write_bytes(content)
    before = listing(tmp_path).digest(tmp_path)
    content[place] ^= 1
    file.write_bytes(content)
    os.utime(file, (1, 1))
    assert listing(tmp_path).digest(tmp_path) != before


def test_the_digest_of_untouched_files_is_read_from_the_cache(folder, tmp_path, monkeypatch):
    first = listing(folder).digest(tmp_path)
    monkeypatch.setattr("distill.data.listing._sample", None)
    assert listing(folder).digest(tmp_path) == first

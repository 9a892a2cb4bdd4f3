"""Pictures and arrays without labels, as raw inputs."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from distill.data import unlabelled
from distill.data.unlabelled import Form, find, read
from distill.errors import DataError


def test_a_picture_is_scaled_cropped_in_the_middle_and_made_grey(tmp_path):
    """A red middle between blue sides; red has a luma of 0.299 (ITU-R BT.601)."""
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, :20, 2] = pixels[:, 40:, 2] = 255
    pixels[:, 20:40, 0] = 255
    Image.fromarray(pixels).save(tmp_path / "stripes.png")
    (grey,) = read([tmp_path / "stripes.png"], Form((1, 10, 10), 255.0))
    assert grey.inputs.shape == (1, 1, 10, 10)
    assert set(grey.inputs[0, 0, :, 2:-2].flatten().tolist()) == {76}
    (colour,) = read([tmp_path / "stripes.png"], Form((3, 10, 10), 255.0), negative=True)
    assert colour.inputs[0, :, 5, 5].tolist() == [0, 255, 255]


def test_many_inputs_come_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(unlabelled, "_AT_ONCE", 2)
    for number in range(5):
        Image.fromarray(np.full((4, 4), number, np.uint8)).save(tmp_path / f"{number}.png")
    np.save(tmp_path / "x.npy", np.zeros((3, 4, 4), np.uint8))
    parts = list(read([*find([str(tmp_path)]), tmp_path / "x.npy"], Form((1, 4, 4), 255.0)))
    assert [len(part.names) for part in parts] == [2, 2, 1, 2, 1]
    assert [int(part.inputs[0, 0, 0, 0]) for part in parts] == [0, 2, 4, 0, 0]


def test_one_example_alone_needs_no_axis_of_examples(tmp_path):
    np.save(tmp_path / "one.npy", np.arange(5.0))
    (part,) = read([tmp_path / "one.npy"], Form((5,), None))
    assert part.inputs.tolist() == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (Form((50,), None), "arrays of numbers 50"),
        (Form((3, 8, 8), None), "arrays of numbers 3x8x8"),
        (Form((3, 8, 9), 255.0), "3x8x9, which are not square"),
        (Form((2, 8, 8), 255.0), "neither grey nor colour"),
    ],
)
def test_networks_of_other_inputs_take_no_picture_files(tmp_path, form, said):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=said):
        list(read([tmp_path / "a.png"], form))


def test_numbers_that_are_none_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[0.0, np.nan]]))
    with pytest.raises(DataError, match="NaN or infinite"):
        list(read([tmp_path / "x.npy"], Form((2,), None)))
    np.save(tmp_path / "x.npy", np.zeros((0, 2)))
    with pytest.raises(DataError, match="holds no inputs"):
        list(read([tmp_path / "x.npy"], Form((2,), None)))


def test_hidden_files_of_a_folder_are_no_pictures(tmp_path):
    (tmp_path / "._a.jpg").write_bytes(b"")
    (tmp_path / "a.JPG").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("")
    assert find([str(tmp_path), str(tmp_path / "a.JPG")]) == [tmp_path / "a.JPG"]

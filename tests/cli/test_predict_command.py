"""`distill predict`: labels of pictures and of arrays, checked by hand."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from cli.digits_by_hand import asked, digits
from PIL import Image

from distill.experiments import saved

COUNT = 12


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def pictures(tmp_path) -> np.ndarray:
    """Twelve digits: as files in folders, as their negatives, as arrays; and files that are none."""
    chosen = digits()[0][:COUNT]
    (tmp_path / "scans" / "more").mkdir(parents=True)
    (tmp_path / "negatives").mkdir()
    for number, picture in enumerate(chosen):
        pixels = np.round(picture.astype(float) * 255 / 16).astype(np.uint8)
        folder = tmp_path / "scans" / ("more" if number % 2 else "")
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
        Image.fromarray(255 - pixels).convert("RGB").save(tmp_path / "negatives" / f"{number:02}.bmp")
    np.save(tmp_path / "raw.npy", chosen)
    np.save(tmp_path / "shares.npy", chosen / 16.0)
    np.save(tmp_path / "loud.npy", chosen * 10)
    np.save(tmp_path / "narrow.npy", chosen[:, :, :5])
    np.save(tmp_path / "objects.npy", np.array([None]))
    np.savez(tmp_path / "two.npz", one=chosen, other=chosen)
    (tmp_path / "torn.npy").write_bytes((tmp_path / "raw.npy").read_bytes()[:70])
    (tmp_path / "letter.png").write_text("Dear Sir")
    (tmp_path / "none").mkdir()
    return chosen


def test_probabilities_of_arrays_are_those_computed_by_hand(distill, trained, pictures, tmp_path):
    ended = distill("predict", str(trained), "raw.npy", "--top", "2", "--csv", "labels.csv")
    assert (ended.code, ended.err, ended.left) == (0, "", ("labels.csv",))
    expected = asked(trained, pictures)
    rows = table(tmp_path / "labels.csv")
    assert list(rows[0]) == [
        "file",
        "label",
        "probability",
        "label_2",
        "probability_2",
        *(f"p({n})" for n in range(10)),
    ]
    assert [row["file"] for row in rows] == [f"raw.npy[{number}]" for number in range(COUNT)]
    for row, shares in zip(rows, expected, strict=True):
        first, second = np.argsort(-shares)[:2]
        assert (row["label"], row["label_2"]) == (str(first), str(second))
        assert [float(row["probability"]), float(row["probability_2"])] == pytest.approx(shares[[first, second]], 1e-4)
        assert [float(row[f"p({number})"]) for number in range(10)] == pytest.approx(shares, 1e-4)


def test_pictures_become_what_the_network_learned_from_and_no_data_are_read(
    distill, trained, pictures, tmp_path, monkeypatch
):
    """White is 16 there and 255 in a file."""
    monkeypatch.setattr(saved, "load", None)
    assert distill("predict", str(trained), "scans", "--csv", "files.csv").code == 0
    distill("predict", str(trained), "raw.npy", "--csv", "raw.csv")
    shown = {Path(row.pop("file")).stem: row for row in table(tmp_path / "files.csv")}
    for number, row in enumerate(table(tmp_path / "raw.csv")):
        del row["file"]
        assert shown[f"{number:02}"] == row


def test_patterns_files_and_folders_join_and_what_is_no_picture_is_left_out(distill, trained, pictures, tmp_path):
    words = ["scans/**/*.png", "letter.png", "scans/more", "two.npz", "--array", "other", "--csv", "labels.csv"]
    ended = distill("predict", str(trained), *words)
    assert ended.code == 0
    assert ended.err == "distill: warning: letter.png is not a picture that can be read; it is left out.\n"
    files = [row["file"] for row in table(tmp_path / "labels.csv")]
    assert len(files) == len(set(files)) == 2 * COUNT
    assert "24 inputs are labelled: " in ended.out


def test_negatives_are_told_and_turned(distill, trained, pictures, tmp_path):
    ended = distill("predict", str(trained), "negatives", "--role", "teacher", "--csv", "as_they_are.csv")
    assert ended.code == 0
    assert "on average much brighter" in ended.err
    assert "--negative" in ended.err
    ended = distill("predict", str(trained), "negatives", "--role", "teacher", "--negative", "--csv", "turned.csv")
    assert ended.err == ""
    expected = asked(trained, pictures, "teacher").argmax(1)
    assert [int(row["label"]) for row in table(tmp_path / "turned.csv")] == expected.tolist()
    assert table(tmp_path / "as_they_are.csv") != table(tmp_path / "turned.csv")


def test_the_table_fits_the_terminal_and_keeps_the_most_likely_label(distill, trained, pictures, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    out = distill("predict", str(trained), "scans").out
    assert max(map(len, out.splitlines())) <= 40
    assert "probability" in out


@pytest.mark.parametrize(
    ("line", "fragments"),
    [
        ("RUN", ["INPUT", "distill predict --help"]),
        ("nothing raw.npy", ["There is no nothing"]),
        ("none raw.npy", ["none is not a run"]),
        ("RUN nothing.png", ["There is no nothing.png"]),
        ("RUN none", ["none holds no pictures", ".png"]),
        ("RUN letter.png", ["letter.png is not", "none is a picture"]),
        ("RUN raw.npy --role studnt", ["--role studnt", "teacher, baseline, student"]),
        ("RUN raw.npy --top 0", ["--top 0"]),
        ("RUN raw.npy --top x", ["--top", "'x'"]),
        ("RUN raw.npy --device gpu", ["device=gpu"]),
        ("RUN shares.npy", ["shares.npy holds float64 from 0 to 1", "0 (black) to 16 (white)"]),
        ("RUN loud.npy", ["from 0 to 160"]),
        ("RUN narrow.npy", ["[12, 8, 5]", "[examples, 1, 8, 8]"]),
        ("RUN objects.npy", ["objects.npy cannot be read"]),
        ("RUN torn.npy", ["torn.npy cannot be read"]),
        ("RUN two.npz", ["one, other", "--array NAME"]),
        ("RUN two.npz --array third", ["one, other, and no third"]),
    ],
)
def test_a_mistake_is_told_in_one_sentence(distill, trained, pictures, line, fragments):
    words = [word.replace("RUN", str(trained)) for word in line.split()]
    ended = distill("predict", *words, "--csv", "none.csv")
    assert (ended.code, ended.out, ended.left) == (2, "", ())
    assert len(ended.err.splitlines()) == 1
    for fragment in fragments:
        assert fragment in ended.err

"""Files that cannot be written are told of before anything is computed for them."""

from __future__ import annotations

import errno
import os

import pytest

from distill.experiments.saved import Saved
from distill.files import require_writable


@pytest.mark.parametrize(
    "line",
    [
        "eval RUN --csv taken/new.csv",
        "eval RUN --csv folder",
        "inspect RUN --output taken",
        "predict RUN x.npy --csv taken/new.csv",
        "export RUN --format onnx --output taken/new.onnx",
    ],
)
def test_a_target_that_cannot_be_written_is_told_before_a_network_is_opened(
    distill, trained, tmp_path, monkeypatch, line
):
    (tmp_path / "taken").write_text("a file")
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(Saved, "network", lambda *given: pytest.fail("a network was opened"))
    ended = distill(*(word.replace("RUN", str(trained)) for word in line.split()))
    assert (ended.code, ended.out, ended.left) == (2, "", ())
    assert len(ended.err.splitlines()) == 1
    assert "cannot be read or written" in ended.err


def test_what_can_be_written_may_be_there_or_have_no_folder_yet(tmp_path):
    (tmp_path / "old.csv").write_text("")
    require_writable(tmp_path / "old.csv")
    require_writable(tmp_path / "a" / "b" / "new.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["old.csv"]


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *given: False)  # these tests may run as root, who may do anything
    with pytest.raises(PermissionError) as refused:
        require_writable(tmp_path / "new.csv")
    assert (refused.value.errno, refused.value.filename) == (errno.EACCES, str(tmp_path / "new.csv"))

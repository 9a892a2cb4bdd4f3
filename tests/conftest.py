"""Tiny runs are for what they leave: what would take longer than they do, and no test looks at, is left out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hydra._internal.hydra import Hydra

from distill.experiments.run_folder import RunFolder
from distill.training import latency

_WHOLE = [(latency, "_REPEATS", latency._REPEATS), (RunFolder, "draw", RunFolder.draw)]


@pytest.fixture(autouse=True, scope="session")
def hurried() -> Iterator[None]:
    """Five passes tell a latency, no curves are drawn, and Hydra composes once what it would compose twice.

    The first time is for `hydra.mode` alone, which our config leaves open, as `None` here does.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency, "_REPEATS", 5)
        patch.setattr(RunFolder, "draw", lambda self: None)
        patch.setattr(Hydra, "get_mode", lambda *_, **__: None)
        yield


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that look at times, or at curves."""
    for owner, name, value in _WHOLE:
        monkeypatch.setattr(owner, name, value)

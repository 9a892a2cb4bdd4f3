"""What all plots share."""

import logging

import matplotlib
import pandas as pd
from matplotlib import font_manager

from distill.results.curves import curves

METRICS = pd.DataFrame(
    {"role": "teacher", "epoch": [1, 2, 3], "loss": [1.0, 0.1, 0.01], "test_accuracy": 0.9, "train_accuracy": 0.95}
)


def test_fonts_that_are_gone_are_no_news(tmp_path, monkeypatch, caplog):
    """As where matplotlib's list of fonts, kept per user, was written by an environment that was removed since."""
    logger = logging.getLogger("matplotlib.font_manager")
    monkeypatch.setitem(matplotlib.rcParams, "font.family", ["a family that is gone"])
    logger.setLevel(logging.NOTSET)
    assert curves(METRICS, tmp_path / "curves.png").stat().st_size > 5_000
    assert caplog.messages == []

    logger.setLevel(logging.NOTSET)
    font_manager.findfont("another that is gone")
    (told,) = caplog.messages  # so there was something to be silent about
    assert "another that is gone" in told

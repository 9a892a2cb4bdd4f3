"""Trackers: programs that other people look at runs with, one file each. Each run of a sweep is a run of theirs.

Nothing of a tracker is imported before a run asks for it; only `tensorboard` imports torch.
"""

from __future__ import annotations

from distill.tracking.base import Tracker, TrackerOptions, trackers
from distill.tracking.run import Row, TrackedRun

__all__ = ["Row", "TrackedRun", "Tracker", "TrackerOptions", "trackers"]

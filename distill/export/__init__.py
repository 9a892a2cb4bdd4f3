"""Trained networks as files that other programs read: one file per format, each checked after it was written."""

"""Means of every measure over the seeds of each setting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from distill.results.study import Group


def averages(groups: Sequence[Group], columns: Sequence[str], texts: Sequence[str] = ()) -> pd.DataFrame:
    """A row per group in their order: the mean of some columns, NaN where nothing is known, and texts of its first row.

    Args:
        groups: One at least.
        columns: Numeric ones.
        texts: Columns that are alike in all rows of a group.
    """
    rows = pd.concat([one.rows for one in groups], ignore_index=True)
    sizes = np.array([len(one.rows) for one in groups])
    means = rows[list(columns)].groupby(np.repeat(np.arange(len(groups)), sizes)).mean()
    first = rows[list(texts)].iloc[np.cumsum(sizes) - sizes].reset_index(drop=True)
    return pd.concat([means, first], axis=1)

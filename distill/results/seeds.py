"""Networks that differ in their seed alone."""

from __future__ import annotations

import pandas as pd

from distill.results.frame import is_finished, order, unique, varying
from distill.results.measures import scores


def alike(df: pd.DataFrame) -> list[pd.DataFrame]:
    """Finished networks by everything but the seed: teachers, baselines, then students by setting.

    A network that several runs report, such as a student that was reused, counts once. No seed is twice in a group:
    two networks of one seed differ in something that no key tells, such as the code of a user's network.
    """
    keys = varying(df)
    once = unique(df[is_finished(df) & scores(df).notna()])
    known = once["signature"] != ""
    once = once[~(known & once.duplicated(["role", "signature", *keys]))]
    first = ["dataset", "method", "model"]
    by = [*first, *(key for key in keys if key not in first)]
    found: list[pd.DataFrame] = []
    for role in roles(df):
        rows = order(once[once["role"] == role], by)
        again = rows.groupby([*by, "seed"], dropna=False).cumcount().rename("again")
        found += [members for _, members in rows.groupby([*by, again], sort=False, dropna=False)]
    return found


def roles(df: pd.DataFrame) -> list[str]:
    """The roles in a table in the order of its runs; those that some run lacks stand where others have them."""
    by_run: dict[str, dict[str, None]] = {}
    for run, role in zip(df["run"] if "run" in df else [""] * len(df), df["role"], strict=True):
        by_run.setdefault(run, {})[role] = None
    orders = dict.fromkeys(tuple(own) for own in by_run.values())
    found: list[str] = []
    for own in sorted(orders, key=len, reverse=True):  # a job that failed may tell of one alone
        for place, role in enumerate(own):
            if role not in found:
                behind = [found.index(other) for other in own[place + 1 :] if other in found]
                found.insert(found.index(own[place - 1]) + 1 if place else min(behind, default=len(found)), role)
    return found

"""Networks that differ in their seed alone."""

from __future__ import annotations

import pandas as pd

from distill.results.frame import is_finished, order, unique, varying


def alike(df: pd.DataFrame) -> list[pd.DataFrame]:
    """Finished networks by everything but the seed: teachers, baselines, then students by setting.

    A network that several runs report, such as a student that was reused, counts once. No seed is twice in a group:
    two networks of one seed differ in something that no key tells, such as the code of a user's network.
    """
    keys = varying(df)
    once = unique(df[is_finished(df) & df["accuracy"].notna()])
    known = once["signature"] != ""
    once = once[~(known & once.duplicated(["role", "signature", *keys]))]
    first = ["dataset", "method", "model"]
    by = [*first, *(key for key in keys if key not in first)]
    found: list[pd.DataFrame] = []
    for role in roles(once):
        rows = order(once[once["role"] == role], by)
        again = rows.groupby([*by, "seed"], dropna=False).cumcount().rename("again")
        found += [members for _, members in rows.groupby([*by, again], sort=False, dropna=False)]
    return found


def roles(df: pd.DataFrame) -> list[str]:
    """The roles in a table, teachers first, then what stands between, then baselines and students."""
    rank = {"teacher": 0, "baseline": 2, "student": 3}
    return sorted(dict.fromkeys(df["role"]), key=lambda role: rank.get(role, 1))

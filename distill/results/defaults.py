"""Overridden keys in which runs differ, where a default counts as what it says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from distill.results.columns import COLUMNS

_MOST = 500  # configs that are read, a few milliseconds each


def varying_overrides(runs: Sequence[Mapping[str, Any]], folders: Sequence[Path]) -> dict[str, list[str]]:
    """The value of each overridden key that varies between runs, for each run.

    A run that was not given a key has what its `config.resolved.yaml` says, in the spelling of those that were given
    the same. Empty is what cannot be read, what is null, and whole groups; so is a default that is the seed itself,
    in which the runs of one setting are to differ.

    Args:
        runs: Their records.
        folders: Their folders, in the same order.

    Returns:
        By key, without those that have a column of `results.csv`.
    """
    names = dict.fromkeys(key for run in runs for key in run["overrides"] if key not in COLUMNS)
    given = {key: [run["overrides"].get(key) for run in runs] for key in names}
    given = {key: values for key, values in given.items() if len(set(values)) > 1}
    lacking = [place for place in range(len(runs)) if any(values[place] is None for values in given.values())]
    configs = {place: _config(folders[place]) for place in lacking} if len(lacking) <= _MOST else {}
    filled = {key: _filled(key, values, runs, configs) for key, values in given.items()}
    return {key: values for key, values in filled.items() if len(set(values)) > 1}


def _filled(
    key: str, given: Sequence[Any], runs: Sequence[Mapping[str, Any]], configs: Mapping[int, dict[str, Any]]
) -> list[str]:
    spelled: dict[str, str] = {}
    texts = ["" if value is None else spelled.setdefault(_canonical(str(value)), str(value)) for value in given]
    defaults = {place: _at(configs.get(place, {}), key) for place, value in enumerate(given) if value is None}
    is_the_seed = all(text == str(runs[place].get("seed")) for place, text in defaults.items())
    if is_the_seed and len(set(defaults.values())) > 1:
        return texts
    for place, text in defaults.items():
        if text and (text != "null" or _canonical(text) in spelled):
            texts[place] = spelled.setdefault(_canonical(text), text)
    return texts


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = yaml.load((folder / "config.resolved.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _at(config: dict[str, Any], key: str) -> str:
    """What a config says of a dotted key, as the command line would; nothing where there is none."""
    found: Any = config
    for part in key.split("."):
        if not isinstance(found, dict) or part not in found:
            return ""
        found = found[part]
    if isinstance(found, dict) or found == "":
        return ""
    return found if isinstance(found, str) else json.dumps(found, separators=(",", ":"), default=str)


@cache
def _canonical(text: str) -> str:
    """The value that a text stands for, alike for `0.002`, `2e-3` and `.002`."""
    try:
        value = yaml.load(text, yaml.CSafeLoader)
    except (ValueError, yaml.YAMLError):
        value = text
    return json.dumps(_plain(value), default=str, sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(part) for part in value]
    try:
        return value if isinstance(value, bool) else float(value)  # YAML takes 2e-3 for a text
    except (TypeError, ValueError, OverflowError):
        return value

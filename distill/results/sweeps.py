"""How far a sweep came: the jobs that were asked for and left nothing."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from distill.results.find import RECORD

_RECIPE = "multirun.yaml"
_GRID = ".BasicSweeper"


def shortfall(folder: Path, *, running: bool) -> list[str]:
    """What is missing of a sweep, one sentence each; nothing where all its jobs left records.

    Args:
        folder: Of the sweep, or of runs that were given one by one, which lacks nothing.
        running: Whether one of its jobs runs at this moment, so that others may still begin.
    """
    jobs = [child for child in os.scandir(folder) if child.is_dir() and re.match(r"\d+(_|$)", child.name)]
    lost = sum(not os.path.exists(os.path.join(job.path, RECORD)) for job in jobs)
    total = size(folder)
    sentences = []
    if lost and not running:
        left = "1 job left no record" if lost == 1 else f"{lost} jobs left no record"
        sentences.append(f"{left} in {folder}: ended from outside before anything had begun.")
    if total is not None and total > len(jobs):
        absent = f"{total - len(jobs):,} of the {total:,} jobs of {folder}"
        if running:
            sentences.append(f"{absent} {'has' if total - len(jobs) == 1 else 'have'} not begun yet.")
        else:
            again = shlex.join(["distill", "train", f"resume={folder}"])
            sentences.append(f"{absent} never began: continue with `{again}`.")
    return sentences


def size(folder: Path) -> int | None:
    """How many jobs a sweep was to have; `None` where its words do not tell.

    Args:
        folder: Of the sweep, with the `multirun.yaml` that Hydra leaves there.
    """
    import yaml

    try:
        with (folder / _RECIPE).open(encoding="utf-8") as file:
            hydra = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["hydra"]
        words, sweeper = hydra["overrides"]["task"], hydra["sweeper"]
        if not sweeper["_target_"].endswith(_GRID):
            return int(sweeper["n_trials"])
        return _grid([*_words(sweeper.get("params")), *words])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return None  # another version of Hydra wrote it, and nothing depends on it


def _words(params: Mapping[str, Any] | None) -> Iterable[str]:
    return (f"{key}={value}" for key, value in (params or {}).items())


def _grid(words: list[str]) -> int | None:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Glob
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(words)
        if any(isinstance(override.value(), Glob) for override in parsed):
            return None
        sweeps = {override.get_key_element(): override for override in parsed if override.is_sweep_override()}
        return math.prod(sum(1 for _ in override.sweep_string_iterator()) for override in sweeps.values())
    except HydraException:
        return None

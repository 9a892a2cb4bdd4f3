"""The report as JSON, piece by piece, so that ten thousand runs need no more memory than one."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from distill.results.collect import Collected
from distill.results.columns import COLUMNS, missing
from distill.results.frame import records
from distill.results.grouping import Grouping
from distill.results.measures import Measure
from distill.results.statistics import Paired, Summary
from distill.results.study import Comparison, Group, Study

_OF_THE_RUN = ("run", "seed", "status", "error")
_FACTS = ("run", "status", "error", "command", "directory", "overrides", "seed", "seconds", "git", "versions", "device")
_AT_ONCE = 500


def pieces(found: Collected, outcome: Study, grouping: Grouping | None = None) -> Iterator[str]:
    """The parts of one JSON object, to be written one after the other.

    Numbers are as in `results.csv`: accuracies (of regressions `r2`) 0..1, gains and differences in points; what is not
    known is null.
    """
    places = {id(group): place for place, group in enumerate(outcome.groups)}
    head = {
        "verdict": outcome.sentence,
        "chosen_by": outcome.chosen_by,
        "tried": outcome.tried,
        "winner": places.get(id(outcome.winner)),
        "underpowered": outcome.underpowered,
        "warnings": [*outcome.warnings, *found.warnings],
        "keys": outcome.keys,
    }
    if grouping is not None:
        head["cells"] = cells(grouping)
    yield "{\n" + "".join(f"{json.dumps(name)}: {_text(value)},\n" for name, value in head.items())
    yield from _array("groups", (_group(group, outcome.measure) for group in outcome.groups))
    yield ",\n"
    yield from _array("comparisons", (_comparison(one, places) for one in outcome.comparisons))
    yield ",\n"
    yield from _array("runs", _runs(found))
    yield "\n}\n"


def cells(grouping: Grouping) -> list[dict[str, Any]]:
    """The cells of a grouping, each with its keys and measures."""
    return [
        {
            "role": cell.role,
            "keys": {key: value for key, value in zip(grouping.keys, cell.keys, strict=True) if not missing(value)},
            "networks": cell.networks,
            "seeds": cell.seeds,
            **{name: _summary(one) for name, one in zip(grouping.metrics, cell.measures, strict=True)},
        }
        for cell in grouping.cells
    ]


def _array(name: str, items: Iterator[Any]) -> Iterator[str]:
    yield f"{json.dumps(name)}: ["
    for number, item in enumerate(items):
        yield f"{',' if number else ''}\n {_text(item)}"
    yield "]"


def _text(value: Any) -> str:
    return json.dumps(_known(value), ensure_ascii=False, allow_nan=False)


def _known(value: Any) -> Any:
    """The value with null for numbers that are none, which JSON cannot say."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _known(part) for key, part in value.items()}
    return [_known(part) for part in value] if isinstance(value, list | tuple) else value


def _group(group: Group, measure: Measure) -> dict[str, Any]:
    return {
        "role": group.role,
        "model": group.model,
        "label": group.label,
        "keys": group.keys,
        measure.name: _summary(group.accuracy),
        measure.held_out: _summary(group.val_accuracy),
        "gain": _summary(group.gain),
        "runs": group.rows["run"].tolist(),
    }


def _comparison(one: Comparison, places: dict[int, int]) -> dict[str, Any]:
    return {
        "first": places.get(id(one.first)),
        "second": places.get(id(one.second)),
        "difference": _summary(one.difference),
    }


def _summary(measured: Summary | Paired | None) -> dict[str, Any] | None:
    return None if measured is None else asdict(measured)


def _runs(found: Collected) -> Iterator[dict[str, Any]]:
    """Each run with its networks; rows come in the order of their runs."""
    rows = _rows(found)
    row = next(rows, None)
    for folder, run in zip(found.folders, found.runs, strict=True):
        networks = []
        while row is not None and row["run"] == run["run"]:
            networks.append({name: _typed(name, cell) for name, cell in row.items() if _of_network(name, cell)})
            row = next(rows, None)
        yield {"folder": str(folder), **{name: run.get(name) for name in _FACTS}, "networks": networks}


def _rows(found: Collected) -> Iterator[dict[str, Any]]:
    for first in range(0, len(found.rows), _AT_ONCE):
        yield from records(found.rows.iloc[first : first + _AT_ONCE])


def _of_network(name: str, cell: Any) -> bool:
    return name in COLUMNS and name not in _OF_THE_RUN and not missing(cell)


def _typed(name: str, cell: Any) -> Any:
    return int(cell) if COLUMNS[name].kind == "integer" else cell

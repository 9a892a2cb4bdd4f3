"""Runs that tell nothing new: copies of a folder, and the same networks asked for twice."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NAMED = 3


@dataclass(frozen=True)
class Ran:
    """A run, as far as it may repeat another.

    Attributes:
        folder: Of the run.
        name: What tables call it.
        facts: Its record.
        signatures: Role and signature of its networks; empty unless all are known.
    """

    folder: Path
    name: str
    facts: Mapping[str, Any]
    signatures: tuple[tuple[str, str], ...]


def repeats(ran: Sequence[Ran]) -> tuple[set[int], list[str]]:
    """Which runs are to be left out so that nothing counts twice.

    Left out are copies of a folder; runs whose networks are all those of another, by signature, unless both are jobs
    of one sweep that asked for different things; and failed or interrupted ones that were given again and finished.

    Returns:
        Their places, and a sentence for each kind there is.
    """
    copies = _copies(ran)
    again = _again(ran, copies)
    replaced = _replaced(ran, copies | again.keys())
    told = [
        _told(ran, copies, "is a copy of another run", "are copies of others"),
        _told(ran, again, "has the same networks as", "have the same networks as others"),
        _told(ran, replaced, "did not finish, but was given again as", "did not finish, but were given again"),
    ]
    return {*copies, *again, *replaced}, [sentence for sentence in told if sentence]


def _copies(ran: Sequence[Ran]) -> dict[int, int]:
    first: dict[str, int] = {}
    found = {}
    for place, one in enumerate(ran):
        born = [one.facts.get(name) for name in ("run", "began", "started", "process")]
        # A record that does not say which process made it may look like another's by chance.
        if all(born) and first.setdefault(json.dumps(born), place) != place:
            found[place] = first[json.dumps(born)]
    return found


def _again(ran: Sequence[Ran], left: Collection[int]) -> dict[int, int]:
    alike: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for place, one in enumerate(ran):
        if one.signatures and place not in left:
            alike.setdefault(one.signatures, []).append(place)
    found = {}
    for places in alike.values():
        # What says most of itself is kept: beside `lr=0.1`, a run that has it by default shows no lr.
        first, *others = sorted(places, key=lambda place: -len(ran[place].facts["overrides"]))
        jobs = {json.dumps(ran[first].facts["overrides"]): first}
        for place in others:
            overrides = json.dumps(ran[place].facts["overrides"])
            if overrides in jobs or not _of_one_sweep(ran[place], ran[first]):
                found[place] = jobs.get(overrides, first)
            else:
                jobs[overrides] = place
    return found


def _of_one_sweep(one: Ran, other: Ran) -> bool:
    return one.folder.parent == other.folder.parent and one.facts.get("sweep") is not False


def _replaced(ran: Sequence[Ran], left: Collection[int]) -> dict[int, int]:
    last: dict[str, int] = {}
    for place, one in enumerate(ran):
        if one.facts["status"] == "finished" and place not in left and (asked := _asked(one)):
            last[asked] = place
    found = {}
    for place, one in enumerate(ran):
        if one.facts["status"] not in ("failed", "interrupted"):
            continue
        by = last.get(_asked(one) or "")
        if by is not None and ran[by].facts["began"] > one.facts["began"]:
            found[place] = by
    return found


def _asked(one: Ran) -> str | None:
    if "began" not in one.facts or "directory" not in one.facts:
        return None
    return json.dumps([one.facts["directory"], sorted(one.facts["overrides"].items()), one.facts.get("seed")])


def _told(ran: Sequence[Ran], found: Mapping[int, int], of_one: str, of_several: str) -> str:
    if not found:
        return ""
    names = [ran[place].name for place in found]
    if len(found) == 1:
        other = f" {ran[next(iter(found.values()))].name}" if of_one.endswith(" as") else ""
        return f"{names[0]} {of_one}{other}; it is left out."
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} runs {of_several} ({', '.join(names[:_NAMED])}{more}); they are left out."

"""How each run was made: its exact command, code, versions, machine and config."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from distill.results.collect import Collected
from distill.results.html.table import coded

_CONFIGS = 300  # of more runs only what they changed is kept, which their commands say


def command(run: Mapping[str, Any]) -> str:
    """What repeats a run; of a job in a sweep, what runs that job alone."""
    if not run.get("sweep"):
        return str(run.get("command") or "")
    words = [f"{key}={value}" for key, value in run["overrides"].items()]
    return shlex.join(["distill", "train", *(run.get("places") or []), *words])


def environments(found: Collected) -> dict[str, Any]:
    """The runs as the page holds them: a list per fact, coded where they repeat.

    Args:
        found: All runs.
    """
    facts = [_facts(run, folder) for run, folder in zip(found.runs, found.folders, strict=True)]
    columns = {name: coded([one[name] for one in facts]) for name in facts[0]} if facts else {}
    configs = [_config(folder) for folder in found.folders] if len(found.folders) <= _CONFIGS else []
    return {"facts": columns, **_differences(configs)}


def _facts(run: Mapping[str, Any], folder: Path) -> dict[str, str]:
    seconds = run.get("seconds")
    return {
        "Command": command(run),
        "Sweep": str(run.get("command") or "") if run.get("sweep") else "",
        "Given in": str(run.get("directory") or ""),
        "Folder": str(folder),
        "Status": str(run.get("status") or ""),
        "Error": str(run.get("error") or ""),
        "Seed": "" if run.get("seed") is None else str(run["seed"]),
        "Started": str(run.get("started") or ""),
        "Took": f"{seconds:,.1f} s" if isinstance(seconds, int | float) else "",
        "Commit": commit(run.get("git")),
        "Versions": ", ".join(f"{name} {number}" for name, number in (run.get("versions") or {}).items()),
        "Device": device(run.get("device")),
        "Processes": str(run["processes"]) if run.get("processes", 1) != 1 else "",
    }


def commit(git: Mapping[str, Any] | None) -> str:
    """The commit of the folder in which the command was given, and whether that tells all."""
    if not git:
        return "not in a repository"
    return f"{git['commit']}{', with uncommitted changes' if git.get('dirty') else ', clean'}"


def device(machine: Mapping[str, Any] | None) -> str:
    """The device and the machine around it."""
    parts = [str((machine or {}).get(name) or "") for name in ("name", "processor", "platform")]
    return ", ".join(part for part in parts if part)


def _config(folder: Path) -> list[str]:
    try:
        return (folder / "config.resolved.yaml").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []


def _differences(configs: Sequence[list[str]]) -> dict[str, Any]:
    """The first config, and each as runs of its lines and lines of their own."""
    base = next((config for config in configs if config), [])
    return {"base": base, "configs": [_against(base, config) for config in configs]}


def _against(base: list[str], config: list[str]) -> list[list[int] | str]:
    if len(base) == len(config):
        # Of runs that differ in values alone, line by line is quick and as short.
        kinds = ["equal" if old == new else "replace" for old, new in zip(base, config, strict=True)]
        blocks = [(kind, line, line + 1, line, line + 1) for line, kind in enumerate(kinds)]
    else:
        blocks = SequenceMatcher(None, base, config, autojunk=False).get_opcodes()
    parts: list[list[int] | str] = []
    for kind, first, end, own, own_end in blocks:
        if kind != "equal":
            parts += config[own:own_end]
        elif parts and isinstance(parts[-1], list) and parts[-1][1] == first:
            parts[-1][1] = end
        else:
            parts.append([first, end])
    return parts

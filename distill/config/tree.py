"""The YAML tree that ships with distill: where it is, and what stands in it."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from distill.errors import ConfigError

# One group is mounted twice: once for each network that a run is about.
MOUNTS = ("model@teacher", "model@student")

# Where the keys of a file stand, if not under its group.
_PACKAGE = "# @package"
_GLOBAL = f"{_PACKAGE} _global_"

# What the command line takes beside the keys of the config.
WORDS = ("seeds", "resume")

# Words of the command line, and the group each stands for.
KINDS = {
    "models": "model",
    "datasets": "dataset",
    "methods": "method",
    "hparams": "hparams",
    "experiments": "experiment",
    "trackers": "tracker",
    "spaces": "space",
}


@dataclass(frozen=True)
class Choice:
    """One option of a config group, as its file tells it.

    Attributes:
        name: What the user writes, such as `resnet20` or `cifar100/resnet56_resnet20`.
        summary: The first line of its opening comment.
        keys: Its keys with their defaults, spelled as on the command line; those of a network without the
            `teacher.` or `student.` that goes before them.
        opening: The lines of its opening comment.
        meanings: What the comment beside a key says, for those that have one.
    """

    name: str
    summary: str
    keys: dict[str, Any]
    opening: tuple[str, ...]
    meanings: dict[str, str]

    def fact(self, name: str) -> str:
        """What the opening comment says after `name:` at the beginning of a line; nothing where it does not."""
        found = (line.removeprefix(f"{name}:") for line in self.opening if line.startswith(f"{name}:"))
        return next(found, "").strip()


def folder() -> Path:
    """The folder `conf`, inside an installed package or beside it in a checkout.

    Raises:
        ConfigError: The installation lacks it.
    """
    package = Path(__file__).resolve().parent.parent
    for candidate in (package / "conf", package.parent / "conf"):
        if candidate.is_dir():
            return candidate
    raise ConfigError(f"This installation lacks {package / 'conf'}: install distill again.")


def spaces() -> Path:
    """The folder of what `distill search` chooses from; no group of a run, so that Hydra need not know it."""
    return Path(__file__).resolve().parent.parent / "search" / "spaces"


def groups() -> list[str]:
    """The groups a user chooses from."""
    return sorted(path.name for path in folder().iterdir() if path.is_dir() and path.name != "hydra")


def choices(group: str) -> list[Choice]:
    """All options of a group, by name."""
    root = spaces() if group == "space" else folder() / group
    return [_choice(path, root) for path in sorted(root.rglob("*.yaml"))]


def owners(key: str, group: str = "method") -> list[str]:
    """The options of a group whose files own the key: the methods with `T`, the data sets with `dataset.root`."""
    return [choice.name for choice in choices(group) if key in choice.keys]


def known_keys() -> list[str]:
    """Every key that some run can have, as written on the command line, and the groups to choose from."""
    root = yaml.safe_load((folder() / "train.yaml").read_text(encoding="utf-8"))
    keys = {*_keys(root, hidden=("defaults", "hydra")), *MOUNTS, *WORDS}
    keys |= {group for group in groups() if mounts(group) == [group]}
    for group in groups():
        for path in (folder() / group).rglob("*.yaml"):
            text = path.read_text(encoding="utf-8")
            keys |= {prefix + key for prefix in _prefixes(text, group) for key in _keys(yaml.safe_load(text) or {})}
    return sorted(keys)


def mounts(group: str) -> list[str]:
    """Under which keys an option of the group stands: its own name, unless several networks each take one."""
    return [mount.partition("@")[2] for mount in MOUNTS if mount.startswith(f"{group}@")] or [group]


def hidden(added: Path) -> list[str]:
    """Files of a user's `--config-dir` that have the name of one of ours, which is the one that Hydra takes.

    Args:
        added: The user's folder.
    """
    theirs = (path.relative_to(added).as_posix() for path in added.rglob("*.yaml"))
    return sorted(name for name in theirs if (folder() / name).is_file())


def _prefixes(text: str, group: str) -> list[str]:
    """What the command line puts before the keys of a file: a key of the whole config has nothing before it."""
    return [""] if _GLOBAL in text else [f"{mount}." for mount in mounts(group)]


def _choice(path: Path, root: Path) -> Choice:
    text = path.read_text(encoding="utf-8")
    prefixes = _prefixes(text, root.name)
    prefix = prefixes[0] if len(prefixes) == 1 else ""
    lines = text.splitlines()
    opening = tuple(
        line.lstrip("# ").rstrip()
        for line in itertools.takewhile(lambda line: line.startswith("#"), lines)
        if not line.startswith(_PACKAGE)
    )
    keys = {prefix + key: value for key, value in _keys(yaml.safe_load(text) or {}).items() if not _refers(value)}
    meanings = {prefix + key: _beside(lines, end) for key, end in _ends(yaml.compose(text)).items()}
    return Choice(
        name=path.relative_to(root).with_suffix("").as_posix(),
        summary=opening[0] if opening else "",
        keys=keys,
        opening=opening,
        meanings={key: meanings[key] for key in keys if meanings[key]},
    )


def _ends(node: yaml.Node | None, prefix: str = "") -> dict[str, yaml.Mark]:
    """Where the value of each key ends."""
    found: dict[str, yaml.Mark] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        if isinstance(value, yaml.MappingNode):
            found.update(_ends(value, f"{prefix}{key.value}."))
        else:
            found[f"{prefix}{key.value}"] = value.end_mark
    return found


def _beside(lines: list[str], end: yaml.Mark) -> str:
    """The comment behind a value, with the lines below that do nothing but go on with it."""
    if end.line >= len(lines):  # of a list that is written line by line
        return ""
    first = lines[end.line][end.column :].strip()
    if not first.startswith("#"):
        return ""
    more = itertools.takewhile(
        lambda line: line.startswith((" ", "\t")) and line.strip().startswith("#"), lines[end.line + 1 :]
    )
    return " ".join(part.strip().lstrip("#").strip() for part in (first, *more))


def _keys(values: dict[str, Any], prefix: str = "", hidden: tuple[str, ...] = ("defaults", "name")) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in hidden:
            continue
        if isinstance(value, dict):
            found.update(_keys(value, f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = value
    return found


def _refers(value: Any) -> bool:
    """Whether it is the value of another key, which is listed there."""
    return isinstance(value, str) and re.fullmatch(r"\$\{[^}]*\}", value) is not None

"""The formats of a report, each written piece by piece to a file or to standard output."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from distill.errors import DistillError
from distill.files import replacing
from distill.results import as_json, latex, markdown, tidy
from distill.results.collect import Collected
from distill.results.frame import unique
from distill.results.grouping import Grouping
from distill.results.study import Study

FORMATS = {
    "markdown": "a page of GitHub Markdown",
    "latex": "a table for LaTeX (booktabs)",
    "csv": "a line per network, or per cell of --by",
    "json": "everything, for programs",
    "html": "one page that holds all, figures too",
}
STDOUT = "-"


@dataclass(frozen=True)
class Content:
    """What a report tells.

    Attributes:
        found: The runs.
        outcome: What they show together.
        grouping: The table that the user asked for with `--by`.
        plots: Pictures that lie beside it.
    """

    found: Collected
    outcome: Study
    grouping: Grouping | None = None
    plots: list[Path] = field(default_factory=list)


def check(targets: Mapping[str, str]) -> None:
    """Refuses what could not be written, before any work is done.

    Args:
        targets: A file, or `-` for standard output, by format.

    Raises:
        DistillError: Two formats would go to one place, or one to a folder or into one that cannot be written.
    """
    taken: dict[str, str] = {}
    for kind, target in targets.items():
        place = target if target == STDOUT else str(Path(target).resolve())
        if place in taken:
            raise DistillError(f"--{taken[place]} and --{kind} cannot both be written to {target}: name another file.")
        taken[place] = kind
        if target != STDOUT and (not target or Path(target).is_dir()):
            raise DistillError(f"--{kind} {target or repr('')} is not allowed: it must be a file, or - for the screen.")
        if target != STDOUT and (hindrance := _hindrance(Path(target))):
            raise DistillError(f"--{kind} {target} cannot be written: {os.strerror(hindrance)}.")


def _hindrance(path: Path) -> int:
    """The error that making a file would meet in its folder, or in the nearest one there is; 0 for none."""
    folder = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    if not folder.is_dir():
        return errno.ENOTDIR
    return 0 if os.access(folder, os.W_OK | os.X_OK) else errno.EACCES


def write(content: Content, targets: Mapping[str, str]) -> list[Path]:
    """Writes a report in some formats.

    Args:
        content: What it tells.
        targets: A file, or `-` for standard output, by format.

    Returns:
        The files written.

    Raises:
        DistillError: One cannot be written.
    """
    written = []
    for kind, target in targets.items():
        if target == STDOUT:
            for piece in pieces(kind, content, Path.cwd()):
                sys.stdout.write(piece)
            continue
        path = Path(target)
        try:
            written.append(write_pieces(path, pieces(kind, content, path.parent)))
        except OSError as error:
            raise DistillError(f"--{kind} {target} cannot be written: {error.strerror or error}.") from error
    return written


def write_pieces(path: Path, parts: Iterable[str]) -> Path:
    """Writes a text that is never in memory as a whole, whole or not at all."""
    with replacing(path) as draft, draft.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(parts)
    return path


def pieces(kind: str, content: Content, folder: Path) -> Iterator[str]:
    """A report in one of the formats; `folder` is where it will lie."""
    found, outcome, grouping = content.found, content.outcome, content.grouping
    if kind == "markdown":
        yield markdown.page(found, outcome, content.plots, folder, grouping)
    elif kind == "latex":
        yield latex.page(outcome, grouping)
    elif kind == "csv":
        yield from tidy.networks(unique(found.rows)) if grouping is None else tidy.cells(grouping)
    elif kind == "json":
        yield from as_json.pieces(found, outcome, grouping)
    else:
        from distill.results import html

        yield html.page(found, outcome)

"""Rebuilds tables, plots and pages from the folders that runs left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from distill.errors import DataError, DistillError
from distill.files import write_text
from distill.results import formats, grouped, tidy
from distill.results.collect import Collected, collect, metrics
from distill.results.curves import curves
from distill.results.formats import Content
from distill.results.frame import unique
from distill.results.grouping import group
from distill.results.layout import show
from distill.results.markdown import page
from distill.results.means import print_lost
from distill.results.plots import sweep_plots
from distill.results.records import read
from distill.results.study import study
from distill.results.terminal import print_run, print_sweep
from distill.results.unseen import told

_FEW = 3  # runs whose curves are drawn: each takes half a second
_WARNINGS = 20
_WITH_NETWORKS = ("csv", "html", "markdown", "json")  # the formats that have a row for every network
_CSV = "what --csv writes"


def report(
    paths: Sequence[Path],
    output: Path | None,
    console: Console,
    targets: Mapping[str, str] | None = None,
    by: Sequence[str] = (),
    measures: Sequence[str] = (),
) -> list[Path]:
    """Joins all runs at or below some paths: prints their table and verdict, and writes a report.

    Args:
        paths: Runs, sweeps, or folders that hold them.
        output: Where `report.csv`, `report.md` and plots go; `None` is the folder given when it is one, else
            `report` in the current folder. They are left out where `targets`, `by` or `measures` say what is wanted.
        console: Where to print; nothing but warnings where a target is standard output.
        targets: A file, or `-` for standard output, by format (`formats.FORMATS`).
        by: Keys to group by, as for `grouping.group`.
        measures: Columns whose means are wanted, likewise.

    Returns:
        The files written.

    Raises:
        DistillError: A path does not exist, holds no run that can be read, there is no such key or measure, or a file
            cannot be written.
    """
    targets = targets or {}
    formats.check(targets)
    found = collect(paths)
    grouping = group(found, by, measures) if by or measures else None
    content = Content(found, study(found.rows, found.runs), grouping)
    whole = output is not None or not (targets or grouping)
    drawn = _missing_curves(found) if whole else []
    table = "report.csv" if whole else next((targets[name] for name in _WITH_NETWORKS if name in targets), _CSV)
    _print(content, console, tables=formats.STDOUT not in targets.values(), table=table)
    if whole:
        folder = output or _home(paths)
        try:
            plots = sweep_plots(found.rows, folder, content.outcome)
            content.plots.extend(plots)
            csv = formats.write_pieces(folder / "report.csv", tidy.networks(unique(found.rows)))
            drawn += [csv, *plots, _page(content, folder)]
        except OSError as error:
            raise _not_writable(folder, error) from error
    return [*drawn, *formats.write(content, targets)]


def summarise_sweep(folder: Path, console: Console) -> list[Path]:
    """Joins the jobs of a sweep when it ends, also when some of them failed.

    Args:
        folder: The sweep's folder.
        console: Where to print.

    Returns:
        The files written into `folder`: `results.csv` with the rows of all jobs, `report.md`, plots. None when
        no job left a record.

    Raises:
        DistillError: The folder cannot be written.
    """
    try:
        found = collect([folder])
    except DistillError as error:
        console.print(Text(f"No job of this sweep left results behind: {error}", "red"))
        return []
    content = Content(found, study(found.rows, found.runs))
    _print(content, console, table="results.csv")
    try:
        content.plots.extend(sweep_plots(found.rows, folder, content.outcome))
        csv = formats.write_pieces(folder / "results.csv", tidy.networks(found.rows))
        return [csv, *content.plots, _page(content, folder)]
    except OSError as error:
        raise _not_writable(folder, error) from error


def _home(paths: Sequence[Path]) -> Path:
    if len(paths) == 1:
        return paths[0] if paths[0].is_dir() else paths[0].parent
    return Path("report")


def _print(content: Content, console: Console, *, tables: bool = True, table: str = "report.csv") -> None:
    found, outcome = content.found, content.outcome
    for warning in found.warnings[:_WARNINGS]:
        console.print(Text(f"warning: {warning}", "yellow"))
    if len(found.warnings) > _WARNINGS:
        console.print(Text(f"warning: and {len(found.warnings) - _WARNINGS:,} more like these.", "yellow"))
    if not tables:
        return
    if content.grouping is not None:
        cells, about = grouped.table(content.grouping, console.width)
        lost = show(cells, console)
        print_lost(lost, [name for name in lost if name not in ("n", "95 % interval")], console, _CSV)
        console.print(Text(about, "dim"))
    elif len(found.runs) == 1:
        print_run(found.rows, console)
        for line in _unseen(found.folders[0]):
            console.print(Text(line))
    else:
        print_sweep(found.rows, console, outcome, table)
        console.print()
    console.print(Text(outcome.sentence))


def _unseen(folder: Path) -> list[str]:
    try:
        return told(read(folder))
    except DataError:
        return []  # it was removed since it was collected


def _page(content: Content, folder: Path) -> Path:
    folders, plots = content.found.folders, content.plots
    if len(folders) == 1 and (folders[0] / "curves.png").exists():
        plots = [folders[0] / "curves.png"]
    return write_text(folder / "report.md", page(content.found, content.outcome, plots, folder, content.grouping))


def _missing_curves(found: Collected) -> list[Path]:
    drawn = []
    for folder in found.folders if len(found.folders) <= _FEW else ():
        if not (folder / "metrics.csv").exists() or (folder / "curves.png").exists():
            continue
        history = metrics(folder)
        try:
            if len(history):
                drawn.append(curves(history, folder / "curves.png"))
                continue
        except (OSError, ValueError, KeyError, TypeError):
            pass
        found.warnings.append(f"No curves for {folder}: its metrics.csv is not one that can be drawn.")
    return drawn


def _not_writable(folder: Path, error: OSError) -> DistillError:
    return DistillError(
        f"The report cannot be written to {folder} ({error.strerror or error}): "
        "make it writable, or name another folder with `distill report PATH --output DIR`."
    )

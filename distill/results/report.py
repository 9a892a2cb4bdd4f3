"""Rebuilds tables, plots and pages from the folders that runs left behind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.text import Text

from distill.errors import DistillError
from distill.files import write_text
from distill.results.collect import Collected, collect
from distill.results.curves import curves
from distill.results.frame import records, unique
from distill.results.markdown import page
from distill.results.plots import sweep_plots
from distill.results.rows import write_csv
from distill.results.terminal import print_run, print_sweep
from distill.results.unseen import told
from distill.results.verdict import verdict


def report(paths: Sequence[Path], output: Path | None, console: Console) -> list[Path]:
    """Joins all runs at or below some paths: prints their table and verdict, and writes a report.

    Args:
        paths: Runs, sweeps, or folders that hold them.
        output: Where `report.csv`, `report.md` and plots go; `None` is the folder given when it is one, else
            `report` in the current folder.
        console: Where to print.

    Returns:
        The files written.

    Raises:
        DistillError: A path does not exist, holds no run that can be read, or `output` cannot be written.
    """
    found = collect(paths)
    folder = output or _home(paths)
    drawn = _missing_curves(found)
    sentence = _print(found, console)
    try:
        csv = write_csv(records(unique(found.rows)), folder / "report.csv")
        return [*drawn, csv, *_pages(found, sentence, folder)]
    except OSError as error:
        raise _not_writable(folder, error) from error


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
    lost = _job_folders(folder) - len(found.runs)
    sentence = _print(found, console)
    if lost > 0:
        jobs_lost = "1 job left no record" if lost == 1 else f"{lost} jobs left no record"
        console.print(Text(f"{jobs_lost} in {folder}: ended from outside before anything had begun.", "red"))
    try:
        csv = write_csv(records(found.rows), folder / "results.csv")
        return [csv, *_pages(found, sentence, folder)]
    except OSError as error:
        raise _not_writable(folder, error) from error


def _home(paths: Sequence[Path]) -> Path:
    if len(paths) == 1:
        return paths[0] if paths[0].is_dir() else paths[0].parent
    return Path("report")


def _job_folders(folder: Path) -> int:
    # A job that died before its record was written has left its folder, as Hydra makes that first.
    return sum(child.is_dir() and re.match(r"\d+(_|$)", child.name) is not None for child in folder.iterdir())


def _print(found: Collected, console: Console) -> str:
    for warning in found.warnings:
        console.print(Text(f"warning: {warning}", "yellow"))
    (print_run if len(found.runs) == 1 else print_sweep)(found.rows, console)
    if len(found.runs) == 1:
        for line in told(found.runs[0]):
            console.print(Text(line))
    sentence = verdict(found.rows, found.runs)
    console.print(Text(sentence))
    return sentence


def _pages(found: Collected, sentence: str, folder: Path) -> list[Path]:
    plots = sweep_plots(found.rows, folder)
    shown = plots
    if len(found.folders) == 1 and (found.folders[0] / "curves.png").exists():
        shown = [found.folders[0] / "curves.png"]
    return [*plots, write_text(folder / "report.md", page(found, sentence, shown, folder))]


def _missing_curves(found: Collected) -> list[Path]:
    drawn = []
    for folder in found.folders:
        metrics, picture = folder / "metrics.csv", folder / "curves.png"
        if not metrics.exists() or picture.exists():
            continue
        try:
            drawn.append(curves(pd.read_csv(metrics), picture))
        except (OSError, ValueError, KeyError, TypeError) as error:
            found.warnings.append(f"No curves for {folder}: {error}.")
    return drawn


def _not_writable(folder: Path, error: OSError) -> DistillError:
    return DistillError(
        f"The report cannot be written to {folder} ({error.strerror or error}): "
        "make it writable, or name another folder with `distill report PATH --output DIR`."
    )

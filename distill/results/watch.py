"""Shows running sweeps and runs again and again, until nothing runs any more."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from distill.errors import DistillError
from distill.results.find import RECORD
from distill.results.watch_state import Folder, Group
from distill.results.watch_table import render

_SECONDS_BETWEEN_LOOKS = 1.0


def watch(path: Path, console: Console, *, once: bool = False, follow: bool = False) -> None:
    """Shows what runs at or below a folder.

    Args:
        path: A run, a sweep, or a folder that holds them.
        console: Where to; what is no terminal gets one look.
        once: One look.
        follow: Goes on when nothing runs, as something may begin.

    Raises:
        DistillError: There is no such folder, or no run in it.
    """
    folder = Folder(path)
    if once or not console.is_terminal:
        console.print(render(_of_interest(folder.look(), set(), path), time.time()))
        return
    seen: set[Path] = set()
    with Live(console=console, auto_refresh=False) as live:
        while True:
            groups = folder.look()
            running = [group for group in groups if group.active]
            seen.update(group.folder for group in running)
            if running or seen or not follow:
                live.update(_frame(_of_interest(groups, seen, path), console), refresh=True)
            else:
                live.update(Text(f"Nothing runs in {path} yet; Ctrl-C ends the watch.", "dim"), refresh=True)
            if not running and not follow:
                break
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    console.print(Text("Nothing runs any more." if seen else "Nothing runs; this is the latest.", "dim"))


def _frame(groups: Sequence[Group], console: Console) -> RenderableType:
    return render(groups, time.time(), console.height - 1)


def _of_interest(groups: Sequence[Group], seen: set[Path], path: Path) -> Sequence[Group]:
    """What runs, or ran while it was watched; else the latest."""
    if not groups:
        raise DistillError(f"There is no run in {path}: `distill train` leaves them under outputs/runs and sweeps.")
    jobs = [job for group in groups for job in group.jobs]
    if jobs and all(job.state == "unreadable" for job in jobs):
        raise DistillError(f"{jobs[0].folder / RECORD} cannot be read: it is damaged, or you may not read it.")
    return [group for group in groups if group.active or group.folder in seen] or groups[-1:]

"""Running sweeps and runs as a table on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from rich.console import Group as Stacked
from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from distill.results.find import RECORD
from distill.results.measures import known_score
from distill.results.watch_state import Best, Group, Job

_STYLES = {"running": "cyan", "finished": "green", "failed": "red", "interrupted": "yellow", "unreadable": "red"}
_URGENCY = ("running", "failed", "unreadable", "interrupted", "finished")
_BAR = 12  # characters


def render(groups: Sequence[Group], now: float, height: int | None = None) -> RenderableType:
    """All groups, one below the other.

    Args:
        groups: What to show.
        now: Seconds since 1970.
        height: Lines there are room for: running jobs are shown first, then those that failed, then the latest;
            `None` shows all jobs, by number.
    """
    parts: list[RenderableType] = []
    room = None if height is None else height - sum(len(_head(group, now)) + 3 for group in groups)
    for group in groups:
        parts += _head(group, now)
        shown = _shown(group, room)
        if room is not None:
            room -= len(shown)
        if shown:
            parts.append(_table(group, shown))
        hidden = len(group.jobs) - len(shown)
        parts.append(Text(f"… and {hidden} more {'job' if hidden == 1 else 'jobs'}" if hidden else "", "dim"))
    return Stacked(*parts)


def duration(seconds: float | None) -> str:
    """`40 s`, `12 min`, `3 h 20 min`; nothing for what is not known."""
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} days"


def _head(group: Group, now: float) -> list[Text]:
    """What a group is, how far it is, what came of it so far, and why jobs failed."""
    lines = [Text.assemble((_name(group.folder), "bold"), ("  " + _setting(group, group.common), "dim"))]
    if group.sweep:
        lines.append(_totals(group, now))
    if group.stack is not None:
        lines.append(_stack(group))
    best = group.best
    if group.sweep and best is not None:
        lines.append(_best(group, best))
    reasons: dict[str, list[str]] = {}
    for job in group.jobs:
        if job.state == "failed":
            reasons.setdefault(str(job.facts.get("error")), []).append(str(job.number))
    for reason, jobs in list(reasons.items())[:3]:
        where = f" ({'job' if len(jobs) == 1 else 'jobs'} {', '.join(jobs)})" if group.sweep else ""
        lines.append(Text(f"failed: {reason}{where}", "red", overflow="ellipsis", no_wrap=True))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return lines


def _name(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}" if folder.parent.name in ("sweeps", "runs") else folder.name


def _totals(group: Group, now: float) -> Text:
    done = group.count("finished")
    line = Text(f"{done} of {group.total} done" if group.total is not None else f"{done} done")
    for state in ("failed", "unreadable", "interrupted", "running"):
        if group.count(state):
            line.append(", ").append(f"{group.count(state)} {state}", _STYLES[state])
    if group.to_come:
        line.append(f", {group.to_come} not started")
    left = group.seconds_left(now) if group.active else None
    if left is not None:
        line.append(f", about {duration(max(1.0, left))} left", "bold")
    elif not group.active:
        line.append(", nothing runs", "dim")
    return line


def _stack(group: Group) -> Text:
    stack = group.stack or {}
    line = Text(f"training {stack.get('networks', '')} networks as one", "cyan")
    if "epoch" in stack:
        line.append(f", epoch {stack['epoch']}/{stack['epochs']} ({stack['share']:.0%})")
    for name in ("val", "test"):
        value = stack.get(f"{name}_accuracy")  # real-valued targets are not stacked
        if value is not None:
            return line.append(f", mean {name} accuracy {value:.2%}")
    return line


def _best(group: Group, best: Best) -> Text:
    own = dict(_own(group, best.jobs[0]))
    if len(best.jobs) > 1:
        own.pop("seed", None)
    setting = _setting(group, own) or ("default" if len(best.jobs) > 1 else f"job {best.jobs[0].number}")
    setting += f", mean of {len(best.jobs)} seeds" if len(best.jobs) > 1 else ""
    by = group.measure.title
    if group.chosen_by == "val":
        line = Text.assemble(f"best by validation {by}: ", (setting, "bold"), f"  {best.val:.2%}")
        return line if best.test is None else line.append(f" (test {best.test:.2%})")
    return Text.assemble(
        f"best by test {by}, as no validation examples are held out: ", (setting, "bold"), f"  {best.test:.2%}"
    )


def _shown(group: Group, room: int | None) -> list[Job]:
    if room is None or len(group.jobs) <= room:
        return group.jobs
    # The latest job of a kind tells most.
    ranked = sorted(group.jobs, key=lambda job: (_URGENCY.index(job.state), -job.stamp))
    return sorted(ranked[: max(1, room)], key=lambda job: job.number)


def _table(group: Group, jobs: Sequence[Job]) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    if group.sweep:
        table.add_column("job", justify="right", no_wrap=True)
    table.add_column("settings", no_wrap=True, overflow="ellipsis", ratio=1, min_width=10)
    table.add_column("state", no_wrap=True)
    table.add_column("", width=_BAR)
    table.add_column(f"{group.chosen_by} %", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.expand = True
    for job in jobs:
        cells = [
            _asked(group, job),
            _state(job),
            _bar(job),
            _reached(group, job),
            _time(job),
        ]
        table.add_row(*([str(job.number), *cells] if group.sweep else cells))
    return table


def _asked(group: Group, job: Job) -> str:
    if job.state == "unreadable":
        return f"its {RECORD} cannot be read"
    return _setting(group, _own(group, job)) or "default"


def _own(group: Group, job: Job) -> Mapping[str, str]:
    common = group.common
    return {key: value for key, value in job.overrides.items() if key not in common}


def _setting(group: Group, overrides: Mapping[str, str]) -> str:
    """Overrides by the shortest end of their key that tells them from the others: `lr=0.1`."""
    keys = {key for job in group.told[:1] for key in job.overrides} | overrides.keys()
    return " ".join(f"{_short(key, keys)}={value}" for key, value in overrides.items())


def _short(key: str, keys: Set[str]) -> str:
    parts = key.split(".")
    ends = (".".join(parts[-length:]) for length in range(1, len(parts) + 1))
    return next(end for end in ends if sum(f".{other}".endswith(f".{end}") for other in keys) == 1)


def _state(job: Job) -> Text:
    if job.state != "running":
        return Text(job.state, _STYLES[job.state])
    known = job.progress
    if known is None:
        return Text("begins", "cyan")
    if known.get("state") == "waiting":
        return Text(f"waits for {known['role']}", "dim")
    epoch = f" {known['epoch']}/{known['epochs']}" if "epoch" in known else ""
    return Text(f"{known.get('role', '')}{epoch}", "cyan")


def _bar(job: Job) -> RenderableType:
    if job.state != "running" or job.progress is None or "share" not in job.progress:
        return ""
    return ProgressBar(total=1.0, completed=job.progress["share"], width=_BAR)


def _reached(group: Group, job: Job) -> str:
    value = getattr(job, group.chosen_by)
    if job.state == "running":
        value = known_score(job.progress or {}, group.chosen_by)
    return "" if value is None else f"{100 * value:.2f}"


def _time(job: Job) -> str:
    if job.state == "running":
        left = duration((job.progress or {}).get("seconds_left"))
        return f"{left} left" if left else ""
    return duration(job.facts.get("seconds"))

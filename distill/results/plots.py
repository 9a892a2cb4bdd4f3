"""How the student's accuracy, or R2, depends on what a sweep varied, as plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from distill.results import canvas
from distill.results.columns import shown
from distill.results.frame import is_finished, is_numeric, numeric, order, records, setting, students, varying
from distill.results.measures import ACCURACY, R2, measure_of, scores
from distill.results.statistics import Summary, summarise
from distill.results.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GRID = ("T", "alpha")
MOST_GRIDS = 6
LINE_COLOURS = (canvas.GREEN, canvas.VERMILION, canvas.PURPLE, canvas.SKY, canvas.BLACK)


def sweep_plots(df: pd.DataFrame, folder: Path, outcome: Study | None = None) -> list[Path]:
    """Draws what a sweep calls for: a heat map when `T` and `alpha` vary, lines when one numeric key does.

    A heat map is drawn for each setting of the other keys with a grid of its own; a line likewise, all in one plot.
    Plots that an earlier report left in the folder are removed.

    Args:
        df: Rows of all runs, each with its own teacher and baseline.
        folder: Where the PNGs go.
        outcome: What they show together: of many settings of the other keys, the winner's heat map is drawn.

    Returns:
        The files written; none when neither kind of plot would show the sweep.
    """
    written = _sweep_plots(df[is_finished(df) & scores(df).notna()], folder, outcome)
    for path in (path for measure in (ACCURACY, R2) for path in folder.glob(f"{measure.name}_*.png")):
        if path not in written and canvas.is_ours(path):
            path.unlink()
    return written


def _sweep_plots(finished: pd.DataFrame, folder: Path, outcome: Study | None) -> list[Path]:
    keys, by = varying(finished), measure_of(finished).name
    if set(GRID) <= set(keys):
        others = [key for key in keys if key not in GRID]
        # Joined runs may differ in T or alpha without any setting that has a grid of both.
        parts = [(name, part) for name, part in _parts(finished, others) if all(_swept(part, key) for key in GRID)]
        if len(parts) > MOST_GRIDS:
            parts = [one for one in parts if outcome and outcome.winner and _holds(one[1], outcome.winner.rows)]
        suffixes = [f"_{number}" if len(parts) > 1 else "" for number in range(1, len(parts) + 1)]
        if parts:
            return [
                heatmap(part, folder / f"{by}_T_alpha{suffix}.png", name)
                for (name, part), suffix in zip(parts, suffixes, strict=True)
            ]
    swept = [key for key in keys if _swept(finished, key)]
    if len(swept) != 1:
        return []
    key = swept[0]
    if len(_parts(finished, [other for other in keys if other != key])) > len(LINE_COLOURS):
        return []
    return [line(finished, key, folder / f"{by}_{key.replace('/', '.')}.png")]


def _holds(part: pd.DataFrame, rows: pd.DataFrame) -> bool:
    return bool(part["run"].isin(rows["run"]).any())


def _swept(df: pd.DataFrame, key: str) -> bool:
    """Whether the students have several numbers there; none, as of a method that lacks the key, is not one."""
    values = students(df)[key]
    return is_numeric(values) and numeric(values).nunique() > 1


def _parts(df: pd.DataFrame, keys: Sequence[str]) -> list[tuple[str, pd.DataFrame]]:
    """The runs by setting of some keys: the setting in words, and all rows of its runs."""
    if not keys:
        return [("", df)]
    parts = []
    for _, own in order(students(df), keys).groupby(list(keys), sort=False, dropna=False):
        parts.append((setting(records(own)[0], keys) or "default", df[df["run"].isin(own["run"])]))
    return parts


def heatmap(df: pd.DataFrame, path: Path, name: str = "") -> Path:
    """Draws the student's accuracy or R2 over temperature and alpha, mean over seeds.

    Args:
        df: Rows of all runs, each with its own teacher and baseline.
        path: PNG to write.
        name: What else is special about these runs, for the title.

    Returns:
        `path`.
    """
    table, gains = _grid(df.assign(score=scores(df)), "score"), _grid(df, "gain")
    reached, gain = 100 * table.to_numpy(float), gains.to_numpy(float)
    rows, columns = reached.shape
    figure, (ax,) = canvas.new(max(2.6 + 0.95 * columns, 6.0), 1.9 + 0.62 * rows)
    picture = ax.imshow(reached, cmap="cividis", aspect="auto", origin="lower")
    low, high = np.nanmin(reached), np.nanmax(reached)
    for i, j in np.ndindex(rows, columns):
        value = reached[i, j]
        if np.isnan(value):
            ax.text(j, i, "–", ha="center", va="center", color=canvas.INK)
            continue
        # cividis runs from dark to light.
        colour = "black" if value > (low + high) / 2 else "white"
        ax.text(j, i, f"{value:.1f}", ha="center", va="bottom", color=colour, fontsize=11, fontweight="bold")
        if not np.isnan(gain[i, j]):
            ax.text(j, i, f"{gain[i, j]:+.1f}", ha="center", va="top", color=colour, fontsize=8)
    ax.set_xticks(range(columns), [f"{value:g}" for value in table.columns])
    ax.set_yticks(range(rows), [f"{value:g}" for value in table.index])
    ax.set_xticks(np.arange(columns - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(rows - 1) + 0.5, minor=True)
    ax.set_facecolor(canvas.FAINT)
    ax.grid(False)
    ax.grid(True, which="minor", axis="both", color="white", linewidth=2)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("temperature T", color=canvas.INK)
    ax.set_ylabel("alpha, weight of the soft term", color=canvas.INK)
    ax.set_title(_title(df, name), loc="left", fontsize=10, color=canvas.INK)
    bar = figure.colorbar(picture, ax=ax, pad=0.02)
    bar.set_label(f"student {measure_of(df).title} (%)", color=canvas.INK, fontsize=9)
    bar.ax.tick_params(labelsize=8, colors=canvas.INK)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return canvas.save(figure, path)


def _grid(df: pd.DataFrame, value: str) -> pd.DataFrame:
    table = students(df).pivot_table(index="alpha", columns="T", values=value, aggfunc="mean", dropna=False)
    return table.sort_index(axis=0).sort_index(axis=1)


def _title(df: pd.DataFrame, name: str) -> str:
    seeds = students(df)["seed"].nunique()
    over = f", mean over {seeds} seeds" if seeds > 1 else ""
    known = [f"{role} {mean.shown(100.0, digits=1)} %" for role, mean in _references(df).items()]
    head = f"Student {measure_of(df).title} (%){over}; below it the gain (points)"
    return "\n".join(line for line in (f"{head}: {name}" if name else head, ", ".join(known)) if line)


def _references(df: pd.DataFrame) -> dict[str, Summary]:
    """Accuracy or R2 of baseline and teacher, where there are any, every network once."""
    found: dict[str, Summary] = {}
    for role in ("baseline", "teacher"):
        own = df[df["role"] == role]
        once = own[(own["signature"] == "") | ~own.duplicated("signature")]
        if len(once):
            found[role] = summarise([scores(once).to_numpy()])[0]
    return found


def line(df: pd.DataFrame, key: str, path: Path) -> Path:
    """Draws the student's accuracy or R2 against one numeric key, with baseline and teacher to compare.

    Args:
        df: Rows of all runs, each with its own teacher and baseline.
        key: What is on the horizontal axis; every other key that varies makes a line of its own. Several
            seeds become a mean with its 95 % interval.
        path: PNG to write.

    Returns:
        `path`.
    """
    figure, (ax,) = canvas.new(7.2, 4.3)
    others = [other for other in varying(df) if other != key]
    parts = list(zip(_parts(df, others), LINE_COLOURS, strict=False))
    ends: list[tuple[float, str, str]] = []
    own_dashes: list[str] = []
    for (name, part), colour in parts:
        label = name.partition("=")[2] if len(others) == 1 else name
        ends.append(_draw(ax, _means(students(part), key), colour, label or "student", width=2.2))
    for role in _references(df):
        if _networks(df, role) == _networks(parts[0][0][1], role):
            means = _means(df[df["role"] == role], key, students(df))
            ends.append(_draw(ax, means, canvas.ROLE_COLOURS[role], role, dashed=True))
            continue
        own_dashes.append(role)
        for (_, part), colour in parts:
            _draw(ax, _means(part[part["role"] == role], key, students(part)), colour, role, dashed=True)
    swept = sorted(numeric(students(df)[key]).dropna().unique())
    _scale(ax, swept)
    ax.set_xlabel({"T": "temperature T", "alpha": "alpha, weight of the soft term"}.get(key, key), color=canvas.INK)
    ax.set_ylabel(f"test {measure_of(df).title} (%)", color=canvas.INK)
    note = f"\ndashed, in the colour of its student: {' and '.join(own_dashes)}" if own_dashes else ""
    ax.set_title(_line_title(df) + note, loc="left", fontsize=10, color=canvas.INK)
    ax.margins(y=0.08)
    figure.draw_without_rendering()
    canvas.label_ends(ax, ends)
    return canvas.save(figure, path)


def _networks(df: pd.DataFrame, role: str) -> set[str]:
    return set(df[df["role"] == role]["signature"])


def _means(own: pd.DataFrame, key: str, asked: pd.DataFrame | None = None) -> dict[float, Summary]:
    """Accuracy or R2 by value of the key; `asked` are the runs' students, who know that value for others."""
    values = numeric(own[key])
    if asked is not None:
        values = own["run"].map(dict(zip(asked["run"], numeric(asked[key]), strict=True)))
    once = pd.DataFrame({"value": values, "signature": own["signature"], "score": scores(own), "run": own["run"]})
    # A network that several runs share is one sample.
    once["signature"] = once["signature"].where(once["signature"] != "", once["run"])
    once = once.drop_duplicates(["value", "signature"]).dropna(subset="value")
    at = sorted(set(once["value"]))
    return dict(zip(at, summarise([once["score"][once["value"] == value].to_numpy() for value in at]), strict=True))


def _draw(
    ax: Axes,
    means: Mapping[float, Summary],
    colour: str,
    label: str,
    *,
    dashed: bool = False,
    width: float = 1.5,
) -> tuple[float, str, str]:
    at = list(means)
    heights = [100 * one.mean for one in means.values()]
    # One value has no interval.
    lows, highs = (
        [100 * (one.mean if np.isnan(end) else end) for one, end in zip(means.values(), ends, strict=True)]
        for ends in ([one.low for one in means.values()], [one.high for one in means.values()])
    )
    if dashed and len(set(heights)) == 1:
        ax.axhspan(lows[0], highs[0], color=colour, alpha=0.12, linewidth=0)
        ax.axhline(heights[0], color=colour, linewidth=width, linestyle="--")
    elif dashed:
        ax.fill_between(at, lows, highs, color=colour, alpha=0.12, linewidth=0)
        ax.plot(at, heights, color=colour, linewidth=width, linestyle="--")
    else:
        away = [np.subtract(heights, lows), np.subtract(highs, heights)]
        look = {"linewidth": width, "elinewidth": 1.2, "marker": "o", "markersize": 5, "capsize": 3}
        ax.errorbar(at, heights, yerr=away, color=colour, **look)
    reached = f" {heights[-1]:.1f} %" if dashed and len(set(heights)) == 1 else ""
    return heights[-1], f"{label}{reached}", colour


def _scale(ax: Axes, swept: Sequence[float]) -> None:
    if len(swept) > 2 and swept[0] > 0 and _is_geometric(swept):
        ax.set_xscale("log", base=2)
    if len(swept) <= 10:
        ax.set_xticks(swept, [shown("T", value) for value in swept])
        ax.minorticks_off()


def _is_geometric(values: Sequence[float]) -> bool:
    """Whether each value is about a constant multiple, of 1.5 at least, of the one before, as 1, 2, 4 or 1, 3, 10."""
    ratios = np.array(values[1:]) / np.array(values[:-1])
    return bool(ratios.min() >= 1.5 and ratios.max() <= 1.7 * ratios.min())


def _line_title(df: pd.DataFrame) -> str:
    seeds = students(df)["seed"].nunique()
    model, dataset = (students(df)[name].unique() for name in ("model", "dataset"))
    what = f"Distilled {model[0]}" if len(model) == 1 else "Distilled student"
    where = f" on {dataset[0]}" if len(dataset) == 1 else ""
    return what + where + (f", mean and its 95 % interval over {seeds} seeds" if seeds > 1 else ", one seed")

"""What was found out about a network, as files: a page with its pictures, and the numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from distill.files import write_text
from distill.results.inspection import plots
from distill.results.inspection.answers import Answers
from distill.results.inspection.findings import Findings
from distill.results.inspection.numbers import percent, share
from distill.results.inspection.plots import Pixels
from distill.results.inspection.sentences import agreement, answered, disagreement, of_classes, opening


def write(found: Findings, pixels: Pixels, folder: Path) -> list[Path]:
    """Writes pictures, page and numbers.

    Args:
        found: What was found out.
        pixels: Picture of each example by position, `[height, width, 3]` uint8; empty where inputs are no pictures.
        folder: Where to; made when it is not there.

    Returns:
        The files written.
    """
    written = [plots.examples_plot(found, pixels, folder / "examples.png")]
    written.append(plots.pairs_plot(found, folder / "pairs.png"))
    sheet = folder / "disagreements.png"
    if pixels and found.beside is not None and len(found.beside.disagreements):
        written.append(plots.disagreements_plot(found, pixels, sheet))
    else:
        sheet.unlink(missing_ok=True)  # that of an earlier look, at other networks
    written.append(write_text(folder / "inspect.csv", table(found)))
    written.append(write_text(folder / "inspect.md", page(found, [path.name for path in written])))
    return written


def disagreements(found: Findings) -> list[int]:
    """Positions of the disagreements that are shown."""
    return [] if found.beside is None else found.beside.disagreements[: plots.sheet_size()].tolist()


def table(found: Findings) -> str:
    """Probabilities of all examples that are shown, CSV: a line for each example, network and temperature."""
    reasons = {example.position: example.reason for example in found.examples}
    for position in disagreements(found):
        reasons.setdefault(position, "disagreement")
    networks = [found.answers, *([] if found.other is None else [found.other])]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["example", "reason", "true_class", "role", "T", "prediction", "entropy_nats", "effective_classes"]
    writer.writerow([*head, *(f"p({name})" for name in found.classes)])
    for position, reason in reasons.items():
        for answers in networks:
            for one in found.softened(position, answers):
                said = found.classes[int(answers.predictions[position])]
                facts = [position, reason, found.classes[found.label(position)], answers.role, f"{one.T:g}", said]
                measures = [float(one.entropy), float(one.effective_classes), *one.probabilities.tolist()]
                writer.writerow([*facts, *(f"{value:.6g}" for value in measures)])
    return text.getvalue()


def page(found: Findings, names: Sequence[str]) -> str:
    """A page of GitHub Markdown.

    Args:
        found: What was found out.
        names: Files that lie beside it.
    """
    title = f"# What the {found.answers.role} of {found.run} knows"
    parts = [_escaped(title), *map(_escaped, opening(found))]
    parts.append("## Examples\n\n![examples](examples.png)")
    for example in found.examples:
        parts.append(
            f"- test example {example.position}, {example.reason}: {_escaped(answered(found, example.position))}"
        )
    parts += ["## Classes it takes for each other", _escaped(of_classes(found)), _pairs(found), "![pairs](pairs.png)"]
    if found.beside is not None and found.compared is not None:
        first, second = found.compared
        parts += [f"## {first.role.capitalize()} and {second.role}", *agreement(found), disagreement(found)]
        parts += [_disagreements(found, first, second)] if len(found.beside.disagreements) else []
        parts += ["![disagreements](disagreements.png)"] if "disagreements.png" in names else []
    parts.append("Probabilities of all examples shown: [inspect.csv](inspect.csv).")
    return "\n\n".join(parts) + "\n"


def _pairs(found: Findings) -> str:
    rows = [
        [found.classes[pair.first], found.classes[pair.second], *map(share, (pair.both, pair.forth, pair.back))]
        for pair in found.pairs
    ]
    return _table(["class a", "class b", "mean, %", "of b on a, %", "of a on b, %"], rows, text=2)


def _disagreements(found: Findings, first: Answers, second: Answers) -> str:
    rows = []
    for position in disagreements(found):
        cells = [str(position), found.classes[found.label(position)]]
        for answers in (first, second):
            name = found.classes[int(answers.predictions[position])]
            cells.append(f"{name} ({percent(float(answers.confidence[position]))})")
        rows.append(cells)
    return _table(["test example", "true class", first.role, second.role], rows, text=4)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], text: int) -> str:
    rule = ["---" if column < text else "---:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(map(_escaped, cells)) + " |" for cells in [head, rule, *rows])


def _escaped(text: str) -> str:
    for character in ("|", "<", "*", "_", "`"):
        text = text.replace(character, f"\\{character}")
    return text

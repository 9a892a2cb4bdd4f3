"""A model card in Markdown, of one network of a run, from nothing but what was recorded."""

from __future__ import annotations

from pathlib import Path

from distill.results.card import about, front, outcome, usage
from distill.results.card.facts import read


def page(path: Path, role: str | None = None) -> tuple[str, Path]:
    """The card of a network.

    Args:
        path: The folder of its run, or a file in it.
        role: Which network; `None` as for `facts.read`.

    Returns:
        The card, Markdown with a head of YAML as model hubs read it, and the folder of the run.

    Raises:
        DistillError: As `facts.read`.
    """
    facts = read(path, role)
    parts = [
        front.matter(facts),
        f"# {about.title(facts)}",
        about.summary(facts),
        *about.sections(facts),
        *outcome.sections(facts),
        *usage.sections(facts),
    ]
    return "\n\n".join(parts) + "\n", facts.folder

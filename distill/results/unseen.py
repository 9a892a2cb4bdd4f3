"""How networks do on classes that they never saw an example of, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def told(run: Mapping[str, Any]) -> list[str]:
    """A line about the classes that were left out of the transfer set, and one for each network.

    Args:
        run: The run's metadata (`run.json`).

    Returns:
        Lines; none where every network saw every class, or nobody measured it.
    """
    found: Mapping[str, Any] = run.get("unseen") or {}
    if not found:
        return []
    dataset = run["dataset"]
    tests: Sequence[int] = dataset["test_by_class"]
    classes: Sequence[int] = next(iter(found.values()))["classes"]
    count = sum(tests[number] for number in classes)
    names = ", ".join(dataset["classes"][number] for number in classes)
    subject, them = (f"Class {names} was", "it") if len(classes) == 1 else (f"Classes {names} were", "them")
    lines = [
        f"{subject} not shown to {' and '.join(found)}; {count:,} of {sum(tests):,} test examples are of {them}. "
        f"Label-free: a bias that makes the mean prediction hold as much of {them} as the teacher's labels do."
    ]
    of_them = f"of class {names}" if len(classes) == 1 else "of these classes"
    for role, accuracies in run["class_accuracy"].items():
        wrong = [
            0 if share is None else round((1 - share) * number) for share, number in zip(accuracies, tests, strict=True)
        ]
        line = f"{role}: {sum(wrong):,} errors, {sum(wrong[number] for number in classes):,} {of_them}"
        for kind, how in (("prior", "label-free"), ("oracle", "oracle: chosen on test labels")):
            if role in found:
                shifted = found[role][kind]
                line += f"; bias {shifted['shift']:+.1f}: {shifted['errors']:,}, {shifted['unseen_errors']:,} ({how})"
        lines.append(f"{line}.")
    return lines

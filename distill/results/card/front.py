"""The head of a model card, which model hubs read."""

from __future__ import annotations

from typing import Any

import yaml

from distill.results.card.facts import Facts
from distill.results.columns import missing
from distill.results.measures import ACCURACY, measure_for

# Names that hubs know them by, and the columns they are.
_METRICS = {
    "accuracy": "accuracy",
    "top5": "top_5_accuracy",
    "nll": "nll",
    "brier": "brier_score",
    "ece": "ece",
    "r2": "r_squared",
    "rmse": "rmse",
}


def matter(facts: Facts) -> str:
    """The YAML head, between its two lines of dashes."""
    kind = "classification" if measure_for(facts.run) is ACCURACY else "regression"
    task = f"{'image' if facts.pictures else 'tabular'}-{kind}"
    row, name = facts.row, facts.dataset["name"]
    measured = {known: row[column] for column, known in _METRICS.items() if not missing(row.get(column))}
    tags = ["knowledge-distillation", task, "pytorch", facts.role]
    if facts.taught:
        tags.append(str(row["method"]))
    head: dict[str, Any] = {
        "library_name": "distill",
        "pipeline_tag": task,
        "tags": tags,
        "datasets": [name],
        "metrics": list(measured),
        "model-index": [
            {
                "name": row["model"],
                "results": [
                    {
                        "task": {"type": task},
                        "dataset": {"type": name, "name": name, "split": "test"},
                        "metrics": [{"type": known, "value": value} for known, value in measured.items()],
                    }
                ],
            }
        ],
    }
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=120).strip()}\n---"

"""Run folders as a training job leaves them, with numbers that can be checked by hand."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill.results.rows import complete, write_csv

Rows = list[dict[str, Any]]


def network(role: str, accuracy: float, params: int, signature: str, **more: Any) -> dict[str, Any]:
    return {
        "run": "run",
        "role": role,
        "model": {"teacher": "mlp-1200-1200"}.get(role, "mlp-30"),
        "dataset": "digits",
        "method": "hinton" if role == "student" else "none",
        "seed": 0,
        "status": "finished",
        "params": params,
        "size_mb": params * 4e-6,
        "latency_ms": 0.0312,
        "accuracy": accuracy,
        "agreement": 1.0 if role == "teacher" else 0.9625,
        "seconds": 12.34,
        "reused": False,
        "signature": signature,
        **more,
    }


def three(student: float = 0.955, baseline: float = 0.94, teacher: float = 0.98, seed: int = 0, **more: Any) -> Rows:
    """Teacher, baseline and student of one run; `more` goes to the student."""
    setting = {"T": 4.0, "alpha": 0.9, **more}
    name = f"s{seed}-" + "-".join(f"{key}{value}" for key, value in setting.items())
    return complete(
        [
            network("teacher", teacher, 2_395_210, f"t{seed}", seed=seed),
            network("baseline", baseline, 1_276_810, f"b{seed}", seed=seed),
            network("student", student, 1_276_810, name, seed=seed, **setting),
        ]
    )


@pytest.fixture
def leave(tmp_path: Path) -> Callable[..., Path]:
    """Leaves a run folder: `leave("sweeps/s/0", rows, overrides={...}, status=..., error=...)`."""
    return leaving(tmp_path)


def leaving(root: Path) -> Callable[..., Path]:
    """What `leave` is, for any folder."""

    def leave_run(
        where: str,
        rows: Rows | None,
        overrides: dict[str, str] | None = None,
        status: str = "finished",
        error: str | None = None,
        **more: Any,
    ) -> Path:
        folder = root / where
        folder.mkdir(parents=True)
        record = {
            "run": folder.name,
            "status": status,
            "error": error,
            "command": "distill train",
            "overrides": overrides or {},
            "seed": 0,
            "seconds": 20.0,
            "dataset": {"name": "digits", "test": 540},
            **more,
        }
        (folder / "run.json").write_text(json.dumps(record))
        if rows is not None:
            write_csv(rows, folder / "results.csv")
        with (folder / "metrics.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["role", "epoch", "loss", "train_accuracy", "val_accuracy", "test_accuracy"])
            for role, final in (("teacher", 0.98), ("baseline", 0.94), ("student", 0.955)):
                writer.writerows([role, epoch, 1 / epoch, final, "", final - 0.3 / epoch] for epoch in (1, 2, 3, 4))
        return folder

    return leave_run

"""What a student learns from: one file per method, each a function of two networks' outputs and a batch.

    from distill.methods import create
    method = create("hinton", T=4.0, alpha=0.9)
    losses = method(student_output, teacher_output, batch)   # named, weighted; their sum is trained on

`alpha` weighs the *soft* (teacher's) term in every method that has it.
"""

from __future__ import annotations

from typing import Any

from distill.methods.base import Method, methods

__all__ = ["Method", "create", "methods", "names"]


def create(name: str, **options: Any) -> Method:
    """Makes a method with the defaults of its YAML file, changed by `options`.

    Raises:
        ConfigError: The name or an option is not allowed.
    """
    return methods.create(name, **options)


def names() -> list[str]:
    """All methods there are."""
    return methods.names()

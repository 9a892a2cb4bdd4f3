"""A network of your own: whatever a function of yours builds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from distill.config.model_options import ModelOptions
from distill.errors import ConfigError
from distill.models import models, source
from distill.models.trial import try_out


@dataclass(frozen=True, kw_only=True)
class ImportOptions(ModelOptions):
    """Options of `import`.

    Attributes:
        path: `module:function`; the function is called as `function(input_shape, classes)`.
    """

    path: str | None = None

    def check(self) -> Iterable[str]:
        """The function must be there."""
        if self.path is None or not re.fullmatch(r"[\w.]+:\w+", self.path):
            given = "null" if self.path is None else self.path
            yield f"path={given} is not allowed: it must be module:function, such as my_networks:build."
            return
        try:
            source.find(self.path)
        except ConfigError as error:
            yield from error.problems

    def identity(self) -> dict[str, Any]:
        """The function's source: what is edited is another network."""
        return {"source": source.digest(self.path or "")}

    def label(self) -> str:
        """The path."""
        return self.path or self.name


@models.register("import", ImportOptions)
def build(options: ImportOptions, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """What the function `options.path` gives for `(input_shape, classes)`.

    Raises:
        ConfigError: There is no such function, it fails, or it gives no network for such examples.
    """
    problems = list(options.check())
    if problems:
        raise ConfigError(*problems)
    label = options.label()
    try:
        network = source.find(label)(input_shape, classes)
    except Exception as error:  # Whatever a user's function may raise.
        shape = f"({', '.join(map(str, input_shape))}{',' * (len(input_shape) == 1)})"
        raise ConfigError(
            f"The model {label} cannot be built: {label.partition(':')[2]}({shape}, {classes}) raises "
            f"{source.said(error)}."
        ) from error
    if not isinstance(network, nn.Module):
        raise ConfigError(f"The model {label} is {type(network).__name__} and not a torch.nn.Module.")
    try_out(network, label, input_shape, classes)
    return network

"""Taps: reading feature maps and the embedding out of any network, by module path, without editing it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from distill.config.model_options import ModelOptions
from distill.errors import ConfigError
from distill.models.stages import stages
from distill.types import Output


@dataclass(frozen=True, slots=True)
class Taps:
    """Where a network is read.

    Attributes:
        features: Module paths whose outputs are the feature maps, shallow to deep.
        embedding: Path of the module whose input is the embedding; `None` when there is no such module.
    """

    features: tuple[str, ...] = ()
    embedding: str | None = None


class Tapped:
    """A network that answers with an `Output`: its logits, and what was read on the way.

    The network is neither owned nor changed: its state dict, mode and parameters are as before. Where nothing
    is asked for, no hook is set. A module that runs several times in one pass is read the last time.

    Args:
        network: The network whose modules are read.
        features: Module paths whose outputs become `Output.features`, in this order.
        embedding: Path of the module whose input becomes `Output.embedding`, flattened to `[batch, width]`.
        call: What is called instead of `network`, such as its compiled or its distributed form.

    Raises:
        ConfigError: A path is not a module of the network.
    """

    def __init__(
        self,
        network: nn.Module,
        features: Sequence[str] = (),
        embedding: str | None = None,
        call: Callable[[Tensor], Any] | None = None,
    ):
        problems = _unknown(network, features, embedding)
        if problems:
            raise ConfigError(*problems)
        self.network = network
        self._call = network if call is None else call
        self._features = tuple(features)
        self._embedding = embedding
        # None outside of a call: a hook then keeps nothing alive, whoever else runs the network.
        self._readings: dict[tuple[str, str], Any] | None = None
        self._handles = [
            network.get_submodule(path).register_forward_hook(self._output_hook(path))
            for path in dict.fromkeys(features)
        ]
        if embedding is not None:
            module = network.get_submodule(embedding)
            self._handles.append(module.register_forward_pre_hook(self._input_hook(embedding), with_kwargs=True))

    def __call__(self, inputs: Tensor) -> Output:
        """Runs the network.

        Args:
            inputs: `[batch, ...]`.

        Raises:
            ConfigError: The network or a tapped module does not give one tensor, a tapped module did not run,
                or its output was overwritten in place.
        """
        self._readings = {}
        try:
            logits = self._call(inputs)
            if not isinstance(logits, Tensor):
                raise ConfigError(
                    f"The network gives {type(logits).__name__} instead of one tensor of logits; "
                    "wrap it so that it returns the logits alone."
                )
            features = tuple(self._read("features", path) for path in self._features)
            embedding = None
            if self._embedding is not None:
                embedding = self._read("embedding", self._embedding).flatten(1)
        finally:
            self._readings = None
        return Output(logits, features, embedding)

    def close(self) -> None:
        """Removes the hooks; the network is then as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def __enter__(self) -> Tapped:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # The hooks are closures and not bound methods, because a deep copy of the network copies bound methods
    # with all they hold.
    def _output_hook(self, path: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            self._keep("features", path, output)

        return hook

    def _input_hook(self, path: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            given = [*inputs, *named.values()]
            self._keep("embedding", path, given[0] if len(given) == 1 else given)

        return hook

    def _keep(self, kind: str, path: str, value: Any) -> None:
        if self._readings is not None:
            self._readings[kind, path] = (value, _version(value))

    def _read(self, kind: str, path: str) -> Tensor:
        assert self._readings is not None
        if (kind, path) not in self._readings:
            raise ConfigError(f"{kind}={path} cannot be read: the network's forward pass does not run it.")
        value, version = self._readings[kind, path]
        if not isinstance(value, Tensor):
            raise ConfigError(
                f"{kind}={path} cannot be read: it is {type(value).__name__} and not one tensor; "
                "name a module inside or behind it."
            )
        if version is not None and _version(value) != version:
            raise ConfigError(
                f"{kind}={path} cannot be read: a later module overwrites it in place; name that module instead."
            )
        return value


def _version(value: Any) -> int | None:
    # torch counts no versions of inference tensors, nor while it compiles.
    if torch.compiler.is_compiling() or not isinstance(value, Tensor) or value.is_inference():
        return None
    return value._version


def resolve(network: nn.Module, options: ModelOptions) -> Taps:
    """The taps that the options ask for, and the network's own for the rest.

    Raises:
        ConfigError: A path is not a module of the network.
    """
    own = default_taps(network)
    features = own.features if options.features is None else tuple(options.features)
    embedding = own.embedding if options.embedding is None else options.embedding
    problems = _unknown(network, features, embedding)
    if problems:
        raise ConfigError(*problems)
    return Taps(features, embedding)


def default_taps(network: nn.Module) -> Taps:
    """The taps that a network declares in its attribute `taps`, else those that a general rule finds.

    The rule: the embedding is the input of the last linear layer, and the feature maps are the outputs of the
    `stages`.
    """
    declared = getattr(network, "taps", None)
    if isinstance(declared, Taps):
        return declared
    linear = [path for path, module in network.named_modules() if path and isinstance(module, nn.Linear)]
    return Taps(tuple(stages(network)), linear[-1] if linear else None)


def _unknown(network: nn.Module, features: Iterable[str], embedding: str | None) -> list[str]:
    paths = [path for path, _ in network.named_modules(remove_duplicate=False) if path]
    asked = [("features", path) for path in features]
    if embedding is not None:
        asked.append(("embedding", embedding))
    return [_no_module(key, path, paths) for key, path in asked if path not in paths]


def _no_module(key: str, path: str, paths: list[str]) -> str:
    outermost = [other for other in paths if "." not in other][:8]
    near = difflib.get_close_matches(path, paths, n=3, cutoff=0.5) or outermost
    return f"{key}={path} is not allowed: the network has no such module; the nearest are {', '.join(near)}."

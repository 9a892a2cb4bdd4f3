"""Taps: reading feature maps and the embedding out of any network, by module path, without editing it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from distill.config.model_options import ModelOptions
from distill.errors import ConfigError
from distill.models.stages import stages
from distill.types import Batch, Output

# Taps that read what goes into a module; the others read what comes out.
_INPUTS = ("embedding", "preactivations")
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.ELU, nn.Tanh, nn.Sigmoid)


@dataclass(frozen=True, slots=True)
class Taps:
    """Where a network is read.

    Attributes:
        features: Module paths whose outputs are the feature maps, shallow to deep.
        embedding: Path of the module whose input is the embedding; `None` when there is no such module.
        preactivations: For each feature map the path of the module whose input it is before its last activation;
            `None` where the map itself is not activated. Empty when nobody knows.
        heads: Module paths whose outputs are logits, of a network with several classifiers.
        channels_last: Whether the maps come as `[batch, height, width, channels]`, as in a Swin transformer;
            they are read as all others are.
    """

    features: tuple[str, ...] = ()
    embedding: str | None = None
    preactivations: tuple[str | None, ...] = ()
    heads: tuple[str, ...] = ()
    channels_last: bool = False

    def only(self, kinds: Iterable[str]) -> Taps:
        """The taps of these kinds alone: any of `features`, `embedding`, `preactivations`, `heads`."""
        kept = set(kinds)
        if "preactivations" in kept and None in self.preactivations:
            kept.add("features")
        return Taps(**{kind: getattr(self, kind) for kind in kept}, channels_last=self.channels_last)


NOTHING = Taps()


class Tapped:
    """A network that answers with an `Output`: its logits, and what was read on the way.

    The network is neither owned nor changed: its state dict, mode and parameters are as before. Where nothing
    is asked for, no hook is set. A module that runs several times in one pass is read the last time.

    Args:
        network: The network whose modules are read.
        taps: Where.
        call: What is called instead of `network`, such as its compiled or its distributed form.
        whole: Whether it sees each example of a batch whole, where others see a view of it.

    Raises:
        ConfigError: A path is not a module of the network.
    """

    def __init__(
        self,
        network: nn.Module,
        taps: Taps = NOTHING,
        call: Callable[[Tensor], Any] | None = None,
        whole: bool = False,
    ):
        problems = _unknown(network, taps)
        if problems:
            raise ConfigError(*problems)
        self.network = network
        self.taps = taps
        self._call = network if call is None else call
        self._whole = whole
        # None outside of a call: a hook then keeps nothing alive, whoever else runs the network.
        self._readings: dict[tuple[str, str], Any] | None = None
        self._handles = [
            network.get_submodule(path).register_forward_hook(self._output_hook(path))
            for path in dict.fromkeys([*taps.features, *taps.heads])
        ]
        # An activation may overwrite its input.
        read = {path: True for path in taps.preactivations if path is not None}
        if taps.embedding is not None:
            read.setdefault(taps.embedding, False)
        for path, copied in read.items():
            module = network.get_submodule(path)
            hook = self._input_hook(path, copied and getattr(module, "inplace", False))
            self._handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))

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
            taps = self.taps
            features = tuple(self._map("features", path) for path in taps.features)
            embedding = None if taps.embedding is None else self._read("embedding", taps.embedding).flatten(1)
            before = tuple(
                features[number] if path is None else self._map("preactivations", path)
                for number, path in enumerate(taps.preactivations)
            )
            heads = tuple(self._read("heads", path) for path in taps.heads)
        finally:
            self._readings = None
        return Output(logits, features, embedding, before, heads)

    def see(self, batch: Batch) -> Output:
        """Runs the network on a batch, and once more on its strongly augmented form where there is one."""
        answer = self(batch.whole if self._whole and batch.whole is not None else batch.inputs)
        return answer if batch.strong is None else replace(answer, strong=self(batch.strong))

    def uncompiled(self) -> Tapped:
        """The same network, read at the same places, as it is without being compiled or distributed."""
        return Tapped(self.network, self.taps, whole=self._whole)

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
            self._keep("output", path, output)

        return hook

    def _input_hook(self, path: str, copied: bool) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            given = [*inputs, *named.values()]
            value = given[0] if len(given) == 1 else given
            self._keep("input", path, value.clone() if copied and isinstance(value, Tensor) else value)

        return hook

    def _keep(self, side: str, path: str, value: Any) -> None:
        if self._readings is not None:
            self._readings[side, path] = (value, _version(value))

    def _map(self, kind: str, path: str) -> Tensor:
        value = self._read(kind, path)
        return value.movedim(-1, 1) if self.taps.channels_last and value.ndim == 4 else value

    def _read(self, kind: str, path: str) -> Tensor:
        assert self._readings is not None
        side = "input" if kind in _INPUTS else "output"
        if (side, path) not in self._readings:
            raise ConfigError(f"{kind}={path} cannot be read: the network's forward pass does not run it.")
        value, version = self._readings[side, path]
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
    if options.preactivations is not None:
        before = tuple(options.preactivations)
        if len(before) != len(features):
            raise ConfigError(
                f"preactivations={options.preactivations} is not allowed: there are {len(features)} feature maps "
                f"({', '.join(features)}); give the module before whose activation each is read."
            )
    else:
        before = own.preactivations if features == own.features else ()
    taps = Taps(features, embedding, before, own.heads, own.channels_last)
    problems = _unknown(network, taps)
    if problems:
        raise ConfigError(*problems)
    return taps


def with_preactivations(network: nn.Module, taps: Taps, inputs: Tensor) -> Taps:
    """Finds by a dry run which activation each feature map comes out of, where nobody said so.

    A feature map that comes out of none, such as that of a linear bottleneck, is its own pre-activation.

    Args:
        network: In evaluation mode.
        taps: Of that network.
        inputs: `[batch, ...]`, a few examples.
    """
    if taps.preactivations or not taps.features:
        return taps
    ran: list[tuple[str, Any, int | None]] = []
    found: dict[str, str | None] = {}

    def activated(path: str) -> Callable[..., None]:
        return lambda module, inputs, output: ran.append((path, output, _version(output)))

    def read(path: str) -> Callable[..., None]:
        return lambda module, inputs, output: found.update({path: _behind(output, ran)})

    activations = [path for path, module in network.named_modules() if isinstance(module, _ACTIVATIONS)]
    handles = [network.get_submodule(path).register_forward_hook(activated(path)) for path in activations]
    handles += [network.get_submodule(path).register_forward_hook(read(path)) for path in taps.features]
    try:
        with torch.no_grad():
            network(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return replace(taps, preactivations=tuple(found.get(path) for path in taps.features))


def _behind(value: Any, ran: list[tuple[str, Any, int | None]]) -> str | None:
    """The activation whose output a feature map is; the last of several, as blocks may begin as the identity."""
    for path, output, version in reversed(ran):
        # What was added to it in place afterwards makes it another map.
        unchanged = isinstance(output, Tensor) and _version(output) == version
        if unchanged and isinstance(value, Tensor) and torch.equal(output, value):
            return path
    return None


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


def _unknown(network: nn.Module, taps: Taps) -> list[str]:
    paths = [path for path, _ in network.named_modules(remove_duplicate=False) if path]
    asked = [(kind, path) for kind in ("features", "heads") for path in getattr(taps, kind)]
    asked += [("preactivations", path) for path in taps.preactivations if path is not None]
    if taps.embedding is not None:
        asked.append(("embedding", taps.embedding))
    return [_no_module(key, path, paths) for key, path in asked if path not in paths]


def _no_module(key: str, path: str, paths: list[str]) -> str:
    outermost = [other for other in paths if "." not in other][:8]
    near = difflib.get_close_matches(path, paths, n=3, cutoff=0.5) or outermost
    return f"{key}={path} is not allowed: the network has no such module; the nearest are {', '.join(near)}."

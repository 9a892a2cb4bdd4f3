"""The stages of a network that declares none, found by a general rule."""

from __future__ import annotations

from torch import nn


def stages(network: nn.Module) -> list[str]:
    """Paths of the modules after which a network is worth reading, shallow to deep.

    They are looked for beside the head (the last linear layer, or where there is none the last layer with
    weights), at the first level where one module does not hold nearly everything. Of the modules there that
    have submodules (of all, where none has), the last one before each reduction of size, which is a
    convolution or a pooling with a stride, is a stage, as is usual in the field. Where the size is never
    reduced, as in a transformer, every one of them is.
    """
    head = _head(network)
    level = _beside(network, "", head)
    while (path := _dominant(level)) is not None:
        level = _beside(network.get_submodule(path), f"{path}.", head)
    inner = [path for path, module in level if not _is_leaf(module) and _has_weights(module)]
    candidates = inner or [path for path, _ in level]
    groups: list[list[str]] = [[]]
    for path, module in level:
        if _reduces(module):
            groups.append([])
        if path in candidates:
            groups[-1].append(path)
    weighted = {path for path, module in level if _has_weights(module)}
    # A pooling with nothing behind it shows what the stage before it has shown.
    last = [group[-1] for group in groups if weighted.intersection(group)]
    return last if len(last) > 1 else inner or [path for path, module in level if _has_weights(module)]


def _head(network: nn.Module) -> str:
    leaves = [(path, module) for path, module in network.named_modules() if path and _is_leaf(module)]
    linear = [path for path, module in leaves if isinstance(module, nn.Linear)]
    weighted = [path for path, module in leaves if _has_weights(module)]
    return (linear or weighted or [""])[-1]


def _beside(module: nn.Module, prefix: str, head: str) -> list[tuple[str, nn.Module]]:
    """The children beside the one that holds the head; or that one's own, where it holds all the weights."""
    children = [(f"{prefix}{name}", child) for name, child in module.named_children()]
    beside = [(path, child) for path, child in children if not f"{head}.".startswith(f"{path}.")]
    if any(_has_weights(child) for _, child in beside):
        return beside
    holder = next(((path, child) for path, child in children if (path, child) not in beside), None)
    return _beside(holder[1], f"{holder[0]}.", head) if holder is not None else []


def _dominant(level: list[tuple[str, nn.Module]]) -> str | None:
    """The one module that holds nearly all the submodules of a level, if there is one."""
    sizes = {path: sum(1 for _ in module.modules()) for path, module in level if not _is_leaf(module)}
    largest = max(sizes, key=sizes.__getitem__, default=None)
    return largest if largest is not None and sizes[largest] > 0.9 * sum(sizes.values()) else None


def _is_leaf(module: nn.Module) -> bool:
    return not any(True for _ in module.children())


def _has_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters())


def _reduces(module: nn.Module) -> bool:
    return any(_stride(inner) > 1 for inner in module.modules())


def _stride(module: nn.Module) -> int:
    stride = getattr(module, "stride", 1)
    return max(stride) if isinstance(stride, tuple) else stride if isinstance(stride, int) else 1

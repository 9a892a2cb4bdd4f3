"""Batch norm with fixed statistics, made a part of the layer before it in the graph of a network."""

from __future__ import annotations

import operator
from typing import cast

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

_ATEN = torch.ops.aten
_FUSE = {
    _ATEN.conv1d.default: fuse_conv_bn_weights,
    _ATEN.conv2d.default: fuse_conv_bn_weights,
    _ATEN.conv3d.default: fuse_conv_bn_weights,
    _ATEN.linear.default: fuse_linear_bn_weights,
}
_STACKS = ("source_fn_stack", "nn_module_stack", "torch_fn")  # of which layer a node is


def fold_batch_norm(program: GraphModule) -> None:
    """Takes every batch norm out of a graph, which answers as before in evaluation mode.

    One behind a convolution or a linear layer changes the weights of that layer; any other becomes a factor and a
    summand for each channel, which are trained as its own were.

    Args:
        program: Of `torch.export`, in evaluation mode; changed in place.
    """
    graph = program.graph
    for number, node in enumerate(graph.find_nodes(op="call_function", target=_ATEN.batch_norm.default)):
        before, *parts = node.args[:5]
        weight, bias, mean, variance = (None if part is None else _tensor(program, cast(Node, part)) for part in parts)
        assert mean is not None, "torch.export keeps the statistics"
        assert variance is not None, "torch.export keeps the statistics"
        weight = torch.ones_like(mean) if weight is None else weight
        bias = torch.zeros_like(mean) if bias is None else bias
        numbers = (mean, variance, cast(float, node.args[7]), weight, bias)
        if _folds(cast(Node, before)):
            _fold(program, cast(Node, before), numbers)
            node.replace_all_uses_with(cast(Node, before))
        else:
            factor = weight / (variance + numbers[2]).sqrt()
            shape = (-1,) + (1,) * (node.meta["val"].ndim - 2)
            value = cast(Node, before)
            for operation, name, values in (
                (_ATEN.mul.Tensor, "factor", factor),
                (_ATEN.add.Tensor, "summand", bias - mean * factor),
            ):
                with graph.inserting_before(node):
                    other = _parameter(program, f"norm_{number}_{name}", values.view(shape))
                    value = graph.call_function(operation, (value, other))
                value.meta = {key: said for key, said in node.meta.items() if key not in _STACKS}
            node.replace_all_uses_with(value)
        graph.erase_node(node)
    graph.eliminate_dead_code()
    program.recompile()


def _folds(layer: Node) -> bool:
    if layer.target not in _FUSE or len(layer.users) > 1:
        return False
    weights = [part for part in layer.args[1:3] if isinstance(part, Node)]
    return all(part.op == "get_attr" and len(part.users) == 1 for part in weights)


def _fold(program: GraphModule, layer: Node, numbers: tuple[Tensor, Tensor, float, Tensor, Tensor]) -> None:
    own = cast(Node, layer.args[1])
    old = cast("Node | None", layer.args[2] if len(layer.args) > 2 else None)
    bias = None if old is None else _tensor(program, old)
    folded = _FUSE[layer.target](_tensor(program, own), bias, *numbers)  # type: ignore[index, arg-type]
    path = str(own.target)
    _place(program, path, folded[0])
    if old is not None:
        _place(program, str(old.target), folded[1])
        return
    with program.graph.inserting_before(layer):
        new = _parameter(program, f"{path.removesuffix('weight')}bias", folded[1])
    layer.args = (*layer.args[:2], new, *layer.args[3:])


def _parameter(program: GraphModule, path: str, value: Tensor) -> Node:
    """A new parameter, as a node where nodes are being inserted."""
    _place(program, path, value)
    node = program.graph.get_attr(path)
    node.meta["val"] = value.detach()
    return node


def _place(program: GraphModule, path: str, value: Tensor) -> None:
    module, _, name = path.rpartition(".")
    setattr(program.get_submodule(module), name, nn.Parameter(value.detach().clone()))


def _tensor(program: GraphModule, node: Node) -> Tensor:
    return operator.attrgetter(str(node.target))(program).detach()

"""A network in integers: trained as if it were (fake quantisation), and converted, by torchao's PT2E.

Weights have a scale per output channel, activations one per tensor, in uint8 with a zero point; batch norm
becomes part of the layer before it. Which operations are quantised is what torchao's quantiser for x86 says.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
import operator
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from distill.errors import ConfigError
from distill.models.folding import fold_batch_norm
from distill.models.trial import first_line

BITS = 8
_BATCH = 64  # of calibration
_ATEN = torch.ops.aten
_DROPOUTS = {_ATEN.dropout.default, _ATEN.dropout_.default, _ATEN.feature_dropout.default}
_SCALES, _ZERO_POINTS = "activation_scales", "activation_zero_points"


class FakeQuantized(nn.Module):
    """A network whose weights and activations are rounded as integers would be, with a gradient straight through.

    Scales follow what is seen in training, as moving averages; in evaluation mode they stay as they are. Batch norm is
    folded before training (Nagel et al. 2021, https://arxiv.org/abs/2106.08295, section 5.2.1). Dropout goes on;
    whatever else a network does in training mode alone it does not do here.

    Args:
        network: Trained, on the CPU; it is not changed.
        example: `[batch, ...]` inputs, of two examples at least.
        bits: Of the weights, 2 to 8.

    Raises:
        ConfigError: It cannot be followed, or torchao is not there.
    """

    program: GraphModule

    def __init__(self, network: nn.Module, example: Tensor, bits: int = BITS):
        super().__init__()
        pt2e = _pt2e()
        with _quiet():
            self.program = pt2e.prepare_qat_pt2e(_followed(network, example), _quantizer(bits, training=True))
        self._set: bool | None = None  # the mode that the program is in
        self.register_load_state_dict_post_hook(_forget_mode)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of inputs `[batch, ...]`."""
        if self._set is not self.training:
            self._set_mode(self.training)
        return self.program(inputs)

    def train(self, mode: bool = True) -> FakeQuantized:
        """As usual; torchao forbids the call on the program inside."""
        self.training = mode
        return self

    def converted(self, example: Tensor) -> Int8:
        """The network in integers.

        Args:
            example: `[batch, ...]` inputs, for a network that has seen none because its numbers will come from a file.
        """
        own = copy.deepcopy(self)
        own._set_mode(training=False)
        if any(_saw_nothing(module) for module in own.modules()):
            own._observe(True)
            own.program(example)
        with _quiet():
            return Int8(_pt2e().convert_pt2e(own.program))

    def _set_mode(self, training: bool) -> None:
        # Here and not in `train`, as some who look at networks put the mode of each module back by hand.
        drops = [node for node in self.program.graph.nodes if node.target in _DROPOUTS]
        for node in drops:
            node.update_arg(2, training)
        if drops:
            self.program.recompile()
        self._observe(training)
        self._set = training

    def _observe(self, enabled: bool) -> None:
        for module in self.program.modules():
            if hasattr(module, "observer_enabled"):
                cast(Tensor, module.observer_enabled).fill_(enabled)


class Int8(nn.Module):
    """A converted network: int8 weights, the scales of weights and activations, fp32 biases, and nothing else.

    PyTorch itself rounds to integers and computes in fp32, which is slower than fp32 alone; compilers (torch's
    inductor, onnxruntime) make integer arithmetic of the same program.

    Args:
        program: As torchao converts it.
    """

    activation_scales: Tensor
    activation_zero_points: Tensor

    def __init__(self, program: GraphModule):
        super().__init__()
        self.program = _bare(program)
        pairs = [(float(node.args[1]), int(node.args[2])) for node in self._activations()]  # type: ignore[arg-type]
        self.register_buffer(_SCALES, torch.tensor([scale for scale, _ in pairs]))
        self.register_buffer(_ZERO_POINTS, torch.tensor([zero for _, zero in pairs], dtype=torch.int32))
        self.register_load_state_dict_post_hook(_write_scales)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of inputs `[batch, ...]`."""
        return self.program(inputs)

    def _activations(self) -> list[Node]:
        return [node for node in self.program.graph.nodes if _is(node, "quantize_per_tensor", "dequantize_per_tensor")]


def _forget_mode(network: nn.Module, keys: object) -> None:
    """Whether scales follow is a part of the state."""
    cast(FakeQuantized, network)._set = None


def _write_scales(network: nn.Module, keys: object) -> None:
    """Puts scales into the program as well, where compilers look for plain numbers."""
    found = cast(Int8, network)
    pairs = zip(found.activation_scales.tolist(), found.activation_zero_points.tolist(), strict=True)
    for node, (scale, zero) in zip(found._activations(), pairs, strict=True):
        node.args = (node.args[0], scale, zero, *node.args[3:])
    found.program.recompile()


def calibrated(network: nn.Module, seen: Tensor, bits: int = BITS) -> Int8:
    """A trained network in integers, without any more training.

    Args:
        network: On the CPU; it is not changed.
        seen: `[examples, ...]` inputs that set the scales of activations, by histogram; two at least.
        bits: Of the weights, 2 to 8.

    Raises:
        ConfigError: It cannot be followed, or torchao is not there.
    """
    pt2e = _pt2e()
    with _quiet(), torch.no_grad():
        program = pt2e.prepare_pt2e(_followed(network, seen[:2]), _quantizer(bits, training=False))
        for some in seen.split(_BATCH):
            program(some)
        return Int8(pt2e.convert_pt2e(program))


def check_followed(network: nn.Module, example: Tensor) -> None:
    """Refuses a network that cannot be quantised, in less time than it takes to do it.

    Raises:
        ConfigError: It cannot be followed, or torchao is not there.
    """
    _pt2e()
    with _quiet():
        _followed(network, example)


def check_installed() -> None:
    """Refuses to quantise without torchao.

    Raises:
        ConfigError: It is not there.
    """
    if importlib.util.find_spec("torchao") is None:
        raise ConfigError("method=qat needs torchao, an extra: pip install 'distill[qat]'.")


def _pt2e() -> Any:
    check_installed()
    with _quiet():
        from torchao.quantization.pt2e import quantize_pt2e

    return quantize_pt2e


def _quantizer(bits: int, *, training: bool) -> Any:
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    config = x86.get_default_x86_inductor_quantization_config(is_qat=training)
    assert config.weight is not None, "it is what is quantised"
    largest = 2 ** (bits - 1)
    weight = replace(config.weight, quant_min=-largest, quant_max=largest - 1)
    return x86.X86InductorQuantizer().set_global(replace(config, weight=weight))


def _followed(network: nn.Module, example: Tensor) -> GraphModule:
    """What a network computes in evaluation mode, as a graph of operations with weights of its own."""
    network = copy.deepcopy(network).eval()
    sizes = ({0: torch.export.Dim("batch", min=1)},)
    try:
        # Only reading the bytecode tells one call of a module from the next, by which the quantiser finds its patterns.
        program = torch.export.export(network, (example,), dynamic_shapes=sizes, strict=True)
        found = cast(GraphModule, program.module(check_guards=False))
    except Exception as error:  # Whatever stops torch on the way has no ancestor of its own.
        raise ConfigError(
            f"method=qat follows the student with torch.export, which cannot follow {type(network).__name__} "
            f"({first_line(error)}): choose another student, or another method."
        ) from error
    for node in found.graph.nodes:
        if node.target is _ATEN.conv2d.padding:
            _pad_in_numbers(node)
    fold_batch_norm(found)
    return found


def _pad_in_numbers(node: Node) -> None:
    """Writes `padding="same"` of a convolution as pixels, the only way that the quantiser knows."""
    usual = (None, None, None, [1, 1], "valid", [1, 1], 1)
    inputs, weight, bias, stride, padding, dilation, groups = (*node.args, *usual[len(node.args) :])
    sides = weight.meta["val"].shape[2:]  # type: ignore[union-attr]
    reaches = [step * (side - 1) for step, side in zip(cast(list[int], dilation), sides, strict=True)]
    if padding == "same" and any(reach % 2 for reach in reaches):
        return
    pixels = [reach // 2 if padding == "same" else 0 for reach in reaches]
    node.target, node.args = _ATEN.conv2d.default, (inputs, weight, bias, stride, pixels, dilation, groups)


def _bare(program: GraphModule) -> GraphModule:
    """The program with no more tensors than it uses, none of them to be trained."""
    bare = GraphModule(program, copy.deepcopy(program.graph))
    tensors = {node: operator.attrgetter(str(node.target))(program) for node in bare.graph.find_nodes(op="get_attr")}
    for name, _ in [*bare.named_children(), *bare.named_parameters(recurse=False), *bare.named_buffers(recurse=False)]:
        delattr(bare, name)
    for node, tensor in tensors.items():
        name = node.target = str(node.target).replace(".", "_").lstrip("_")
        readers = [user for user in node.users if _is(user, "dequantize_per_channel")]
        if any(node in reader.args[1:3] for reader in readers):
            # Symmetric scales have no zero points, which a file need not say of each channel.
            persistent = all(reader.args[1] is node for reader in readers)
            bare.register_buffer(name, tensor.detach().clone(), persistent=persistent)
        else:
            bare.register_parameter(name, nn.Parameter(tensor.detach().clone(), requires_grad=False))
    bare.recompile()
    return bare


def _is(node: Node, *names: str) -> bool:
    return getattr(node.target, "_opname", None) in names


def _saw_nothing(module: nn.Module) -> bool:
    least = getattr(module, "min_val", None)
    return isinstance(least, Tensor) and not bool(least.isfinite().all())


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torchao and the exporter say of their own ways."""
    tree = logging.getLogger("torch.utils._pytree")
    level = tree.level
    tree.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        tree.setLevel(level)

"""Several trainings of one network as one function of their stacked parameters (`torch.func`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from distill.types import Batch, Mix, Output

if TYPE_CHECKING:
    from torch.fx import GraphModule

    from distill.training.task import Training

# Below this many steps, writing the operations down first takes longer than it saves.
_TRACING_PAYS_FROM = 1000

Tensors = dict[str, Tensor]


class Members:
    """What all members of a stack compute, in one call.

    Args:
        trainings: One per member, alike in all but numbers of the method, numbers of the optimiser and seeds.

    Attributes:
        weights: `[members, parameters]` of network and adapters, flat, as the trainings have them now.
        terms: The names of the terms of the loss, in the order of `gradients`; known after its first call.
    """

    def __init__(self, trainings: Sequence[Training]):
        first = trainings[0]
        self._objective = _Objective(first)
        self._shapes = {name: value.shape for name, value in self._objective.named_parameters()}
        self._sizes = [shape.numel() for shape in self._shapes.values()]
        self._numbers = _varying([training.method.options for training in trainings], first.precision.device)
        self._sources = _Distinct([(training.batches,) for training in trainings], first.precision.device)
        self._teachers = _Distinct(
            [(training.teacher, training.batches) for training in trainings], first.precision.device
        )
        self._traces = first.hparams.epoch_count * len(first.batches) >= _TRACING_PAYS_FROM
        self._traced: dict[tuple[Any, ...], Callable[..., Any]] = {}
        self.weights = torch.stack([_flat(training) for training in trainings])
        self.terms: list[str] = []

    @property
    def streams(self) -> list[Any]:
        """The different `Batches` that the members draw from."""
        return [batches for (batches,) in self._sources.kinds]

    def learn(self) -> None:
        """Lets dropout drop."""
        self._objective.train()

    def gradients(self, weights: Tensor, batches: Sequence[Batch]) -> tuple[Tensor, Tensor, Tensor]:
        """One step of all members.

        Args:
            weights: `[members, parameters]`.
            batches: One from each of the `streams`.

        Returns:
            Gradients `[members, parameters]`; the terms of the loss `[terms, members]`; how many examples each
            member got right, `[members]`.
        """
        seen = self._sources.gather([_tensors(batch) for batch in batches])
        return self._run(self._gradients, weights, seen, self._taught(batches), self._numbers)

    def _taught(self, batches: Sequence[Batch]) -> Tensors:
        of_stream = {id(stream): batch for stream, batch in zip(self.streams, batches, strict=True)}
        return self._teachers.gather(
            [_answer(teacher(of_stream[id(stream)]).float()) for teacher, stream in self._teachers.kinds]
        )

    def losses(self, weights: Tensor, batches: Sequence[Batch]) -> Tensor:
        """The terms of the loss alone, `[terms, members]`."""
        seen = self._sources.gather([_tensors(batch) for batch in batches])
        terms, _ = self._forward(self._split(weights), seen, self._taught(batches), self._numbers)
        return terms

    @torch.no_grad()
    def right(self, weights: Tensor, batch: Batch) -> Tensor:
        """How many examples each member gets right in evaluation mode, `[members]`."""
        self._objective.eval()
        return self._run(self._right, weights, {"inputs": batch.inputs, "labels": batch.labels})

    @torch.no_grad()
    def write(self, weights: Tensor, training: Training) -> None:
        """Copies one member's `[parameters]` into its network and its method's adapters."""
        own = _Objective(training)
        for parameter, part in zip(own.parameters(), weights.split(self._sizes), strict=True):
            parameter.copy_(part.view_as(parameter))

    def _run(self, function: Callable[..., Any], weights: Tensor, *inputs: Tensors) -> Any:
        """Calls a function; in a long training, the plain operations that the first call of its kind came down to.

        A stack of tiny networks spends its time in Python otherwise, in the layers of vmap and autograd.
        """
        if not self._traces:
            return function(weights, *inputs)
        kind = (function.__name__, *((name, value.shape) for part in inputs for name, value in part.items()))
        if kind not in self._traced:
            from torch.fx.experimental.proxy_tensor import make_fx

            rules: Any = _RULES if weights.device.type == "cpu" else {}
            tracer = make_fx(lambda *given: function(*given), decomposition_table=rules, tracing_mode="fake")
            self._traced[kind] = _slim(tracer(weights, *inputs))
        with torch.no_grad():
            return self._traced[kind](weights, *inputs)

    def _gradients(
        self, weights: Tensor, seen: Tensors, taught: Tensors, numbers: Tensors
    ) -> tuple[Tensor, Tensor, Tensor]:
        with torch.enable_grad():
            # Views would make the backward pass add up one padded tensor for each of them.
            parameters = {name: part.detach().requires_grad_() for name, part in self._split(weights).items()}
            terms, right = self._forward(parameters, seen, taught, numbers)
            found = torch.autograd.grad(terms.sum(), list(parameters.values()), materialize_grads=True)
        return torch.cat([gradient.flatten(1) for gradient in found], dim=1), terms.detach(), right

    def _forward(self, parameters: Tensors, seen: Tensors, taught: Tensors, numbers: Tensors) -> tuple[Tensor, Tensor]:
        axes = (0, self._sources.axis, self._teachers.axis, 0 if numbers else None)
        # Members of one seed drop the same units, as each does when it runs alone.
        stacked = vmap(self._member, in_dims=axes, randomness="same")
        terms, right = stacked(parameters, seen, taught, numbers)
        self.terms = list(terms)
        return torch.stack(list(terms.values())), right

    def _member(
        self, parameters: Tensors, seen: Tensors, taught: Tensors, numbers: Tensors
    ) -> tuple[dict[str, Tensor], Tensor]:
        return functional_call(self._objective, parameters, (seen, taught, numbers))

    def _right(self, weights: Tensor, seen: Tensors) -> Tensor:
        def member(parameters: Tensors) -> Tensor:
            answers = functional_call(self._objective, parameters, (seen, None, {}))
            return (answers.argmax(dim=1) == seen["labels"]).sum()

        return vmap(member, randomness="same")(self._split(weights))

    def _split(self, weights: Tensor) -> Tensors:
        parts = weights.split(self._sizes, dim=1)
        return {
            name: part.view(len(weights), *shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }


class _Objective(nn.Module):
    """One member: what its network answers, and what its method says of it."""

    def __init__(self, training: Training):
        super().__init__()
        self.network = training.network
        self.method = training.method
        self._student = training.student
        self._precision = training.precision

    def forward(self, seen: Tensors, taught: Tensors | None, numbers: Tensors) -> Any:
        """The terms of the loss and how many examples were right; without a teacher's answer, the logits."""
        # vmap has rules for the operations that attention is made of, and none for all of it at once.
        with self._precision.autocast(), sdpa_kernel(SDPBackend.MATH):
            answered = self._student(seen["inputs"])
        if taught is None:
            return answered.logits.float()
        options = self.method.options
        try:
            self.method.options = replace(options, **numbers)
            terms = self.method(answered.float(), _output(taught), _batch(seen))
        finally:
            self.method.options = options
        return terms, (answered.logits.argmax(dim=1) == seen["labels"]).sum()


class _Distinct:
    """Things of which several members may share one.

    Args:
        things: One per member.
        device: Of what they give.

    Attributes:
        kinds: The different ones, by identity.
        axis: Along which `vmap` goes through what they give: 0, or `None` where all members share one.
    """

    def __init__(self, things: Sequence[tuple[Any, ...]], device: torch.device):
        keys = [tuple(map(id, thing)) for thing in things]
        unique = list(dict.fromkeys(keys))
        self.kinds = [things[keys.index(key)] for key in unique]
        self.axis = 0 if len(unique) > 1 else None
        self._which = torch.tensor([unique.index(key) for key in keys], device=device)
        self._one_each = len(unique) == len(keys)

    def gather(self, given: Sequence[Tensors]) -> Tensors:
        """What each member gets: `[members, ...]`, or without that axis where all share one."""
        if self.axis is None:
            return given[0]
        stacked = {name: torch.stack([each[name] for each in given]) for name in given[0]}
        return stacked if self._one_each else {name: value[self._which] for name, value in stacked.items()}


def _varying(options: Sequence[Any], device: torch.device) -> Tensors:
    """The numbers that differ between members, `[members]` each; the others stay the plain numbers they are."""
    columns = {name: [getattr(each, name) for each in options] for name in asdict(options[0])}
    return {
        name: torch.tensor(values, dtype=torch.float32, device=device)
        for name, values in columns.items()
        if any(value != values[0] for value in values)
    }


def _flat(training: Training) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in _Objective(training).parameters()])


def _tensors(batch: Batch) -> Tensors:
    tensors = {"inputs": batch.inputs, "labels": batch.labels, "index": batch.index}
    if batch.mix is not None:
        tensors |= {"mixed_labels": batch.mix.labels, "share": batch.mix.share}
    return tensors


def _batch(tensors: Tensors) -> Batch:
    mix = Mix(tensors["mixed_labels"], tensors["share"]) if "share" in tensors else None
    return Batch(tensors["inputs"], tensors["labels"], tensors["index"], mix)


_SEVERAL = ("features", "preactivations", "heads")


def _answer(output: Output) -> Tensors:
    tensors = {f"{kind} {i}": value for kind in _SEVERAL for i, value in enumerate(getattr(output, kind))}
    tensors["logits"] = output.logits
    return tensors if output.embedding is None else {**tensors, "embedding": output.embedding}


def _output(tensors: Tensors) -> Output:
    features, before, heads = (
        tuple(value for name, value in tensors.items() if name.partition(" ")[0] == kind) for kind in _SEVERAL
    )
    return Output(tensors["logits"], features, tensors.get("embedding"), before, heads)


def _slim(module: GraphModule) -> GraphModule:
    """Leaves out operations that compute nothing."""
    for node in module.graph.find_nodes(op="call_function", target=torch.ops.aten.alias.default):
        node.replace_all_uses_with(node.args[0])
    module.graph.eliminate_dead_code()
    module.recompile()
    return module


# torch's CPU kernel takes ten times as long along a short last axis as along the one before it.
def _log_softmax(values: Tensor, axis: int, half: bool) -> Tensor:
    if axis % values.ndim != values.ndim - 1 or values.ndim < 2:
        return NotImplemented
    return torch.ops.aten._log_softmax(values.transpose(-1, -2), values.ndim - 2, half).transpose(-1, -2)


def _log_softmax_backward(gradient: Tensor, output: Tensor, axis: int, dtype: torch.dtype) -> Tensor:
    if axis % output.ndim != output.ndim - 1 or output.ndim < 2:
        return NotImplemented
    swapped = (gradient.transpose(-1, -2), output.transpose(-1, -2))
    return torch.ops.aten._log_softmax_backward_data(*swapped, output.ndim - 2, dtype).transpose(-1, -2)


_RULES = {
    torch.ops.aten._log_softmax.default: _log_softmax,
    torch.ops.aten._log_softmax_backward_data.default: _log_softmax_backward,
}

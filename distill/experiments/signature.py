"""A network's identity: a hash of everything that determines its weights and what is recorded of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from distill.config.dataset_options import DatasetOptions
from distill.config.model_options import ModelOptions
from distill.data.dataset import Dataset
from distill.experiments.plan import Node
from distill.methods import methods
from distill.methods.nodes import WHOLE
from distill.models.weights import file_digest

# Raise it when the loop, a loss or a network changes so that the same settings give other weights.
RECIPE = 2

_TAPS = ("features", "embedding", "preactivations")
_OFF_WHEN_EMPTY = ("cutout", "mixup", "cutmix", "views", "imbalance", "labelled")
# As they always were before there was a choice.
_USUAL = {"select": "last", "hard_loss": "plain", "sampler": "natural"}
_OF_THE_STUDENT = ("transfer_augment", "transfer_mixup")
# A network that sees such a variant of the data set has it in its node.
_IN_THE_NODE = ("student_view", "tasks")
_TRANSFER_ONLY = ("classes", "omit_classes", "limit_transfer")


def ingredients(
    node: Node, options: DatasetOptions, data: Dataset, precision: str, parents: Sequence[tuple[Node, str]]
) -> dict[str, Any]:
    """What determines the weights of a network.

    Args:
        node: The network and how it is trained.
        options: What is done to the data.
        data: The data that was loaded.
        precision: Of the forward pass, as far as it is known before the network is built.
        parents: The networks that it needs, with their signatures, in the order of `node.needs`.
    """
    if node.kind != "trained":
        made = {"kind": node.kind, "part": node.part, "mean": node.mean, "data": node.data}
        return {
            "recipe": RECIPE,
            **made,
            "precision": precision,
            "parents": [identity for _, identity in parents],
        }
    if not node.model.train:
        given = {key: value for key, value in _model(node).items() if key != "seed"}
        return {"recipe": RECIPE, "given": given, "precision": precision, "data": _data(node, options, data)}
    return {
        "recipe": RECIPE,
        "model": _model(node),
        "method": asdict(node.method),
        "hparams": {**_hparams(node), "precision": precision},
        "data": _data(node, options, data),
        "parents": [identity for _, identity in parents],
        # Where a method reads networks matters to what it teaches, and to no network that is not taught.
        "taps": [_taps(network, node) for network in (node, *(parent for parent, _ in parents))],
        **_beyond(node),
    }


def signature(ingredients: dict[str, Any]) -> str:
    """Sixteen hexadecimal digits that differ when an ingredient does."""
    text = json.dumps(ingredients, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _beyond(node: Node) -> dict[str, Any]:
    """What most networks have nothing of."""
    found: dict[str, Any] = {}
    if node.members:
        found |= {"members": [_options(member) for member in node.members], "mean": node.mean}
    if node.start is not None:
        found["start"] = node.needs.index(node.start)
    if node.data != WHOLE:
        found["sees"] = node.data
    return found


def _hparams(node: Node) -> dict[str, Any]:
    values = asdict(node.hparams)
    return {name: value for name, value in values.items() if name not in _USUAL or value != _USUAL[name]}


def _taps(network: Node, taught: Node) -> dict[str, Any]:
    read = methods.find(taught.method.name).factory(taught.method).taps
    return {name: getattr(network.model, name) for name in _TAPS if name in read}


def _model(node: Node) -> dict[str, Any]:
    return _options(node.model)


def _options(options: ModelOptions) -> dict[str, Any]:
    """A network by its options; initial weights count by content, wherever their file lies."""
    model = {key: value for key, value in asdict(options).items() if key not in _TAPS}
    if options.checkpoint is not None:
        model["checkpoint"] = file_digest(Path(options.checkpoint))
    return {**model, **options.identity()}


def _data(node: Node, options: DatasetOptions, data: Dataset) -> dict[str, Any]:
    common = {field.name: getattr(options, field.name) for field in fields(DatasetOptions)}
    common.pop("name")
    for key in _IN_THE_NODE:
        common.pop(key)
    for key in _OF_THE_STUDENT:
        common.pop(key)
    if node.examples == "transfer":
        common |= {"augment": options.student_augment, "mixup": options.student_mixup}
    if common["augment"] != "jitter":
        common.pop("jitter")
    if common["augment"] != "crop_flip":
        common.pop("padding")
    for key in _OFF_WHEN_EMPTY:
        if not common[key]:
            common.pop(key)
    if node.examples == "train":
        for key in _TRANSFER_ONLY:
            common.pop(key)
    return {"fingerprint": data.fingerprint, "shape": data.input_shape, "class_count": data.class_count, **common}

"""Any network of timm (https://github.com/huggingface/pytorch-image-models), an extra, fitted to the data set."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from distill.config.model_options import ModelOptions
from distill.config.words import did_you_mean
from distill.errors import CheckpointError, ConfigError
from distill.models import models
from distill.models.shapes import pictures
from distill.models.taps import Taps, default_taps
from distill.models.trial import first_line, try_out

_LEVELS = 4  # feature maps that a network has without that of its stem


@dataclass(frozen=True, kw_only=True)
class TimmOptions(ModelOptions):
    """Options of `timm`.

    Attributes:
        architecture: A name of `timm.list_models()`, such as `mobilenetv3_small_100`.
        weights: Published weights to start from: `None` for fresh ones, `DEFAULT` for timm's own choice, or a tag
            such as `a1_in1k`. Head and first layer are fitted to the data set.
    """

    architecture: str = "mobilenetv3_small_100"
    weights: str | None = None

    def check(self) -> Iterable[str]:
        """Only timm knows its names; where it is missing, `build` says so."""
        if importlib.util.find_spec("timm") is None:
            return
        import timm

        known = timm.list_models()
        if self.architecture not in known:
            hint = did_you_mean(self.architecture, known)
            yield (
                f"architecture={self.architecture} is not allowed{hint}: it must be a name of timm.list_models(), such "
                "as resnet18, mobilenetv3_small_100 or vit_tiny_patch16_224."
            )
        elif self.weights is not None:
            published = [name.partition(".")[2] for name in timm.list_pretrained(f"{self.architecture}.*")]
            if self.weights not in ("DEFAULT", *published) or not published:
                allowed = " or ".join(["null", *(["DEFAULT", *published] if published else [])])
                yield f"weights={self.weights} is not allowed: for {self.architecture} it must be {allowed}."

    def label(self) -> str:
        """The architecture's name."""
        return self.architecture


@models.register("timm", TimmOptions)
def build(options: TimmOptions, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A timm network with the head, the first layer and the picture size that the data set needs.

    Raises:
        ConfigError: It cannot take pictures of that size, or timm is not installed.
        CheckpointError: The published weights cannot be downloaded or read.
    """
    if importlib.util.find_spec("timm") is None:
        raise ConfigError(f"The model {options.architecture} needs timm, an extra: pip install 'distill[timm]'.")
    problems = list(options.check())
    if problems:
        raise ConfigError(*problems)
    shape = pictures(options.label(), input_shape)
    network = _network(options, shape, classes)
    try_out(network, options.architecture, shape, classes)
    setattr(network, "taps", _taps(network))  # noqa: B010
    return network


def _network(options: TimmOptions, shape: tuple[int, int, int], classes: int) -> nn.Module:
    import timm

    channels, height, width = shape
    settings: dict[str, Any] = {"num_classes": classes, "in_chans": channels}
    published = timm.get_pretrained_cfg(options.architecture)
    if published is not None and published.fixed_input_size:
        settings["img_size"] = (height, width)
    tag = "" if options.weights in (None, "DEFAULT") else f".{options.weights}"
    try:
        return timm.create_model(options.architecture + tag, pretrained=options.weights is not None, **settings)
    except Exception as error:  # The many clients that timm downloads with have no error in common.
        if options.weights is None:
            raise ConfigError(
                f"The model {options.architecture} cannot take pictures of {channels}x{height}x{width} "
                f"({first_line(error)}); choose other pictures or another model."
            ) from error
        raise CheckpointError(
            f"weights={options.weights} of {options.architecture} cannot be had ({first_line(error)}); download them "
            "where there is a network, give a file of yours as checkpoint=..., or use weights=null."
        ) from error


def _taps(network: Any) -> Taps:
    """The stages that timm itself names, without the stem; its heads, and the input of the first as embedding."""
    own = default_taps(network)
    paths = {id(module): path for path, module in network.named_modules()}
    classifier = network.get_classifier()
    heads = [paths.get(id(head)) for head in (classifier if isinstance(classifier, tuple) else (classifier,))]
    named = [level.get("module") for level in getattr(network, "feature_info", None) or []]
    stages = tuple(named) if len(named) > 1 and all(path in paths.values() for path in named) else own.features
    if len(stages) > _LEVELS and _is_stem(network.get_submodule(stages[0])):
        stages = stages[1:]
    return Taps(
        features=stages,
        embedding=heads[0] or own.embedding,
        heads=tuple(path for path in heads if path) if len(heads) > 1 else (),
        channels_last=getattr(network, "output_fmt", "NCHW") == "NHWC",
    )


def _is_stem(module: nn.Module) -> bool:
    """Whether it is one layer, and no block of convolutions."""
    return not any(weight.ndim > 1 for child in module.children() for weight in child.parameters())

"""Any classification network of torchvision, fitted to the classes, channels and size of the data set."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from distill.config.model_options import ModelOptions
from distill.config.options import Flag
from distill.config.words import did_you_mean
from distill.errors import CheckpointError, ConfigError
from distill.models import models
from distill.models.shapes import pictures
from distill.models.taps import default_taps
from distill.models.trial import first_line


@dataclass(frozen=True, kw_only=True)
class TorchvisionOptions(ModelOptions):
    """Options of `torchvision`.

    Attributes:
        architecture: A name of `torchvision.models`, such as `resnet50` or `mobilenet_v2`.
        weights: Published weights to start from: `None` for fresh ones, `DEFAULT` for the best known, or a
            name such as `IMAGENET1K_V2`. The head is kept only when it has the data set's number of classes.
        small_images: Adapts a stem made for 224 pixels to small pictures: the first convolution gets stride
            1, and a 7x7 one becomes 3x3 and loses the max-pool behind it. Published weights of a 7x7 kernel
            lend their central 3x3.
    """

    architecture: str = "resnet18"
    weights: str | None = None
    small_images: Flag = False

    def check(self) -> Iterable[str]:
        """Only torchvision knows its names."""
        import torchvision.models as zoo

        known = zoo.list_models(module=zoo)
        if self.architecture not in known:
            hint = did_you_mean(self.architecture, known)
            yield (
                f"architecture={self.architecture} is not allowed{hint}: it must be a classification network "
                "of torchvision, such as resnet18, resnet50, mobilenet_v2 or efficientnet_b0."
            )
        elif self.weights is not None:
            published = list(zoo.get_model_weights(self.architecture).__members__)
            if self.weights not in published:
                allowed = " or ".join(["null", *dict.fromkeys(["DEFAULT", *published])])
                yield f"weights={self.weights} is not allowed: for {self.architecture} it must be {allowed}."

    @property
    def source(self) -> str | None:
        """A checkpoint, or what torchvision publishes."""
        published = None if self.weights is None else f"torchvision ({self.weights})"
        return self.checkpoint or published

    def label(self) -> str:
        """The architecture's name."""
        return self.architecture


@models.register("torchvision", TorchvisionOptions)
def build(options: TorchvisionOptions, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A torchvision network with the head and the stem that the data set needs.

    Raises:
        ConfigError: The network cannot take pictures of that size.
        CheckpointError: The published weights cannot be downloaded or read.
    """
    channels, height, width = pictures(options.label(), input_shape)
    problems = list(options.check())
    if problems:
        raise ConfigError(*problems)
    _check_head(options, classes)
    network = _network(options)
    _fit_stem(network, channels, options)
    _fit_head(network, classes)
    _try(network, options.architecture, (channels, height, width))
    if options.architecture.startswith("swin"):
        setattr(network, "taps", replace(default_taps(network), channels_last=True))  # noqa: B010
    return network


def _check_head(options: TorchvisionOptions, classes: int) -> None:
    """Refuses published weights that are to be used as they are for other classes than theirs."""
    import torchvision.models as zoo

    if options.train or options.checkpoint is not None or options.weights is None:
        return
    known = len(zoo.get_model_weights(options.architecture)[options.weights].meta["categories"])
    if known != classes:
        raise ConfigError(
            f"teacher.train=false is not allowed for {options.architecture} with weights={options.weights}: these tell "
            f"{known} classes apart and the data set has {classes}; let it be trained, or give teacher.checkpoint=FILE."
        )


def _network(options: TorchvisionOptions) -> nn.Module:
    import torchvision.models as zoo

    settings: dict[str, Any] = {}
    if options.architecture in ("googlenet", "inception_v3"):
        # Auxiliary classifiers return a second output that no loss here reads.
        settings["aux_logits"] = False
        if options.weights is None:
            settings["init_weights"] = True
    if options.weights is None:
        return zoo.get_model(options.architecture, **settings)
    weights = zoo.get_model_weights(options.architecture)[options.weights]
    try:
        return zoo.get_model(options.architecture, weights=weights, **settings)
    except (OSError, RuntimeError, EOFError) as error:
        folder = os.path.join(torch.hub.get_dir(), "checkpoints")
        raise CheckpointError(
            f"weights={options.weights} of {options.architecture} cannot be had ({first_line(error)}); put "
            f"the file {os.path.basename(weights.url)} from {weights.url} into {folder}, or use weights=null."
        ) from error


def _fit_stem(network: nn.Module, channels: int, options: TorchvisionOptions) -> None:
    path, stem = next((path, module) for path, module in network.named_modules() if isinstance(module, nn.Conv2d))
    kernel, stride = stem.kernel_size[0], stem.stride[0]
    padding: Any = stem.padding
    if options.small_images:
        if stride > 2:
            raise ConfigError(
                f"small_images=true is not allowed for {options.architecture}: its first layer has stride "
                f"{stride}, which is not a stem that can be made small; use small_images=false."
            )
        if kernel > 3:
            kernel, padding = 3, 1
            _drop_max_pool(network)
        stride = 1
    elif channels == stem.in_channels:
        return
    bias = stem.bias is not None
    fitted = nn.Conv2d(channels, stem.out_channels, kernel, stride=stride, padding=padding, bias=bias)
    if options.weights is not None:
        with torch.no_grad():
            fitted.weight.copy_(_fit_kernel(stem.weight, channels, kernel))
            if fitted.bias is not None and stem.bias is not None:
                fitted.bias.copy_(stem.bias)
    network.set_submodule(path, fitted)
    if channels != stem.in_channels and hasattr(network, "transform_input"):
        # googlenet and inception_v3 would renormalise three colours that are not there.
        setattr(network, "transform_input", False)  # noqa: B010


def _fit_kernel(weight: Tensor, channels: int, kernel: int) -> Tensor:
    """The central part of a kernel; other channels share its sum over colours, so that grey acts as grey."""
    margin = (weight.shape[-1] - kernel) // 2
    central = weight[:, :, margin : margin + kernel, margin : margin + kernel]
    if channels == weight.shape[1]:
        return central
    return central.sum(1, keepdim=True).expand(-1, channels, -1, -1) / channels


def _drop_max_pool(network: nn.Module) -> None:
    for path, module in network.named_modules():
        if isinstance(module, nn.MaxPool2d):
            network.set_submodule(path, nn.Identity())
            return


def _fit_head(network: nn.Module, classes: int) -> None:
    """Replaces the last linear layer, or where there is none (squeezenet) the last 1x1 convolution."""
    modules = list(network.named_modules())
    linear = [(path, module) for path, module in modules if isinstance(module, nn.Linear)]
    if linear:
        path, head = linear[-1]
        if head.out_features != classes:
            network.set_submodule(path, nn.Linear(head.in_features, classes, bias=head.bias is not None))
        return
    path, head = [(path, module) for path, module in modules if isinstance(module, nn.Conv2d)][-1]
    if head.out_channels != classes:
        network.set_submodule(path, nn.Conv2d(head.in_channels, classes, 1))


def _try(network: nn.Module, architecture: str, shape: tuple[int, int, int]) -> None:
    """A forward pass of shapes alone; the meta device computes nothing."""
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    shapes = {name: tensor.detach().to("meta") for name, tensor in state.items()}
    network.eval()
    try:
        torch.func.functional_call(network, shapes, torch.empty(1, *shape, device="meta"))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ConfigError(
            f"The model {architecture} cannot take pictures of {'x'.join(map(str, shape))} "
            f"({first_line(error)}); choose larger pictures or another model."
        ) from error
    finally:
        network.train()

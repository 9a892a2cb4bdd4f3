"""How networks lie in memory: faster, and with the same results."""

import torch
from torch import nn

from distill.models import create
from distill.models.networks.cnn import CnnOptions
from distill.models.networks.mlp import MlpOptions
from distill.training.layout import arrange, freeze, keep_memory
from distill.training.precision import Precision

CPU = torch.device("cpu")


def network() -> nn.Module:
    torch.manual_seed(0)
    return create(CnnOptions(name="cnn", channels=[4, 8]), (3, 8, 8), 5)


def test_convolutions_lie_with_their_channels_last_and_say_the_same():
    inputs = torch.randn(6, 3, 8, 8)
    arranged = arrange(network(), (3, 8, 8), CPU)
    assert all(
        module.weight.is_contiguous(memory_format=torch.channels_last)
        for module in arranged.modules()
        if isinstance(module, nn.Conv2d)
    )
    torch.testing.assert_close(arranged(inputs), network()(inputs))


def test_a_network_without_convolutions_stays_as_it_is():
    mlp = create(MlpOptions(name="mlp", widths=[4]), (1, 4, 4), 3)
    strides = [parameter.stride() for parameter in mlp.parameters()]
    assert [parameter.stride() for parameter in arrange(mlp, (1, 4, 4), CPU).parameters()] == strides


class Viewing(nn.Module):
    """What users write: `view` needs the usual layout where there is more than one channel and pixel."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.classifier = nn.Linear(4 * 36, 5)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        maps = self.convolution(inputs)
        return self.classifier(maps.view(len(maps), -1))


def test_a_network_that_needs_the_usual_layout_keeps_it():
    arranged = arrange(Viewing().train(), (3, 8, 8), CPU)
    assert arranged(torch.randn(2, 3, 8, 8)).shape == (2, 5)
    assert arranged.training


def test_a_frozen_network_says_under_autocast_what_it_said_before_bit_for_bit():
    precision = Precision("bf16", CPU)
    inputs = torch.randn(6, 3, 8, 8)
    before, frozen = network().eval(), freeze(network(), precision)
    with torch.no_grad(), precision.autocast():
        assert torch.equal(frozen(inputs), before(inputs))
    assert {parameter.dtype for parameter in frozen.parameters()} == {torch.bfloat16}
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert not frozen.training


def test_in_fp32_nothing_is_converted():
    assert {parameter.dtype for parameter in freeze(network(), Precision("fp32", CPU)).parameters()} == {torch.float32}


def test_keeping_memory_is_safe_to_ask_for_anywhere():
    keep_memory()

"""Networks in integers: what is folded, rounded, kept and read again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill.errors import ConfigError
from distill.models.folding import fold_batch_norm
from distill.models.quantized import FakeQuantized, Int8, calibrated, check_followed


class Small(nn.Module):
    """Batch norm behind a convolution, behind a linear layer and behind neither, and a padding in words."""

    def __init__(self, seed: int = 0):
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(1, 4, 3, padding="same", bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(4, eps=0.5), nn.BatchNorm2d(4), nn.BatchNorm1d(6)])
        self.linear, self.drop, self.head = nn.Linear(4, 6), nn.Dropout(0.5), nn.Linear(6, 3)
        for norm in self.norms:
            for name, values in norm.state_dict().items():
                if name != "num_batches_tracked":
                    values.copy_(torch.rand(values.shape) + 0.1 * len(name))

    def forward(self, inputs: Tensor) -> Tensor:
        maps = torch.relu(self.norms[0](self.conv(inputs)))
        vectors = self.norms[1](maps).mean(dim=(2, 3))
        return self.head(self.drop(torch.relu(self.norms[2](self.linear(vectors)))))


def inputs(count: int = 32, seed: int = 5) -> Tensor:
    return torch.rand(count, 1, 6, 6, generator=torch.Generator().manual_seed(seed))


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> set[str]:
    assert one.keys() == other.keys()
    return {name for name in one if not torch.equal(one[name], other[name])}


@pytest.fixture(scope="module")
def trained() -> FakeQuantized:
    network = FakeQuantized(Small(), inputs(2))
    descent = torch.optim.SGD(network.parameters(), lr=0.05)
    for seed in range(4):
        descent.zero_grad()
        nn.functional.cross_entropy(network(inputs(seed=seed)), torch.arange(32) % 3).backward()
        descent.step()
    return network.eval()


def test_folded_batch_norm_leaves_no_trace_but_the_answers():
    network = Small().eval()
    program: Any = torch.export.export(network, (inputs(2),), strict=True).module(check_guards=False)
    fold_batch_norm(program)
    torch.testing.assert_close(program(inputs(2)), network(inputs(2)))
    assert not [node for node in program.graph.nodes if "batch_norm" in str(node.target)]
    assert all(parameter.requires_grad for parameter in program.parameters())


def test_scales_follow_training_and_stay_in_evaluation():
    network = FakeQuantized(Small(), inputs(2))
    fresh = state(network)
    largest = inputs().max().item()
    network(inputs())
    seen = state(network)
    assert any("min_val" in name for name in differing(fresh, seen))
    network.eval()
    with torch.inference_mode():
        assert torch.equal(network(9 * inputs()), network(9 * inputs()))  # without dropout
    assert all("observer_enabled" in name for name in differing(seen, state(network)))
    # Of the first batch: the range from zero to the largest input in 255 steps.
    assert network.converted(inputs(2)).activation_scales[0].item() == pytest.approx(largest / 255)
    network.train()
    assert not torch.equal(network(inputs()), network(inputs()))


def test_weights_become_the_nearest_whole_multiples_of_their_channels_scale():
    bits = 3
    network = Small().eval()
    network.conv.weight.data[0, 0, 0, 0] = 2.0  # the largest of its channel, before the norm scales it
    kept = calibrated(network, inputs(), bits).state_dict()
    norm: Any = network.norms[0]
    folded = network.conv.weight * (norm.weight / (norm.running_var + 0.5).sqrt()).view(-1, 1, 1, 1)
    whole = next(value for value in kept.values() if value.shape == folded.shape)
    assert whole.dtype == torch.int8
    scale = folded.flatten(1).abs().amax(dim=1) / ((2**bits - 1) / 2)
    torch.testing.assert_close(whole.float(), (folded / scale.view(-1, 1, 1, 1)).round().clamp(max=2 ** (bits - 1) - 1))
    assert {value.dtype for value in kept.values()} == {torch.int8, torch.int32, torch.float32}


def test_a_converted_network_answers_as_it_was_trained_to(trained):
    converted = trained.converted(inputs(2))
    with torch.no_grad():
        expected, answers = trained(inputs(64, 8)), converted(inputs(64, 8))
    assert (answers - expected).abs().max() < 0.05 * expected.std()
    assert not [value for value in converted.parameters() if value.requires_grad]
    weights = 4 * 9 + 4 * 6 + 6 * 3
    assert sum(value.numel() for value in converted.parameters() if value.dtype == torch.int8) == weights


@pytest.mark.parametrize("rounded", ["trained", "calibrated"])
def test_what_a_file_keeps_makes_another_network_the_same(trained, rounded):
    def fresh() -> Int8:
        if rounded == "trained":
            return FakeQuantized(Small(1), inputs(2)).converted(torch.zeros(2, 1, 6, 6))
        return calibrated(Small(1), torch.zeros(2, 1, 6, 6))

    first = trained.converted(inputs(2)) if rounded == "trained" else calibrated(Small(), inputs())
    again = fresh()
    again.load_state_dict(first.state_dict())
    with torch.no_grad():
        assert torch.equal(again(inputs(seed=9)), first(inputs(seed=9)))


class Asking(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(1)[:, :3] if inputs.sum() > 0 else inputs.flatten(1)[:, 3:6]


def test_a_network_that_cannot_be_followed_is_refused_in_a_sentence():
    with pytest.raises(ConfigError, match=r"torch\.export, which cannot follow Asking \(.+\): choose another student"):
        check_followed(Asking(), inputs(2))

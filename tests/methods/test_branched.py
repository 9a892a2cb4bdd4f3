"""Branches on a shared trunk: where networks are cut, and what of them exists how often."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from distill.errors import ConfigError
from distill.experiments.named import named
from distill.methods import create
from distill.methods.branched import Branched, branched
from distill.models import count
from distill.models import create as create_network
from distill.models.taps import Tapped, Taps, default_taps
from distill.types import Batch

EXAMPLE = Batch(torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(4), torch.arange(4))

# Options; modules of the trunk; modules of a branch; width of what the gate reads.
NETWORKS = {
    "mlp": ({"widths": [6, 5, 4]}, {"hidden.0", "hidden.1"}, {"hidden.2", "classifier"}, 5),
    "mlp of one layer": ({"name": "mlp", "widths": [6]}, {"hidden.0"}, {"classifier"}, 6),
    "cnn": ({"channels": [3, 4], "hidden": 5}, {"stages.0"}, {"stages.1", "hidden", "classifier"}, 3),
    "resnet": ({"depth": 8, "widths": [2, 2, 3, 4]}, {"conv1", "bn1", "layer1", "layer2"}, {"layer3", "fc"}, 3),
    "wrn": ({"depth": 10, "widen": 1}, {"conv1", "block1", "block2"}, {"block3", "bn1", "fc"}, 32),
    "vgg": ({"depth": 8}, {"block0", "block1", "block2", "block3"}, {"block4", "classifier"}, 512),
    "mobilenetv2": (
        {"width": 0.25},
        {"conv1", *(f"blocks.{stage}" for stage in range(5))},
        {"blocks.5", "blocks.6", "conv2", "classifier"},
        24,
    ),
    "shufflenetv1": ({}, {"conv1", "bn1", "layer1", "layer2"}, {"layer3", "linear"}, 480),
    "shufflenetv2": ({}, {"conv1", "bn1", "layer1", "layer2"}, {"layer3", "conv2", "bn2", "linear"}, 232),
}


def network(name: str) -> nn.Module:
    torch.manual_seed(1)
    return create_network(named("student", {"name": name, **NETWORKS[name][0]}, 0), (1, 8, 8), 5).eval()


def made(student: nn.Module, branches: int = 3) -> Branched:
    torch.manual_seed(2)
    with torch.no_grad():
        return branched(student, default_taps(student), branches, EXAMPLE)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_follows_the_last_stage_but_one_exists_once_more_for_each_branch(name):
    _, trunk, branch, width = NETWORKS[name]
    student = network(name)
    with torch.no_grad():
        answer = student(EXAMPLE.inputs)
        whole = made(student)
        with Tapped(whole, whole.taps) as tapped:
            output = tapped(EXAMPLE.inputs)
    modules = dict(student.named_modules())
    sizes = {part: count.parameters(modules[part]) for part in trunk | branch}
    assert sum(sizes.values()) == count.parameters(student)  # the table above leaves nothing out
    repeated = sum(sizes[part] for part in branch)
    gate = 3 * width + 3 + 2 * 3
    assert count.parameters(whole) == count.parameters(student) + 2 * repeated + gate

    assert len(output.heads) == 3
    assert torch.equal(output.heads[0], answer)
    size = answer.abs().mean()
    for one, other in itertools.combinations(output.heads, 2):
        assert (one - other).abs().mean() > 0.1 * size
    # Weights that are drawn anew: the same numbers in another order.
    last = max(branch)
    for other in whole.others:
        for first, mine in zip(modules[last].parameters(), other.get_submodule(last).parameters(), strict=True):
            assert torch.equal(mine.flatten().sort()[0], first.flatten().sort()[0])


def test_the_trunk_learns_from_every_branch_and_is_run_once():
    student = network("resnet")
    whole = made(student).train()
    with Tapped(whole, whole.taps) as tapped:
        output = tapped(EXAMPLE.inputs)
    assert int(student.get_buffer("bn1.num_batches_tracked")) == 1
    for head in output.heads:
        trunk = torch.autograd.grad(head.sum(), student.get_parameter("conv1.weight"), retain_graph=True)[0]
        assert trunk.any()
    of_second = torch.autograd.grad(output.heads[1].sum(), student.get_parameter("fc.weight"), allow_unused=True)[0]
    assert of_second is None


def test_the_ensemble_is_the_branches_weighed_by_the_gate():
    whole = made(network("mlp"))
    with torch.no_grad(), Tapped(whole, whole.taps) as tapped:
        output = tapped(EXAMPLE.inputs)
        hidden = whole.student.get_submodule("hidden")
        trunk = hidden[1](hidden[0](EXAMPLE.inputs.flatten(1)))  # pyright: ignore[reportIndexIssue]
        shares = whole.gate(trunk)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(4))
    expected = torch.stack([share[:, None] * head for share, head in zip(shares.T, output.heads, strict=True)]).sum(0)
    torch.testing.assert_close(output.logits, expected)


class Skips(nn.Module):
    """What comes last reads the inputs, too."""

    taps = Taps(features=("first", "second"))

    def __init__(self):
        super().__init__()
        self.first, self.second, self.side = nn.Linear(64, 4), nn.Linear(4, 5), nn.Linear(64, 5)

    def forward(self, inputs):
        side = self.side(inputs.flatten(1))
        return self.second(self.first(inputs.flatten(1))) + side


@pytest.mark.parametrize(
    ("student", "said"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), "nobody knows its stages"),
        (create_network(named("student", {"name": "mlp", "widths": []}, 0), (1, 8, 8), 5), "nobody knows its stages"),
        (Skips(), "does not run without what comes before it"),
    ],
)
def test_what_cannot_be_cut_is_refused_in_a_sentence(student, said):
    method = create("one")
    given = (student.eval(), default_taps(student), None, Taps(), EXAMPLE)
    with torch.no_grad(), pytest.raises(ConfigError, match=said):
        method.redesign(*given)

"""What networks hold inside, part two: OFD, VID, ReviewKD, SimKD, WKD-F, and any loss at several layers."""

import pytest
import torch
from evidence import invariant
from torch import Tensor, nn
from torch.testing import assert_close

from distill.methods import create
from distill.methods.layerwise import softmax_weighted, uncertainty_weighted
from distill.methods.ofd import batch_margin, gaussian_margin, partial_l2
from distill.methods.reviewkd import hcl_loss
from distill.methods.simkd import Reused, make_projector, reuse_loss
from distill.methods.vid import Gaussian, gaussian_nll
from distill.methods.wkd_f import gaussian_distances
from distill.types import Batch, Output

BATCH = Batch(torch.zeros(6, 1), torch.tensor([3, 0, 9, 4, 4, 1]), torch.arange(6))


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@invariant("ofd")
def the_margin_is_what_a_negative_response_is_on_average() -> None:
    mean, deviation = torch.tensor([0.5, -1.0, 0.0]), torch.tensor([1.0, -0.5, 2.0])
    responses = (normal(1, 3, 200_000) * deviation[:, None] + mean[:, None]).clamp_max(0)
    expected = responses.sum(dim=1) / (responses < 0).sum(dim=1)
    assert_close(gaussian_margin(mean, deviation), expected, rtol=1e-2, atol=0)
    assert_close(batch_margin(responses[None, :, None]), expected)
    # A channel that is hardly ever negative: three deviations.
    assert_close(gaussian_margin(torch.tensor([8.0]), torch.tensor([-0.5])), torch.tensor([-1.5]))


@invariant("ofd")
def what_both_find_negative_is_forgiven() -> None:
    teacher, margin = normal(1, 4, 3, 5, 5), torch.tensor([-0.2, -0.4, -0.6])
    wanted = torch.maximum(teacher, margin[:, None, None])
    assert partial_l2(wanted, teacher, margin) == 0
    assert partial_l2(torch.where(teacher > 0, wanted, wanted - 7), teacher, margin) == 0
    student = normal(2, 4, 3, 5, 5)
    assert partial_l2(student, teacher, margin).item() == pytest.approx(_one_by_one(student, teacher, margin))


def _one_by_one(student: Tensor, teacher: Tensor, margin: Tensor) -> float:
    """The definition of the paper, one number after the other."""
    total = 0.0
    for example in range(student.shape[0]):
        for channel, least in enumerate(margin.tolist()):
            own_places, other_places = (each[example, channel].flatten().tolist() for each in (student, teacher))
            for own, other in zip(own_places, other_places, strict=True):
                wanted = max(other, least)
                total += 0.0 if own <= wanted <= 0 else (own - wanted) ** 2
    return total / student.shape[0]


@invariant("vid")
def the_best_variance_is_the_mean_squared_error_of_its_channel() -> None:
    mean, teacher = normal(1, 6, 3, 4, 4), 0.1 * normal(2, 6, 3, 4, 4)
    errors = (mean - teacher).square().mean(dim=(0, 2, 3)).double()
    scale = torch.log(torch.expm1(errors - 1e-5)).requires_grad_()
    loss = gaussian_nll(mean, teacher, scale)
    (gradient,) = torch.autograd.grad(loss, scale)
    assert gradient.abs().max() < 1e-6
    assert loss.item() == pytest.approx(0.5 + 0.5 * errors.log().mean().item(), rel=1e-5)
    small = torch.full((3,), -5.0)
    assert gaussian_nll(teacher, teacher, small) < 0


@invariant("vid")
def variances_are_learnt() -> None:
    method = create("vid", variance=2.0)
    features = [Output(torch.zeros(6, 10), (normal(1, 6, 3, 4, 4), normal(2, 6, 5))) for _ in range(2)]
    method.adapt(*features)
    scales = {name: value for name, value in method.named_parameters() if name.endswith("log_scale")}
    assert len(scales) == 2
    method(*features, BATCH)["vid"].backward()
    for scale in scales.values():
        assert_close(nn.functional.softplus(scale) + 1e-5, torch.full_like(scale, 2.0))
        assert scale.grad is not None
        assert scale.grad.abs().min() > 0
    # A variance that no exponential of fp32 holds.
    assert_close(Gaussian(normal(1, 2, 3), normal(2, 2, 3), 1000.0).log_scale.detach(), torch.full((3,), 1000.0))


@invariant("reviewkd")
def weights_of_a_pyramid_sum_to_one() -> None:
    for side in (1, 2, 3, 8):
        feature = normal(side, 4, 5, side, side)
        assert hcl_loss(feature, feature) == 0
        # Off by 3 everywhere is off by 3 in every average.
        assert_close(hcl_loss(feature + 3, feature), torch.tensor(9.0))


@invariant("reviewkd")
def what_cancels_in_an_average_counts_less_by_its_weight() -> None:
    chequered = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    # Averages of 2x2 places are zero; 2x2 has those of one cell (1/2), 4x4 those of 2 and 1, 8x8 those of 4, 2 and 1.
    for side, weights in ((2, 1 + 1 / 2), (4, 1 + 1 / 2 + 1 / 4), (8, 1 + 1 / 2 + 1 / 4 + 1 / 8)):
        feature = chequered.repeat(side // 2, side // 2)[None, None]
        assert hcl_loss(feature, torch.zeros_like(feature)).item() == pytest.approx(1 / weights)


@invariant("simkd")
def the_student_answers_through_the_classifier_of_its_teacher() -> None:
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU())
    head = nn.Linear(5, 10)
    inputs, wanted = normal(1, 6, 1, 8, 8), normal(2, 6, 5, 4, 4).abs()
    network = Reused(trunk, "1", (4, 4), make_projector(normal(3, 2, 3, 4, 4), wanted), head)
    read: list[Tensor] = []

    def watch(module: nn.Module, given: tuple[Tensor, ...], answer: Tensor) -> None:
        read.append(answer)

    network.projector.register_forward_hook(watch)
    logits = network(inputs)
    assert_close(logits, head(read[-1].mean(dim=(2, 3))))
    reuse_loss(read[-1], wanted).backward()
    learnt = {name.partition(".")[0] for name, value in network.named_parameters() if value.grad is not None}
    assert learnt == {"trunk", "projector"}
    assert reuse_loss(wanted, wanted) == 0


@invariant("wkd_f")
def means_and_deviations_of_channels_are_all_that_counts() -> None:
    feature = normal(1, 6, 3, 4, 5)
    places = torch.randperm(20, generator=torch.Generator().manual_seed(2))
    shuffled = feature.flatten(2)[..., places].reshape(feature.shape)
    assert_close(torch.stack(gaussian_distances(shuffled, feature)), torch.zeros(2), rtol=0, atol=1e-10)
    # The same shift in 3 channels moves 3 means; a factor about the mean moves deviations alone.
    means, deviations = gaussian_distances(feature + 2, feature, grid=2)
    assert_close(torch.stack([means, deviations]), torch.tensor([12.0, 0.0]), rtol=1e-5, atol=1e-6)
    centre = feature.mean(dim=(2, 3), keepdim=True)
    means, deviations = gaussian_distances(centre + 3 * (feature - centre), feature)
    variances = feature.flatten(2).var(dim=2)
    expected = ((9 * variances + 1e-5).sqrt() - (variances + 1e-5).sqrt()).square().sum(dim=1).mean()
    assert_close(torch.stack([means, deviations]), torch.stack([torch.tensor(0.0), expected]), rtol=1e-5, atol=1e-8)


@invariant("wkd_f")
def a_map_of_one_place_has_no_spread() -> None:
    feature = normal(1, 6, 3, 1, 1).requires_grad_()
    means, deviations = gaussian_distances(feature, torch.zeros(6, 3, 1, 1), grid=4)
    assert_close(means, feature.square().sum(dim=1).mean())
    assert deviations == 0
    (gradient,) = torch.autograd.grad(means + deviations, feature)
    assert gradient.isfinite().all()


@invariant("layerwise")
def learnt_shares_sum_to_one() -> None:
    scores = normal(1, 4)
    assert softmax_weighted(torch.ones(4), scores).sum().item() == pytest.approx(1)
    assert_close(softmax_weighted(torch.tensor([1.0, 2.0]), torch.zeros(2)), torch.tensor([0.5, 1.0]))


@invariant("layerwise")
def the_best_uncertainty_is_the_logarithm_of_the_loss() -> None:
    losses = torch.tensor([0.3, 7.0])
    s = losses.log().requires_grad_()
    weighted = uncertainty_weighted(losses, s)
    assert_close(weighted, (1 + losses.log()) / 2)
    (gradient,) = torch.autograd.grad(weighted.sum(), s)
    assert gradient.abs().max() < 1e-6


@invariant("layerwise")
def fixed_weights_add_up_the_losses_of_layers() -> None:
    own = [normal(seed, 6, 3, 4, 4) for seed in (1, 2, 3)]
    other = [normal(seed, 6, 5, 4, 4) for seed in (4, 5, 6)]
    student, teacher = Output(normal(7, 6, 10), tuple(own)), Output(normal(8, 6, 10), tuple(other))
    method = create("layerwise", loss="at", layers=[3, 1], layer_weights=[2.0, 0.5], weight=10.0, hard_weight=0.0)
    method.adapt(student, teacher)

    def attention(feature: Tensor) -> Tensor:
        energy = feature.pow(2).sum(dim=1).flatten(1)
        return energy / energy.norm(dim=1, keepdim=True)

    expected = {
        f"layer_{number}": 10 * weight * (attention(own[number - 1]) - attention(other[number - 1])).pow(2).mean()
        for number, weight in ((3, 2.0), (1, 0.5))
    }
    losses = method(student, teacher, BATCH)
    assert list(losses) == ["layer_3", "layer_1"]
    assert_close(losses, expected)

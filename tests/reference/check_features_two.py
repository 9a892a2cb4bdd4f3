"""What networks hold inside, part two: OFD, VID, ReviewKD, SimKD, WKD-F."""

import torch
from evidence import Vectors, reference
from torch import Tensor, nn
from torch.nn.functional import linear

from distill.methods.ofd import Stage, batch_margin, gaussian_margin, partial_l2
from distill.methods.reviewkd import hcl_loss
from distill.methods.simkd import make_projector, reuse_loss
from distill.methods.vid import Gaussian, gaussian_nll
from distill.methods.wkd_f import gaussian_distances


def filled(module: nn.Module, values: dict[str, Tensor]) -> nn.Module:
    """A module with these leaves, of whose gradients the numbers are known, in place of its parameters."""
    for path, value in values.items():
        holder, _, name = path.rpartition(".")
        place = module.get_submodule(holder)
        assert getattr(place, name).shape == value.shape, path
        del place._parameters[name]
        setattr(place, name, value)
    assert not list(module.parameters())
    return module


def connected(vectors: Vectors, stage: int) -> Tensor:
    ours, theirs = vectors[f"feat_s{stage}"], vectors[f"feat_t{stage}"]
    made = Stage(ours, theirs, None).connector
    names = {"0.weight": "conn_conv", "1.weight": "conn_bn_weight", "1.bias": "conn_bn_bias"}
    return filled(made, {path: vectors[f"{name}{stage}"] for path, name in names.items()})(ours)


@reference("ofd", "ofd")
def overhaul(vectors: Vectors) -> dict[str, Tensor]:
    answer: dict[str, Tensor] = {}
    batch = len(vectors["feat_s1"])
    for stage in (1, 2):
        margin = gaussian_margin(vectors[f"teacher_bn_bias{stage}"], vectors[f"teacher_bn_weight{stage}"])
        torch.testing.assert_close(margin, vectors.aux(f"margin{stage}").float(), rtol=1e-5, atol=1e-6)
        mean = partial_l2(connected(vectors, stage), vectors[f"feat_t{stage}"], margin)
        answer[f"stage{stage}_sum"] = batch * mean
    loss = vectors.hyper["scale"] * (answer["stage1_sum"] / 2 + answer["stage2_sum"]) / batch
    teacher = vectors["feat_t1"]
    empirical = partial_l2(connected(vectors, 1), teacher, batch_margin(teacher))
    return {
        **answer,
        "loss": loss,
        "loss_mdistiller": loss,
        "stage1_kdzoo": empirical / teacher[0].numel(),  # KD-Zoo's mean over all elements
    }


@reference("vid", "vid")
def variational_information(vectors: Vectors) -> dict[str, Tensor]:
    ours, theirs = vectors["feat_s"], vectors["feat_t"]
    made = Gaussian(ours, theirs, vectors.hyper["init_pred_var"])
    torch.testing.assert_close(made.log_scale.detach(), vectors.aux("author_init_log_scale").float())
    weights = {f"{2 * layer}.weight": vectors[f"regressor_w{layer + 1}"] for layer in range(3)}
    mean = filled(made.regressor, weights)(ours)
    return {"loss": gaussian_nll(mean, theirs, vectors["log_scale"])}


@reference("reviewkd_hcl", "reviewkd")
def hierarchical_context(vectors: Vectors) -> dict[str, Tensor]:
    levels = [hcl_loss(vectors[f"feat_s{level}"], vectors[f"feat_t{level}"]) for level in (1, 2, 3)]
    return {"loss": torch.stack(levels).sum()}


@reference("simkd", "simkd")
def reused_classifier(vectors: Vectors) -> dict[str, Tensor]:
    ours, theirs = vectors["feat_s"], vectors["feat_t"]
    leaves: dict[str, Tensor] = {}
    for layer in (1, 2, 3):
        first = 3 * (layer - 1)
        leaves[f"{first}.weight"] = vectors[f"conv{layer}"]
        leaves |= {f"{first + 1}.{kind}": vectors[f"bn{layer}_{kind}"] for kind in ("weight", "bias")}
    projected = filled(make_projector(ours, theirs.abs(), vectors.hyper["factor"]), leaves)(ours)
    logits = linear(projected.mean(dim=(2, 3)), vectors["cls_weight"], vectors["cls_bias"])
    expected = vectors.aux("student_logits_via_teacher_classifier").float()
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    return {
        "loss": reuse_loss(projected, theirs),
        "loss_given_projected": reuse_loss(vectors["feat_s_projected"], theirs),
    }


@reference("wkd_f", "wkd_f")
def wasserstein_of_features(vectors: Vectors) -> dict[str, Tensor]:
    means, deviations = gaussian_distances(vectors["feat_s"], vectors["feat_t"], vectors.hyper["grid"])
    return {
        "mean_loss": means,
        "std_loss": deviations,
        "loss": vectors.hyper["mean_cov_ratio"] * means + deviations,
    }

"""Methods on logits beyond plain soft targets."""

from typing import Any

import torch
import torch.nn.functional as F
from evidence import Vectors, reference
from torch import Tensor

from distill.methods import create
from distill.methods.ctkd import learnt_temperature
from distill.methods.dist import correlation_loss
from distill.methods.dkd import non_target_loss, target_loss
from distill.methods.lskd import standardized_soft_target_loss
from distill.methods.mlkd import batch_level_loss, class_level_loss
from distill.methods.nkd import non_target_cross_entropy, weighted_label_loss
from distill.methods.ofa import enhanced_target_loss
from distill.methods.soft_targets import soft_target_loss
from distill.methods.wkd_l import transport_loss
from distill.types import Batch, Output


def answers(vectors: Vectors) -> tuple[Output, Output, Batch]:
    student, labels = vectors["logits_s"], vectors["labels"]
    return Output(student), Output(vectors["logits_t"]), Batch(student, labels, torch.arange(len(labels)))


@reference("lskd", "lskd")
def standardized_targets(vectors: Vectors) -> dict[str, Tensor]:
    hyper = vectors.hyper
    weights = {"target_weight": hyper["dkd_alpha"], "non_target_weight": hyper["dkd_beta"], "hard_weight": 0.0}
    in_front = create("dkd", T=hyper["T"], warmup=0.0, standardize=True, **weights)
    method = create("lskd", T=hyper["T"], soft_weight=hyper["kd_weight"])
    return {
        "loss": standardized_soft_target_loss(vectors["logits_s"], vectors["logits_t"], hyper["T"]),
        "loss_weighted": method(*answers(vectors))["soft"],
        "dkd_std": torch.stack(list(in_front(*answers(vectors)).values())).sum(),
    }


@reference("dkd", "dkd")
def decoupled_targets(vectors: Vectors) -> dict[str, Tensor]:
    def weighted(target: float, non_target: float) -> Tensor:
        options = {"target_weight": target, "non_target_weight": non_target, "hard_weight": 0.0, "warmup": 0.0}
        return torch.stack(list(create("dkd", T=vectors.hyper["T"], **options)(*answers(vectors)).values())).sum()

    given = (vectors["logits_s"], vectors["logits_t"], vectors["labels"], vectors.hyper["T"])
    return {
        "loss": weighted(vectors.hyper["alpha"], vectors.hyper["beta"]),
        "loss_beta2": weighted(vectors.hyper["alpha"], vectors.hyper["other_beta"]),
        "tckd": target_loss(*given),
        "nckd": non_target_loss(*given),
    }


@reference("nkd", "nkd")
def normalised_targets(vectors: Vectors) -> dict[str, Tensor]:
    given = (vectors["logits_s"], vectors["logits_t"], vectors["labels"])
    others = vectors.hyper["gamma"] * non_target_cross_entropy(*given, vectors.hyper["T"])
    return {"loss": weighted_label_loss(*given) + others}


@reference("dist", "dist")
def correlations(vectors: Vectors) -> dict[str, Tensor]:
    given = (vectors["logits_s"], vectors["logits_t"], vectors.hyper["tau"])
    inter, intra = correlation_loss(*given, dim=1), correlation_loss(*given, dim=0)
    return {"loss": vectors.hyper["beta"] * inter + vectors.hyper["gamma"] * intra, "inter": inter, "intra": intra}


@reference("wkd_l", "wkd_l")
def transport(vectors: Vectors) -> dict[str, Tensor]:
    hyper, labels = vectors.hyper, vectors["labels"]
    given = (vectors["logits_s"], vectors["logits_t"])

    def moved(leaving_out: Tensor | None) -> Tensor:
        settings = (leaving_out, hyper["sinkhorn_lambda"], hyper["sinkhorn_iter"])
        return transport_loss(*given, vectors["cost_matrix"], hyper["T"], *settings)

    target = weighted_label_loss(*given, labels)
    return {
        "loss": target + hyper["gamma"] * moved(labels),
        "loss_target": target,
        "loss_wd": moved(labels),
        "loss_wd_all_classes": moved(None),
    }


@reference("mlkd", "mlkd")
def levels(vectors: Vectors) -> dict[str, Tensor]:
    weak = (vectors["logits_s_weak"], vectors["logits_t_weak"])
    strong = (vectors["logits_s_strong"], vectors["logits_t_strong"])
    T, weight, temperatures = vectors.hyper["T"], vectors.hyper["kd_weight"], vectors.hyper["temperatures"]
    batch = Batch(weak[0], vectors["labels"], vectors["labels"])
    method = create("mlkd", hard_weight=vectors.hyper["ce_weight"])
    student, teacher = (Output(weak[i], strong=Output(strong[i])) for i in (0, 1))
    # What the authors' code adds up is not what our method does; the losses that it adds up are ours.
    seen_strong = [strong, strong, strong, weak, weak]
    instances = [soft_target_loss(*weak, each) / 2 for each in temperatures]
    instances += [soft_target_loss(*view, each) for view, each in zip(seen_strong, temperatures, strict=True)]
    return {
        "kd": soft_target_loss(*weak, T),
        "class_level": class_level_loss(*weak, T),
        "batch_level": batch_level_loss(*weak, T),
        "full_ce": method(student, teacher, batch)["hard"],
        "full_kd": weight * torch.stack(instances).sum(),
        "full_cc": weight * torch.stack([class_level_loss(*weak, each) / 2 for each in temperatures]).sum(),
        "full_bc": weight * torch.stack([batch_level_loss(*weak, each) / 2 for each in temperatures]).sum(),
    }


@reference("ofa", "ofa")
def enhanced_targets(vectors: Vectors) -> dict[str, Tensor]:
    given = (vectors["logits_s"], vectors["logits_t"], vectors["labels"])
    return {"loss": enhanced_target_loss(*given, vectors.hyper["eps"], vectors.hyper["temperature"])}


@reference("ctkd", "ctkd")
def temperature_that_is_learnt(vectors: Vectors) -> dict[str, Tensor]:
    # Their epochs count from 1, and 10 of them ramp.
    method: Any = create("ctkd", ramp_share=vectors.hyper["decay_loops"] / 240)
    method.start_epoch(vectors.hyper["epoch"] - 1, 240)
    T = learnt_temperature(vectors["theta"], method.strength, vectors.hyper["t_start"], vectors.hyper["t_end"])
    return {"loss": soft_target_loss(vectors["logits_s"], vectors["logits_t"], T).squeeze(), "temperature": T}


@reference("deit", "deit")
def two_heads(vectors: Vectors) -> dict[str, Tensor]:
    heads = (vectors["logits_s"], vectors["logits_s_dist"])
    student, batch = Output(heads[0], heads=heads), Batch(heads[0], vectors["labels"], vectors["labels"])
    teacher, classes = Output(vectors["logits_t"]), heads[0].shape[1]
    hard = create("deit", alpha=vectors.hyper["alpha"])(student, teacher, batch)
    soft = create("deit", type="soft", alpha=vectors.hyper["alpha"], T=vectors.hyper["tau"])(student, teacher, batch)
    return {
        "loss_hard": hard["teacher_label"] + hard["hard"],
        # Their soft term is the paper's divided by the number of classes.
        "loss_soft": soft["soft"] / classes + soft["hard"],
        "loss_none": F.cross_entropy(heads[0], vectors["labels"]),
    }

"""Hints, attention, neuron selectivity, boundaries, factors, flow, singular vectors."""

import torch.nn.functional as F
from evidence import Vectors, reference
from torch import Tensor

from distill.methods.ab import boundaries_loss, boundary_loss
from distill.methods.at import attention_loss, attention_map
from distill.methods.fitnet import hint_loss
from distill.methods.fsp import fsp_loss
from distill.methods.ft import factor_loss
from distill.methods.kdsvd import svd_loss
from distill.methods.nst import selectivity_loss

SIGN = "depends on the signs that LAPACK gave the teacher's singular vectors; loss_canonical_sign does not"


def stages(vectors: Vectors, whose: str) -> list[Tensor]:
    count = sum(name.startswith(f"feat_{whose}") for name in vectors.arrays)
    return [vectors[f"feat_{whose}{stage}"] for stage in range(1, count + 1)]


def numbered(losses: list[Tensor]) -> dict[str, Tensor]:
    return {f"stage{number}": loss for number, loss in enumerate(losses, 1)}


@reference("fitnet", "fitnet", "feature_mse")
def hints(vectors: Vectors) -> dict[str, Tensor]:
    regressed = F.conv2d(vectors["feat_s_raw"], vectors["regressor_weight"])
    return {
        "loss": hint_loss(vectors["feat_s_regressed"], vectors["feat_t"]),
        "loss_conv1x1": hint_loss(regressed, vectors["feat_t"]),
    }


@reference("at", "at")
def attention(vectors: Vectors) -> dict[str, Tensor]:
    pairs = zip(stages(vectors, "s"), stages(vectors, "t"), strict=True)
    losses = [attention_loss(student, teacher, vectors.hyper["p"]) for student, teacher in pairs]
    return {**numbered(losses), "loss": sum(losses, start=losses[0].new_zeros(()))}


@reference("nst", "nst")
def selectivity(vectors: Vectors) -> dict[str, Tensor]:
    pairs = zip(stages(vectors, "s"), stages(vectors, "t"), strict=True)
    losses = [selectivity_loss(student, teacher) for student, teacher in pairs]
    return {**numbered(losses), "loss": sum(losses, start=losses[0].new_zeros(()))}


@reference("ab", "ab")
def boundaries(vectors: Vectors) -> dict[str, Tensor]:
    students, teachers, margin = stages(vectors, "s"), stages(vectors, "t"), vectors.hyper["margin"]
    each = [boundary_loss(student, teacher, margin) for student, teacher in zip(students, teachers, strict=True)]
    shares = (0.25, 0.5, 1.0)
    return {
        **numbered([3 / 1000 * share * loss for share, loss in zip(shares, each, strict=True)]),
        "loss": boundaries_loss(students, teachers, margin),
        "stage1_mean_kdzoo": each[0] / students[0][0].numel(),
    }


@reference("ft", "ft")
def factors(vectors: Vectors) -> dict[str, Tensor]:
    return {"loss": vectors.hyper["beta"] * factor_loss(vectors["factor_s"], vectors["factor_t"])}


@reference("ft_repdistiller", "ft")
def attention_of_factors(vectors: Vectors) -> dict[str, Tensor]:
    maps = [attention_map(vectors[name], vectors.hyper["p1"]) for name in ("factor_s", "factor_t")]
    return {"loss": factor_loss(maps[0], maps[1], vectors.hyper["p2"])}


@reference("fsp", "fsp")
def flow(vectors: Vectors) -> dict[str, Tensor]:
    students, teachers = stages(vectors, "s"), stages(vectors, "t")
    return {
        "loss": fsp_loss(students, teachers),
        "pair12": fsp_loss(students[:2], teachers[:2]),
        "pair23": fsp_loss(students[1:], teachers[1:]),
    }


@reference("kdsvd", "kdsvd", without={"loss": SIGN})
def singular_vectors(vectors: Vectors) -> dict[str, Tensor]:
    return {"loss_canonical_sign": svd_loss(stages(vectors, "s"), stages(vectors, "t"), vectors.hyper["k"])}


@reference("kdsvd_mdistiller", without={"loss": SIGN})
def singular_vectors_along_rows(vectors: Vectors) -> dict[str, Tensor]:
    # It takes columns of the picture for channels, and channels with rows for places.
    students, teachers = ([each.permute(0, 3, 1, 2) for each in stages(vectors, whose)] for whose in "st")
    return {"loss_canonical_sign": svd_loss(students, teachers, vectors.hyper["k"])}

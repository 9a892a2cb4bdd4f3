"""Methods on relations between examples."""

from typing import Any

import torch
import torch.nn.functional as F
from evidence import Vectors, reference
from torch import Tensor

from distill.methods import create
from distill.methods.cc import correlation_loss, correlations
from distill.methods.crd import contrastive_loss
from distill.methods.irg import edge_loss, transformation_loss
from distill.methods.logits import logit_matching_loss
from distill.methods.memory import Memory
from distill.methods.pkt import neighbour_loss
from distill.methods.rkd import relational_losses
from distill.methods.sp import similarity_loss

PARAMETERS = ("weight", "bias")


@reference("rkd", "rkd")
def relational_knowledge(vectors: Vectors) -> dict[str, Tensor]:
    distance, angle = relational_losses(vectors["emb_s"], vectors["emb_t"])
    loss = vectors.hyper["w_distance"] * distance + vectors.hyper["w_angle"] * angle
    return {"loss": loss, "loss_repdistiller": loss, "distance": distance, "angle": angle}


@reference("sp", "sp")
def similarities(vectors: Vectors) -> dict[str, Tensor]:
    return {"loss": similarity_loss(vectors["feat_s"], vectors["feat_t"])}


@reference("pkt", "pkt")
def neighbours(vectors: Vectors) -> dict[str, Tensor]:
    return {"loss": neighbour_loss(vectors["emb_s"], vectors["emb_t"])}


@reference("cc", "cc")
def correlations_of_unit_embeddings(vectors: Vectors) -> dict[str, Tensor]:
    gamma, order = vectors.hyper["gamma"], vectors.hyper["P_order"]
    return {"loss": correlation_loss(vectors["emb_s"], vectors["emb_t"], gamma, order)}


@reference("cc_torchdistill")
def correlations_with_a_norm_of_their_difference(vectors: Vectors) -> dict[str, Tensor]:
    """A variant that takes the norm where the paper takes its square, which is no method here; the kernel is ours."""
    gamma, order = vectors.hyper["gamma"], vectors.hyper["max_p"]
    both = vectors["emb_s"], vectors["emb_t"]
    kernels = [correlations(embedding, gamma, order) for embedding in both]
    products = [embedding @ embedding.t() for embedding in both]
    pairs = len(both[0]) ** 2
    return {
        name: torch.linalg.matrix_norm(ours - theirs) / pairs
        for name, (ours, theirs) in {"loss": kernels, "bilinear": products}.items()
    }


@reference("cc_repdistiller", without={"loss": "it depends on the order of the batch, and is 0 with half of it wrong"})
def correlations_of_neighbours(vectors: Vectors) -> dict[str, Tensor]:
    """The popular variant, which is no method here."""
    return {}


@reference("irg", "irg")
def instance_relationship_graph(vectors: Vectors) -> dict[str, Tensor]:
    ours, theirs = ([vectors[f"{name}_{side}"] for name in ("emb", "map1", "map2")] for side in "st")
    vertex = logit_matching_loss(vectors["logits_s"], vectors["logits_t"])
    edge = torch.stack([edge_loss(*layer) for layer in zip(ours, theirs, strict=True)]).mean()
    transform = transformation_loss(ours[1:], theirs[1:])
    hyper = vectors.hyper
    loss = hyper["w_vertex"] * vertex + hyper["w_edge"] * edge + hyper["w_transform"] * transform
    return {"loss": loss, "vertex": vertex, "edge": edge, "transform": transform}


@reference("crd", "crd")
def contrastive_representation(vectors: Vectors) -> dict[str, Tensor]:
    hyper = vectors.hyper
    method: Any = create(
        "crd",
        dim=hyper["feat_dim"],
        negatives=hyper["nce_k"],
        temperature=hyper["nce_t"],
        momentum=hyper["nce_m"],
    )
    memories = [Memory(hyper["n_data"], hyper["feat_dim"]) for _ in range(2)]
    method.student_memory, method.teacher_memory = memories
    for number, memory in enumerate(memories, start=1):
        memory.rows.copy_(vectors[f"memory_v{number}_init"])
    found = {}
    for call, (name, suffix) in enumerate([("loss", ""), ("loss_call2", "_2")], start=1):
        ours, theirs = (
            F.normalize(F.linear(vectors[f"emb_{side}{suffix}"], *(vectors[f"embed_{side}_{of}"] for of in PARAMETERS)))
            for side in "st"
        )
        negatives = vectors[f"contrast_idx_{call}"][:, 1:]
        found[name] = sum(method.contrast(ours, theirs, vectors[f"index_{call}"], negatives).values())
        for number, memory in enumerate(memories, start=1):
            torch.testing.assert_close(memory.rows, vectors.aux(f"memory_v{number}_after_call{call}").float())
    # The student's scores are those against the teacher's memory, and the other way round.
    for name, memory in zip(("Z_v1", "Z_v2"), reversed(memories), strict=True):
        torch.testing.assert_close(memory.normalizer, vectors.aux(name).float().reshape(()))
    scores = vectors["nce_scores"].log()
    noise = hyper["nce_k"] / hyper["n_data"]
    found["nce_criterion_only"] = contrastive_loss(scores[:, 0], scores[:, 1:], noise)
    return found

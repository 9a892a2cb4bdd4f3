"""Soft targets and logit matching."""

from evidence import Vectors, reference
from torch import Tensor

from distill.methods import create
from distill.methods.logits import logit_matching_loss
from distill.types import Batch, Output


@reference("kd", "hinton", "soft_hard")
def soft_targets(vectors: Vectors) -> dict[str, Tensor]:
    student = vectors["logits_s"]
    method = create("hinton", T=vectors.hyper["T"], alpha=1.0)
    batch = Batch(student, student.argmax(dim=1), student.argmax(dim=1))
    return {"loss": method(Output(student), Output(vectors["logits_t"]), batch)["soft"]}


@reference("logit_mse", "logits")
def logit_matching(vectors: Vectors) -> dict[str, Tensor]:
    return {"loss": logit_matching_loss(vectors["logits_s"], vectors["logits_t"])}

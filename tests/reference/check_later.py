"""Losses of networks that teach each other, of teachers without data, and of language models."""

import math

import torch
import torch.nn.functional as F
from evidence import Vectors, reference
from torch import Tensor, nn

from distill.methods.dafl import activation_loss, class_balance_loss, one_hot_loss
from distill.methods.dml import mutual_loss
from distill.methods.gkd import generalized_jsd_loss
from distill.methods.inversion import image_norm, statistics_loss, total_variation
from distill.methods.logits import logit_matching_loss
from distill.methods.mean_teacher import average_decay, consistency_loss, moved_average, ramp_up
from distill.methods.minilm import relation_loss
from distill.methods.one import Gate, branch_loss, ensemble_logits
from distill.methods.soft_targets import soft_target_loss
from distill.methods.tinybert import attention_loss, hidden_loss, soft_cross_entropy


@reference("dml", "dml", without={"K3_net2_kl_sum": "the code's 1e-8 in its logarithms moves the gradient by 1.03e-4"})
def mutual_learning(vectors: Vectors) -> dict[str, Tensor]:
    networks = [vectors[f"logits_{number}"] for number in range(3)]
    found = {f"ce_{number}": F.cross_entropy(logits, vectors["labels"]) for number, logits in enumerate(networks)}
    for count in vectors.hyper["K"]:
        for number in range(count):
            peers = [peer for other, peer in enumerate(networks[:count]) if other != number]
            loss, hard = mutual_loss(networks[number], peers), found[f"ce_{number}"]
            name = f"K{count}_net{number}"
            found[f"{name}_total_paper"] = hard + loss
            found[f"{name}_kl_sum"] = (count - 1) * loss
            found[f"{name}_total_author"] = hard + (count - 1) * loss
    return found


@reference("one", "one")
def branches(vectors: Vectors) -> dict[str, Tensor]:
    gate = Gate(32, 3)
    parameters = {
        "linear.weight": vectors["gate_weight"],
        "linear.bias": vectors["gate_bias"],
        "norm.weight": vectors["gate_bn_weight"],
        "norm.bias": vectors["gate_bn_bias"],
    }
    shares = torch.func.functional_call(gate, parameters, (vectors["gate_feat"],))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(16))
    logits = [vectors[f"logits_{number}"] for number in (1, 2, 3)]
    ensemble = ensemble_logits(logits, shares)
    torch.testing.assert_close(ensemble, vectors.aux("logits_ensemble").float())
    hard = torch.stack([F.cross_entropy(each, vectors["labels"]) for each in (*logits, ensemble)]).sum()
    soft = branch_loss(logits, ensemble, vectors.hyper["T"])
    weight = ramp_up(vectors.hyper["epoch"], vectors.hyper["rampup_epochs"])
    return {"loss_ce": hard, "loss_kl": soft, "loss": hard + weight * soft}


@reference("mean_teacher", "ema")
def mean_teacher(vectors: Vectors) -> dict[str, Tensor]:
    average, states = vectors["ema_init"], vectors.aux("ema_after_step").float()
    for step, (parameters, expected) in enumerate(zip(vectors["student_params"], states, strict=True), start=1):
        average = moved_average(average, parameters, average_decay(step, vectors.hyper["ema_decay"]))
        torch.testing.assert_close(average, expected)
    student, teacher = vectors["logits_s"], vectors["logits_t"]
    squared, divergence = consistency_loss(student, teacher), soft_target_loss(student, teacher, 1.0)
    weight = vectors.hyper["consistency"] * ramp_up(vectors.hyper["epoch"], vectors.hyper["rampup"])
    return {
        "softmax_mse_sum": squared * len(student),
        "softmax_kl_sum": divergence * len(student),
        "consistency_mse": weight * squared,
        "consistency_kl": weight * divergence,
        "logit_distance": logit_matching_loss(student, vectors["logits_s2"]),
    }


@reference("gkd")
def generalised_divergence(vectors: Vectors) -> dict[str, Tensor]:
    student, teacher, labels = vectors["logits_s"], vectors["logits_t"], vectors["labels"]
    T, tokens = vectors.hyper["temperature"], int((labels != -100).sum())
    found = {
        f"loss_beta{beta:g}": generalized_jsd_loss(student, teacher, labels, beta=beta, T=T)
        for beta in vectors.hyper["betas"]
    }
    # The same sum, divided by other numbers: sequences, 1, 40.
    everything = generalized_jsd_loss(student, teacher, beta=0.5, T=T)
    found["loss_beta0.5_nomask"] = everything * labels.numel() / len(labels)
    found["loss_beta0.5_sum"] = found["loss_beta0.5"] * tokens
    found["loss_beta0.5_num_items40"] = found["loss_beta0.5"] * tokens / 40
    return found


@reference(
    "deepinversion",
    "deepinversion",
    without={"adi": "the code reverses the divergences of the paper and clamps probabilities"},
)
def pictures_from_statistics(vectors: Vectors) -> dict[str, Tensor]:
    hyper, images = vectors.hyper, vectors["image"]
    norms = [
        statistics_loss(vectors[f"bn_input{layer}"], vectors[f"running_mean{layer}"], vectors[f"running_var{layer}"])
        for layer in (1, 2, 3)
    ]
    absolute, squared = total_variation(images)
    features = hyper["first_bn_multiplier"] * norms[0] + norms[1] + norms[2]
    length = image_norm(images)
    return {
        "bn1": norms[0],
        "bn2": norms[1],
        "bn3": norms[2],
        "r_feature": features,
        "tv_l1": absolute,
        "tv_l2": squared,
        "l2": length,
        "l2_cifar": image_norm(images[None].flatten(1, 2)),  # of the batch as one picture
        "aux_total": hyper["tv_l1"] * absolute
        + hyper["tv_l2"] * squared
        + hyper["r_feature"] * features
        + hyper["l2"] * length,
    }


@reference("dafl", "dafl")
def generator(vectors: Vectors) -> dict[str, Tensor]:
    hyper, teacher = vectors.hyper, vectors["logits_t"]
    sure, balance, active = one_hot_loss(teacher), class_balance_loss(teacher), activation_loss(vectors["feat_t"])
    return {
        "one_hot": sure,
        "info_entropy_natural_log_cmi": balance,
        "info_entropy": balance / math.log(10),
        "activation": active,
        "loss": hyper["oh"] * sure + hyper["ie"] * balance / math.log(10) + hyper["a"] * active,
        "kd": soft_target_loss(vectors["logits_s"], teacher, 1.0),
    }


@reference("tinybert")
def layer_by_layer(vectors: Vectors) -> dict[str, Tensor]:
    layers = vectors.hyper["student_layers"], vectors.hyper["teacher_layers"]
    scores, states = (
        [
            [vectors[f"{kind}_{whose}{number}"] for number in range(count + more)]
            for whose, count in zip("st", layers, strict=True)
        ]
        for kind, more in (("att", 0), ("rep", 1))
    )
    fit_dense = nn.Linear(12, 16)
    parameters = {"weight": vectors["fit_dense_weight"], "bias": vectors["fit_dense_bias"]}

    class Projection(nn.Module):
        def forward(self, hidden: Tensor) -> Tensor:
            return torch.func.functional_call(fit_dense, parameters, (hidden,))

    attention, hidden = attention_loss(scores[0], scores[1]), hidden_loss(states[0], states[1], Projection())
    soft = soft_cross_entropy(vectors["logits_s"], vectors["logits_t"], vectors.hyper["temperature"])
    # The code divides by the classes as well.
    return {"att_loss": attention, "rep_loss": hidden, "loss": attention + hidden, "soft_ce": soft / 5}


@reference("minilm")
def relations_of_the_last_layer(vectors: Vectors) -> dict[str, Tensor]:
    q, k, v = ((vectors[f"{name}_s"], vectors[f"{name}_t"]) for name in "qkv")

    def between(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
        student, teacher = zip(first, second, strict=True)
        return relation_loss(student, teacher, vectors["attention_mask"])

    attention, values = between(q, k), between(v, v)
    return {
        "attention": attention,
        "value_relation": values,
        "loss": attention + values,
        "query_relation_v2": between(q, q),
        "key_relation_v2": between(k, k),
    }

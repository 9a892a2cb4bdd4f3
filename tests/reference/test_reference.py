"""Losses and gradients against what the methods' authors' own code computes in float64."""

import evidence
import pytest
import torch

evidence.collect()

# Of a gradient that is 0 in exact arithmetic float64 leaves less than this.
_NOTHING = 1e-12


def test_every_reference_is_checked():
    assert sorted(evidence.CHECKS) == sorted(evidence.index())


@pytest.mark.parametrize("key", evidence.CHECKS)
def test_loss_and_gradient_are_those_of_the_authors(key):
    check, vectors = evidence.CHECKS[key], evidence.Vectors(key)
    tolerance = vectors.entry["tolerance"]
    computed = check.compute(vectors)
    wanted = set(vectors.entry["outputs"]) - set(check.without)
    assert wanted <= set(computed), "an output is missing"
    for name in wanted - set(tolerance["not_reproducible_across_dtype"]):
        loss, expected = computed[name], vectors.arrays[f"out__{name}"].item()
        assert loss.item() == pytest.approx(expected, rel=tolerance["loss_rtol"], abs=tolerance["loss_atol"]), name
        for full in [each for each in vectors.arrays if each.startswith(f"grad__{name}__")]:
            expected_gradient = vectors.arrays[full].float()
            leaf = vectors[full.split("__")[2]]
            (gradient,) = torch.autograd.grad(loss, leaf, retain_graph=True, materialize_grads=True)
            allowed = tolerance["grad_overrides"].get(full, tolerance["grad_max_abs_err_over_max_abs_grad"])
            size = expected_gradient.abs().max()
            off = (gradient - expected_gradient).abs().max() / (size if size > _NOTHING else 1.0)
            assert off <= allowed, full

"""Methods on logits: what they share, what they refuse, and how they move from epoch to epoch."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill.errors import ConfigError
from distill.methods import Method, create
from distill.methods.soft_targets import standardized
from distill.models.taps import Tapped
from distill.types import Batch, Mix, Output

COMPARING = ["hinton", "soft_hard", "dkd", "nkd", "dist", "mlkd", "wkd_l", "ctkd", "function_matching"]


def logits(seed: int, classes: int = 5) -> Tensor:
    return torch.randn(6, classes, generator=torch.Generator().manual_seed(seed))


STUDENT, TEACHER, LABELS = logits(1), logits(2), torch.tensor([0, 3, 2, 1, 4, 4])
BATCH = Batch(torch.zeros(6, 3), LABELS, torch.arange(6))


def built(name: str, teacher: nn.Module | None = None, **options: object) -> Method:
    method = create(name, **options)
    with torch.no_grad():
        networks = (Tapped(nn.Linear(3, 5)), Tapped(teacher or nn.Linear(3, 5)))
        torch.nn.init.normal_(next(networks[1].network.parameters()), generator=torch.Generator().manual_seed(4))
        method.build(*networks, BATCH, LABELS)
    return method


@pytest.mark.parametrize("name", COMPARING)
def test_standardisation_goes_in_front_of_every_method_that_compares_logits(name):
    plain, inside = built(name), built(name, standardize=True)
    found = inside(Output(5 * STUDENT + 3), Output(TEACHER), BATCH)
    expected = plain(Output(standardized(STUDENT)), Output(standardized(TEACHER)), BATCH)
    for term in set(expected) - {"hard"}:
        torch.testing.assert_close(found[term], expected[term], rtol=1e-4, atol=1e-4)
    assert any(
        not torch.allclose(loss, plain(Output(STUDENT), Output(TEACHER), BATCH)[term]) for term, loss in found.items()
    )


def test_standardisation_cannot_be_left_out_of_the_method_that_is_it():
    with pytest.raises(ConfigError, match="standardize=false is not allowed: it must be True"):
        create("lskd", standardize=False)


@pytest.mark.parametrize("name", ["dkd", "nkd", "wkd_l"])
def test_two_classes_are_refused_where_only_one_would_be_left(name):
    two = Tapped(nn.Linear(3, 2))
    with pytest.raises(ConfigError, match=f"method={name} compares the classes beside that of the label"):
        create(name).build(two, two, BATCH, LABELS)


@pytest.mark.parametrize("name", ["dkd", "nkd", "wkd_l", "ofa", "tf_kd"])
def test_of_a_mixed_example_the_label_of_the_larger_part_counts(name):
    mixed = Batch(BATCH.inputs, LABELS, BATCH.index, Mix(LABELS.flip(0), torch.tensor([0.9, 0.1, 0.9, 0.1, 0.9, 0.1])))
    main = torch.where(torch.tensor([True, False] * 3), LABELS, LABELS.flip(0))
    method = create("ofa") if name == "ofa" else built(name)
    if name == "ofa":
        method.adapt(Output(STUDENT, features=(torch.zeros(6, 4),)), Output(TEACHER))
    student = Output(STUDENT, features=(torch.zeros(6, 4),))
    found, expected = (
        method(student, Output(TEACHER), batch) for batch in (mixed, Batch(BATCH.inputs, main, BATCH.index))
    )
    for term in set(expected) - {"hard"}:
        torch.testing.assert_close(found[term], expected[term])


def test_decoupled_terms_rise_over_a_twelfth_of_the_epochs_and_labels_count_at_once():
    method, calm = create("dkd"), create("dkd", warmup=0.0)
    full = calm(Output(STUDENT), Output(TEACHER), BATCH)
    for epoch, share in ((0, 1 / 20), (9, 1 / 2), (19, 1.0), (200, 1.0)):
        method.start_epoch(epoch, 240)
        found = method(Output(STUDENT), Output(TEACHER), BATCH)
        torch.testing.assert_close(found["hard"], full["hard"])
        for term in ("target", "non_target"):
            torch.testing.assert_close(found[term], share * full[term], rtol=1e-3, atol=0)


def test_costs_between_classes_come_from_the_teachers_last_layer_and_are_kept_with_the_checkpoint():
    last = nn.Linear(4, 5)
    method = built("wkd_l", nn.Sequential(nn.Linear(3, 4), nn.ReLU(), last))
    vectors = nn.functional.normalize(last.weight.detach(), dim=1)
    expected = 1 - torch.exp(vectors @ vectors.T - 1)
    torch.testing.assert_close(method.state_dict()["costs"], expected.fill_diagonal_(0), atol=1e-6, rtol=1e-5)
    with pytest.raises(ConfigError, match="this teacher has none with 5 outputs"):
        built("wkd_l", _Widened())


class _Widened(nn.Module):
    """Answers for five classes without a layer that does."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        return nn.functional.pad(self.layer(inputs), (0, 1))


def test_the_weight_of_transport_falls_by_half_a_cosine_at_the_end():
    method: Any = create("wkd_l", transport_weight=8.0, decay_from=0.5)
    weights = []
    for epoch in range(8):
        method.start_epoch(epoch, 8)
        weights.append(method.transport_weight)
    assert weights[:4] == [8.0] * 4
    assert weights[5] == pytest.approx(4.0)
    assert weights[7] == pytest.approx(0.0)
    assert method.changes
    assert not create("wkd_l", decay_from=1.0).changes


def test_levels_need_a_temperature():
    with pytest.raises(ConfigError, match=r"temperatures=\[\] is not allowed: give one at least"):
        create("mlkd", temperatures=[])


def test_the_strong_view_counts_at_every_level():
    own = create("mlkd")(Output(STUDENT), Output(TEACHER), BATCH)
    student = Output(STUDENT, strong=Output(logits(3)))
    both = create("mlkd")(student, Output(TEACHER, strong=Output(logits(4))), BATCH)
    assert all(both[name] > own[name] for name in ("instance", "batch", "class", "hard"))


def test_each_stage_has_an_exit_that_learns_and_teaches_the_student():
    maps = tuple(torch.randn(4, width, side, side) for width, side in ((3, 8), (6, 4), (12, 1)))
    tokens, vector = torch.randn(4, 17, 8), torch.randn(4, 7)
    student = Output(logits(1)[:4], features=(*maps, tokens, vector))
    method: Any = create("ofa")
    method.adapt(student, Output(logits(2)[:4], features=(torch.randn(4, 20, 2, 2),)))
    for feature in student.features:
        feature.requires_grad_()
    method(student, Output(logits(2)[:4]), BATCH.rows(slice(0, 4)))["exits"].backward()
    assert len(method.exits) == 5
    assert all(parameter.grad is not None for parameter in method.parameters())
    assert all(feature.grad is not None and feature.grad.any() for feature in student.features)


def test_exits_of_a_transformer_with_many_stages_stay_small():
    method: Any = create("ofa")
    student = Output(STUDENT, features=tuple(torch.randn(6, 5, 16) for _ in range(12)))
    method.adapt(student, Output(TEACHER, features=(torch.randn(6, 24, 2, 2),)))
    assert max(parameter.numel() for parameter in method.parameters()) <= 24 * 24


def test_a_student_without_stages_has_nothing_to_exit_from():
    with pytest.raises(ConfigError, match="method=ofa needs a hidden layer, and the student has none"):
        create("ofa").adapt(Output(STUDENT), Output(TEACHER))


def test_the_learnt_temperature_is_a_parameter_and_moves_up_the_loss():
    method = create("ctkd")
    method.start_epoch(20, 240)
    [(name, theta)] = method.named_parameters()
    assert (name, theta.item()) == ("theta", 1.0)
    before = method(Output(STUDENT), Output(TEACHER), BATCH)["soft"]
    before.backward()
    assert theta.grad is not None
    with torch.no_grad():
        theta -= 0.1 * theta.grad.sign()
    assert method(Output(STUDENT), Output(TEACHER), BATCH)["soft"] > before


def test_a_student_with_one_head_is_told_what_to_take():
    one = Tapped(nn.Linear(3, 5))
    with pytest.raises(ConfigError, match=r"this student has none of its own: take model@student=deit, or method=hard"):
        create("deit").build(one, one, BATCH, LABELS)


@pytest.mark.parametrize(("kind", "term"), [("hard", "teacher_label"), ("soft", "soft")])
def test_standardisation_goes_before_the_distillation_head_too(kind, term):
    student = Output(STUDENT, heads=(logits(3), 4 * STUDENT - 1))
    found = create("deit", type=kind, standardize=True)(student, Output(TEACHER), BATCH)
    plain = Output(STUDENT, heads=(logits(3), standardized(STUDENT)))
    expected = create("deit", type=kind)(plain, Output(standardized(TEACHER)), BATCH)
    torch.testing.assert_close(found[term], expected[term])

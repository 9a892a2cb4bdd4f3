"""Compositions: what can be written, what is refused, and what goes through to the methods."""

from typing import Any

import pytest
import torch

from distill.errors import ConfigError
from distill.methods import create
from distill.methods.compose import Compose, ComposeOptions
from distill.types import Batch, Output

BATCH = Batch(torch.zeros(4, 1), torch.tensor([3, 0, 1, 2]), torch.arange(4))


def answer(seed: int) -> Output:
    random = torch.Generator().manual_seed(seed)
    return Output(torch.randn(4, 4, generator=random), embedding=torch.randn(4, 3, generator=random))


def losses(method: Compose) -> dict[str, float]:
    return {name: loss.item() for name, loss in method(answer(1), answer(2), BATCH).items()}


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("hinton+0.5*rkd", ["hinton", {"name": "rkd", "scale": 0.5}]),
        (" hinton + 5e-1 * rkd", ["hinton", "0.5*rkd"]),
        ("hinton+1e+2*rkd", [{"name": "hinton", "T": 4.0, "alpha": 0.9}, {"name": "rkd", "scale": 100}]),
        ("rkd", [{"name": "rkd", "angle": 50.0}]),
    ],
)
def test_different_spellings_mean_the_same(written, same):
    assert ComposeOptions(terms=written) == ComposeOptions(terms=same)
    assert ComposeOptions(terms=written) != ComposeOptions(terms="logits")


def test_options_know_everything_that_matters():
    (hinton,) = ComposeOptions(terms="2*hinton").parts
    assert (hinton.scale, hinton.options) == (2.0, create("hinton").options)


@pytest.mark.parametrize(
    ("terms", "sentences"),
    [
        ("", ["terms= is not allowed: give names of methods joined by +"]),
        ([], ["terms=[] is not allowed: give names"]),
        ("hinton+", ["terms=hinton+ is not allowed: give names"]),
        ("hinton+rdk", ["terms=hinton+rdk is not allowed: there is no method called 'rdk' (did you mean 'rkd'?)"]),
        ("x*rkd", ["terms=x*rkd is not allowed: the scale of rkd must be a number greater than or equal to 0."]),
        ("rkd+2*rkd", ["terms=rkd+2*rkd is not allowed: rkd is there twice"]),
        (["none"], ["terms[0]=none is not allowed: none needs no teacher, so it cannot be a part of a composition."]),
        (["rkd", "compose"], ["terms[1]=compose is not allowed: compose is one itself"]),
        (["deit"], ["terms[0]=deit is not allowed: deit gives labels and teacher a head each, so it cannot be a part"]),
        ([3], ["terms[0]=3 is not allowed: give names"]),
        (
            [{"name": "rkd", "distance": -1, "angel": 3, "scale": "a"}],
            [
                "terms[0].angel is not allowed: rkd has no such option (did you mean 'angle'?).",
                "terms[0]=rkd is not allowed: the scale of rkd must be",
                "terms[0].distance=-1 is not allowed: it must be greater than or equal to 0.",
            ],
        ),
        ([{"name": "rkd", "hard_weight": 2.0}], ["terms[0].hard_weight is not allowed: labels count once"]),
    ],
)
def test_what_cannot_be_composed_is_refused_in_sentences(terms, sentences):
    with pytest.raises(ConfigError) as caught:
        create("compose", terms=terms)
    assert len(caught.value.problems) == len(sentences)
    for problem, sentence in zip(caught.value.problems, sentences, strict=True):
        assert problem.startswith(sentence)


def test_it_reads_what_its_methods_read_and_no_more():
    assert create("compose", terms="hinton+logits").taps == frozenset()
    assert create("compose", terms="hinton+rkd+sp").taps == {"embedding", "features"}


@pytest.mark.parametrize(
    ("terms", "stacks", "smallest"), [("hinton+rkd", frozenset(), 2), ("hinton", frozenset(), 1), ("rkd+crd", None, 2)]
)
def test_what_one_method_cannot_do_it_cannot(terms, stacks, smallest):
    method = create("compose", terms=terms)
    assert (method.stacks, method.smallest_batch) == (stacks, smallest)


def test_a_single_term_warms_up():
    method = create("compose", terms=["hinton", {"name": "rkd", "warmup": 0.5}])
    assert method.changes
    method.start_epoch(3, 4)
    full = losses(method)
    method.start_epoch(0, 4)
    expected = {**full, "rkd.distance": full["rkd.distance"] / 2, "rkd.angle": full["rkd.angle"] / 2}
    assert losses(method) == pytest.approx(expected)
    assert not create("compose", terms="hinton+rkd").changes


def test_its_own_warm_up_spares_the_labels():
    method = create("compose", terms="hinton", warmup=1.0)
    method.start_epoch(0, 4)
    early = losses(method)
    method.start_epoch(3, 4)
    late = losses(method)
    assert early == pytest.approx({"hinton.soft": late["hinton.soft"] / 4, "hard": late["hard"]})


def test_labels_count_once_at_their_weight_and_smoothed():
    method = create("compose", terms="hinton+rkd", hard_weight=2.0)
    method.label_smoothing = 0.1
    method.start_epoch(0, 1)
    expected: Any = torch.nn.functional.cross_entropy(answer(1).logits, BATCH.labels, label_smoothing=0.1)
    assert losses(method)["hard"] == pytest.approx(2 * expected.item())
    assert "hard" not in losses(create("compose", terms="hinton", hard_weight=0.0))


def test_adapters_and_memories_of_its_methods_are_its_own():
    method: Any = create("compose", terms="cc+crd")
    for part in method.parts.values():
        part.adapt(answer(1), answer(2))
    method.parts["crd"].remember(BATCH.labels)
    names = set(method.state_dict())
    assert {"parts.cc.embed.weight", "parts.crd.embed_student.weight", "parts.crd.teacher_memory.rows"} <= names

import pytest
import torch

from distill.config.options import read
from distill.data import load
from distill.data.labelled import UNLABELLED
from distill.data.sources.digits import DigitsOptions
from distill.data.split import HIDDEN
from distill.data.stratify import limit
from distill.data.variants import variant
from distill.errors import ConfigError


def counts(labels: torch.Tensor) -> torch.Tensor:
    return torch.bincount(labels, minlength=10)


def test_teacher_and_baseline_see_the_labelled_examples_alone():
    whole, few = load(DigitsOptions()), load(DigitsOptions(labelled=100))
    assert (len(few.train), len(few.transfer)) == (100, 100)
    assert torch.equal(few.train.labels, few.transfer.labels)
    assert few.train.truth is None
    assert (counts(few.train.labels) - counts(whole.train.labels) * 100 / 1257).abs().max() < 1


def test_a_student_sees_all_and_hidden_labels_are_known_to_reports_alone():
    whole, few = load(DigitsOptions()), load(DigitsOptions(labelled=100))
    seen = variant(few, DigitsOptions(labelled=100), UNLABELLED).transfer
    assert torch.equal(seen.tensor, whole.train.tensor)
    known = seen.labels != HIDDEN
    assert known.sum() == 100
    assert torch.equal(seen.tensor[known], few.train.tensor)
    assert torch.equal(seen.labels[known], few.train.labels)
    assert seen.truth is not None
    assert torch.equal(seen.truth, whole.train.labels)


def test_truth_follows_its_examples():
    pool = load(DigitsOptions(labelled=100)).pool
    assert pool is not None
    assert pool.truth is not None
    taken = pool.take(torch.tensor([5, 3]))
    assert taken.truth is not None
    assert taken.truth.tolist() == [int(pool.truth[5]), int(pool.truth[3])]
    some = limit(pool, 200, 0)
    assert (len(some), int((some.labels == HIDDEN).sum())) == (200, 184)  # 1157 of 1257, as in the whole


def test_noise_falsifies_labels_that_are_shown_and_truth_stays():
    clean, noisy = (load(DigitsOptions(labelled=100, label_noise=noise)).pool for noise in (0.0, 1.0))
    assert clean is not None
    assert noisy is not None
    assert clean.truth is not None
    assert noisy.truth is not None
    assert torch.equal(clean.truth, noisy.truth)
    known = noisy.labels != HIDDEN
    assert not (noisy.labels == noisy.truth)[known].any()


def test_the_limit_of_the_student_counts_labelled_and_unlabelled_examples():
    few = load(DigitsOptions(labelled=100, limit_transfer=300))
    assert few.pool is not None
    assert (len(few.train), len(few.transfer), len(few.pool)) == (100, 100, 300)
    assert torch.equal(few.pool.labels[few.pool.labels != HIDDEN], few.train.labels)


def test_the_same_examples_keep_their_label_for_the_same_seed():
    one, same, other = (load(DigitsOptions(labelled=50, seed=seed)).train.tensor for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_long_tail_keeps_its_shape_among_labels():
    labels = counts(load(DigitsOptions(imbalance=10, labelled=100)).train.labels)
    assert labels.tolist() == sorted(labels.tolist(), reverse=True)
    assert len(load(DigitsOptions(imbalance=10, labelled=100)).train) == 100


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"labelled": 1257}, r"^dataset\.labelled=1257 is not allowed: there are 1257 training examples"),
        ({"labelled": 5}, r"^dataset\.labelled=5 is not allowed: it leaves class \d without a label; give more\.$"),
        (
            {"labelled": 300, "limit_transfer": 300},
            r"not allowed with dataset\.limit_transfer=300.*limit_transfer=null",
        ),
    ],
)
def test_what_leaves_nothing_with_or_without_a_label_is_refused(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load(DigitsOptions(**options))


@pytest.mark.parametrize("other", [{"classes": [1, 2]}, {"omit_classes": [3]}, {"student_view": "downsample4"}])
def test_what_would_look_at_hidden_labels_or_hide_more_is_refused(other):
    options, problems = read(DigitsOptions, {"name": "digits", "labelled": 50, **other})
    assert options is None
    assert problems == [f"labelled=50 is not allowed with {(key := next(iter(other)))}={other[key]}: give one of them."]

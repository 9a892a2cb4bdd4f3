import dataclasses
import hashlib

import pytest
import torch

from distill.config.options import read
from distill.data import Dataset, Source, datasets, load
from distill.data.sources.digits import DigitsOptions
from distill.data.sources.synthetic import SyntheticOptions
from distill.errors import ConfigError, DataError


def digits(**values) -> Dataset:
    return load(DigitsOptions(**values))


def test_digits_are_what_scikit_learn_distributes():
    source = datasets.find("digits").factory(DigitsOptions())
    pictures = torch.cat([source.train_inputs, source.test_inputs])
    labels = torch.cat([source.train_labels, source.test_labels])
    assert pictures.shape == (1797, 1, 8, 8)
    assert (pictures.min(), pictures.max()) == (0, 16)
    # Examples per class in optdigits.names of the UCI repository, testing part.
    assert torch.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert torch.bincount(source.test_labels).tolist() == [54, 55, 53, 55, 54, 55, 54, 54, 52, 54]
    assert (len(source.train_labels), len(source.test_labels)) == (1257, 540)
    # The first line of optdigits.tes: a zero.
    first = [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0, 0, 3, 15, 2, 0, 11, 8, 0, 0, 4, 12, 0, 0, 8, 8, 0]
    first += [0, 5, 8, 0, 0, 9, 8, 0, 0, 4, 11, 0, 1, 12, 7, 0, 0, 2, 14, 5, 10, 12, 0, 0, 0, 0, 6, 13, 10, 0, 0, 0]
    found = (pictures.flatten(1) == torch.tensor(first)).all(1)
    assert labels[found].tolist() == [0]


def test_without_options_everything_is_learnt_from():
    dataset = digits()
    assert (len(dataset.train), len(dataset.transfer), dataset.val, len(dataset.test)) == (1257, 1257, None, 540)
    assert dataset.input_shape == (1, 8, 8)
    assert dataset.class_count == 10
    assert dataset.augment.deterministic
    assert dataset.transfer_augment.deterministic


def test_validation_examples_are_a_stratified_part_of_train():
    whole, dataset = digits(), digits(val_fraction=0.2)
    assert dataset.val is not None
    assert (len(dataset.train), len(dataset.val)) == (1006, 251)
    expected = torch.bincount(whole.train.labels) * 251 / 1257
    assert (torch.bincount(dataset.val.labels) - expected).abs().max() < 1
    parts = torch.cat([dataset.train.tensor, dataset.val.tensor]).flatten(1)
    assert sorted(parts.tolist()) == sorted(whole.train.tensor.flatten(1).tolist())


@pytest.mark.parametrize("fraction", [0.0001, 0.9999])
def test_a_validation_share_that_leaves_a_side_empty_is_refused(fraction):
    with pytest.raises(ConfigError, match=rf"^dataset\.val_fraction={fraction} is not allowed: of 1257"):
        digits(val_fraction=fraction)


def test_the_limit_holds_after_validation_examples_are_gone():
    dataset = digits(val_fraction=0.2, limit_train=300)
    assert (len(dataset.train), len(dataset.transfer)) == (300, 300)
    assert torch.bincount(dataset.train.labels).min() >= 28


def test_omitted_classes_are_missing_from_the_transfer_set_alone():
    dataset = digits(omit_classes=[3])
    assert set(dataset.transfer.labels.tolist()) == set(range(10)) - {3}
    assert 3 in dataset.train.labels
    assert 3 in dataset.test.labels
    assert len(dataset.train) - len(dataset.transfer) == (dataset.train.labels == 3).sum()
    assert dataset.class_count == 10


def test_kept_and_omitted_classes_combine():
    assert set(digits(classes=[7, 8, 9], omit_classes=[8]).transfer.labels.tolist()) == {7, 9}


@pytest.mark.parametrize("key", ["classes", "omit_classes"])
def test_class_numbers_that_do_not_exist_are_refused(key):
    with pytest.raises(ConfigError, match=rf"^dataset\.{key}=\[1, 10\] is not allowed: digits has .* 0\.\.9"):
        digits(**{key: [1, 10]})


def test_an_empty_transfer_set_is_refused():
    with pytest.raises(ConfigError, match=r"^dataset\.classes=\[2\] and dataset\.omit_classes=\[2\]"):
        digits(classes=[2], omit_classes=[2])


def test_label_noise_changes_exactly_that_share_of_the_training_labels():
    clean, noisy = digits(val_fraction=0.1), digits(val_fraction=0.1, label_noise=0.25)
    assert clean.val is not None
    assert noisy.val is not None
    assert torch.equal(clean.train.tensor, noisy.train.tensor)
    assert (clean.train.labels != noisy.train.labels).sum() == round(0.25 * len(clean.train))
    assert torch.equal(clean.val.labels, noisy.val.labels)
    assert torch.equal(clean.test.labels, noisy.test.labels)
    assert 0 <= noisy.train.labels.min() <= noisy.train.labels.max() <= 9


def test_total_label_noise_leaves_no_label_right():
    assert not (digits().train.labels == digits(label_noise=1.0).train.labels).any()


def test_an_omitted_class_shows_neither_its_pictures_nor_its_name_despite_noise():
    clean, noisy = digits(), digits(label_noise=0.3, omit_classes=[3])
    three = {tuple(picture) for picture in clean.train.tensor[clean.train.labels == 3].flatten(1).tolist()}
    assert not three & {tuple(picture) for picture in noisy.transfer.tensor.flatten(1).tolist()}
    assert 3 not in noisy.transfer.labels


def test_the_seed_decides_which_examples_and_nothing_else_does():
    one, same, other = (digits(limit_train=100, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.train.tensor, same.train.tensor)
    assert not torch.equal(one.train.tensor, other.train.tensor)
    assert torch.equal(one.test.tensor, other.test.tensor)
    assert one.fingerprint == other.fingerprint


def test_normalisation_is_learnt_from_the_training_examples_alone():
    dataset = digits(limit_train=100)
    assert dataset.normalization.offset.item() == pytest.approx(dataset.train.tensor.double().mean().item())
    assert dataset.normalization.offset.item() != pytest.approx(digits().normalization.offset.item(), rel=1e-4)


def test_augmentation_of_vectors_is_refused():
    with pytest.raises(ConfigError, match=r"^dataset\.augment=jitter is not allowed"):
        load(SyntheticOptions(augment="jitter"))


def test_an_unknown_data_set_is_refused():
    with pytest.raises(ConfigError, match=r"no data set called 'digit'.*'digits'"):
        load(DigitsOptions(name="digit"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"val_fraction": 1.0}, "val_fraction=1.0"),
        ({"label_noise": 1.5}, "label_noise=1.5"),
        ({"limit_train": 0}, "limit_train=0"),
        ({"classes": []}, "classes=[] is not allowed"),
        ({"normalize": "given"}, "mean=null is not allowed"),
        ({"normalize": "given", "mean": [0.5], "std": [0.0]}, "std=[0.0] is not allowed"),
        ({"mean": [0.5]}, "mean=[0.5] is not allowed: without normalize=given"),
        ({"augment": "blur"}, "augment=blur"),
        ({"cutout": -1}, "cutout=-1"),
        ({"mixup": -0.1}, "mixup=-0.1"),
        ({"views": 0, "augment": "jitter"}, "views=0"),
        ({"views": 3}, "views=3 is not allowed: without augment or cutout all views of an example are the same"),
        ({"views": 3, "augment": "jitter", "mixup": 0.2}, "views=3 is not allowed with mixup=0.2"),
        ({"views": 3, "cutout": 2, "cutmix": 1.0}, "views=3 is not allowed with cutmix=1"),
    ],
)
def test_options_out_of_range_are_reported(values, message):
    options, problems = read(DigitsOptions, values)
    assert options is None
    assert problems[0].startswith(message)


def source(**changes) -> Source:
    whole = Source(
        train_inputs=torch.zeros(4, 2),
        train_labels=torch.tensor([0, 1, 0, 1]),
        test_inputs=torch.zeros(2, 2),
        test_labels=torch.tensor([0, 1]),
        classes=("a", "b"),
    )
    return dataclasses.replace(whole, **changes)


def test_a_sound_source_passes():
    source().check("mine")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("a",)}, "mine has 1 class"),
        ({"train_labels": torch.tensor([0, 1])}, "mine: there are 4 training inputs and 2 training labels"),
        ({"test_labels": torch.tensor([0, 2])}, r"1 of 2 test labels are outside 0\.\.1 .* is 2, of example 1"),
        ({"train_labels": torch.tensor([0, 1, -1, 5])}, "2 of 4 training labels.* is -1, of example 2"),
        ({"test_inputs": torch.zeros(0, 2), "test_labels": torch.zeros(0).long()}, "no test examples"),
        ({"test_inputs": torch.zeros(2, 3)}, r"shape \[2\], test inputs \[3\]"),
        ({"train_inputs": torch.tensor([[0, 0], [0, 0], [float("nan")] * 2, [0, float("inf")]])}, "hold 3 values"),
        ({"test_inputs": torch.tensor([[0, 0], [0, -float("inf")]])}, "in 1 of 2 examples, first in example 1"),
    ],
)
def test_an_unsound_source_is_refused_in_a_sentence(changes, message):
    with pytest.raises(DataError, match=message):
        source(**changes).check("mine")


def test_a_fingerprint_changes_with_anything_that_was_loaded():
    changed = [
        source(),
        source(train_inputs=torch.tensor([[0, 0], [0, 0], [0, 0], [0, 1.0]])),
        source(train_inputs=torch.zeros(4, 2, 1)),
        source(train_labels=torch.tensor([0, 1, 1, 0])),
        source(test_inputs=torch.ones(2, 2)),
        source(test_labels=torch.tensor([1, 0])),
        source(classes=("a", "c")),
        source(maximum=16.0),
    ]
    prints = [each.fingerprint() for each in changed]
    assert len(set(prints)) == len(prints)
    assert prints[0] == source().fingerprint()
    assert len(bytes.fromhex(prints[0])) == hashlib.sha256().digest_size

import math

import numpy as np
import pytest
import torch

from distill.data.mixing import Box, Mixing, Pairing
from distill.types import Batch


def batch_of(*shape: int) -> Batch:
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn(6, *shape, generator=random)
    return Batch(inputs, torch.tensor([0, 1, 2, 0, 1, 2]), torch.arange(6) + 10)


def copied(batch: Batch) -> Batch:
    return Batch(batch.inputs.clone(), batch.labels, batch.index, view=batch.view)


@pytest.mark.parametrize("shape", [(2, 4, 5), (7,), (3, 2)])
def test_mixup_blends_examples_as_in_the_paper(shape):
    # Zhang et al. 2018: x = lambda x_i + (1 - lambda) x_j
    batch, partner = batch_of(*shape), [3, 0, 2, 5, 1, 4]
    mixed = Pairing(torch.tensor(partner), 0.3, None).mixed(copied(batch))
    assert mixed.mix is not None
    for i, j in enumerate(partner):
        for place in np.ndindex(*shape):
            expected = 0.3 * batch.inputs[i][place].item() + 0.7 * batch.inputs[j][place].item()
            assert mixed.inputs[i][place].item() == pytest.approx(expected, abs=1e-6)
    assert mixed.mix.labels.tolist() == [batch.labels[j] for j in partner]
    assert mixed.mix.share.tolist() == pytest.approx([0.3] * 6)
    assert (mixed.labels is batch.labels, mixed.index is batch.index) == (True, True)


def test_cutmix_takes_the_box_from_the_partner():
    # Yun et al. 2019: x = M * x_i + (1 - M) * x_j, where M is 0 in the box
    batch, partner, box = batch_of(2, 4, 5), [1, 2, 3, 4, 5, 0], Box(top=1, bottom=3, left=0, right=4)
    mixed = Pairing(torch.tensor(partner), 1 - 8 / 20, box).mixed(copied(batch))
    assert mixed.mix is not None
    for i, j in enumerate(partner):
        for row in range(4):
            for column in range(5):
                inside = 1 <= row < 3 and column < 4
                expected = batch.inputs[j if inside else i, :, row, column]
                assert torch.equal(mixed.inputs[i, :, row, column], expected)
    assert mixed.mix.share.tolist() == pytest.approx([0.6] * 6)


def test_the_share_of_cutmix_is_that_of_the_clipped_box():
    for pairing in Mixing(cutmix=1.0).draw([4] * 200, (3, 10, 12), 0, 0, "cpu"):
        box = pairing.box
        assert box is not None
        assert 0 <= box.top <= box.bottom <= 10
        assert 0 <= box.left <= box.right <= 12
        pixels = (box.bottom - box.top) * (box.right - box.left)
        assert pairing.share == pytest.approx(1 - pixels / 120)


def test_a_box_that_is_not_clipped_has_the_area_that_was_drawn():
    # With alpha large, lambda is 1/2: sides of 100 * sqrt(1/2) = 70.7, made even.
    boxes = [pairing.box for pairing in Mixing(cutmix=1e7).draw([2] * 300, (1, 100, 100), 0, 0, "cpu")]
    sides = {(box.bottom - box.top, box.right - box.left) for box in boxes if box is not None}
    assert max(side for pair in sides for side in pair) == 2 * (int(100 * math.sqrt(0.5)) // 2) == 70


def test_shares_follow_the_beta_distribution():
    for alpha in (0.2, 1.0, 4.0):
        shares = np.array([pairing.share for pairing in Mixing(alpha).draw([1] * 20_000, (3,), 1, 0, "cpu")])
        # Beta(a, a) has mean 1/2 and variance 1 / (4 (2a + 1)).
        variance = 1 / (4 * (2 * alpha + 1))
        assert shares.mean() == pytest.approx(0.5, abs=5 * math.sqrt(variance / 20_000))
        assert shares.var() == pytest.approx(variance, rel=0.05)


def test_with_both_on_about_half_of_the_batches_are_blended():
    pairings = Mixing(1.0, 1.0).draw([2] * 1000, (1, 8, 8), 0, 0, "cpu")
    blended = sum(pairing.box is None for pairing in pairings)
    assert abs(blended - 500) < 5 * math.sqrt(1000 / 4)


def test_partners_are_the_rows_of_the_same_batch_in_another_order():
    for pairing, size in zip(Mixing(1.0).draw([5, 8, 3], (4,), 0, 0, "cpu"), [5, 8, 3], strict=True):
        assert sorted(pairing.partner.tolist()) == list(range(size))


def test_mixing_depends_on_seed_and_epoch_alone():
    def drawn(seed: int, epoch: int) -> list:
        return [(p.share, p.partner.tolist()) for p in Mixing(0.5, 0.5).draw([6, 6], (1, 4, 4), seed, epoch, "cpu")]

    assert drawn(0, 1) == drawn(0, 1)
    assert drawn(0, 1) != drawn(0, 2)
    assert drawn(0, 1) != drawn(1, 1)

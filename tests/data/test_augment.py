import pytest
import torch

from distill.data.augment import Augmentation, Plan, augmentation
from distill.data.sources.digits import DigitsOptions
from distill.errors import ConfigError
from distill.seeds import generator


def slowly(picture: torch.Tensor, down: int, right: int, flip: bool) -> torch.Tensor:
    _, height, width = picture.shape
    result = torch.zeros_like(picture)
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                result[:, row, column] = picture[:, row - down, column - right]
    return result.flip(2) if flip else result


@pytest.mark.parametrize("augment", [Augmentation(2), Augmentation(1, flip=True), Augmentation(9, flip=True)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_apply_equals_one_picture_at_a_time(augment, dtype):
    pictures = torch.randint(1, 200, (24, 3, 5, 7), generator=generator(0, "pictures")).to(dtype)
    plan = augment.draw(24, generator(0, "plan"))
    changed = augment.apply(pictures, plan)
    expected = [
        slowly(picture, int(down), int(right), bool(flip))
        for picture, (down, right), flip in zip(pictures, plan.shifts, plan.flips, strict=True)
    ]
    assert changed.dtype == dtype
    assert torch.equal(changed, torch.stack(expected))


def test_padding_then_cropping_is_the_same_as_shifting():
    picture = torch.arange(1, 17, dtype=torch.uint8).view(1, 1, 4, 4)
    padded = torch.nn.functional.pad(picture, (2, 2, 2, 2))
    cropped = padded[:, :, 3:7, 0:4]  # the crop starts 3 rows down and 0 columns in
    plan = Plan(torch.tensor([[2 - 3, 2 - 0]]), torch.tensor([False]))
    assert torch.equal(Augmentation(2, flip=True).apply(picture, plan), cropped)


def test_a_plan_covers_every_shift_evenly_and_flips_half():
    plan = Augmentation(2, flip=True).draw(20_000, generator(0, "plan"))
    for axis in (0, 1):
        counts = torch.bincount(plan.shifts[:, axis] + 2)
        assert len(counts) == 5
        # Five standard deviations of a binomial with p = 1/5.
        assert (counts - 4000).abs().max() < 5 * (20_000 * 0.2 * 0.8) ** 0.5
    assert abs(int(plan.flips.sum()) - 10_000) < 5 * (20_000 * 0.25) ** 0.5


def test_jitter_never_flips():
    assert not Augmentation(3).draw(100, generator(0, "plan")).flips.any()


def test_without_augmentation_pictures_are_left_alone():
    pictures = torch.rand(4, 1, 3, 3)
    augment = augmentation(DigitsOptions(), (1, 3, 3))
    assert augment.deterministic
    assert augment.apply(pictures, augment.draw(4, generator(0, "plan"))) is pictures


def test_options_choose_the_shift_and_the_flip():
    assert augmentation(DigitsOptions(augment="jitter", jitter=3), (1, 8, 8)) == Augmentation(3)
    assert augmentation(DigitsOptions(augment="crop_flip", padding=1), (1, 8, 8)) == Augmentation(1, flip=True)
    assert not Augmentation(0, flip=True).deterministic


@pytest.mark.parametrize("kind", ["jitter", "crop_flip"])
def test_vectors_cannot_be_moved(kind):
    with pytest.raises(ConfigError, match=rf"^dataset\.augment={kind} is not allowed.*shape \[50\].*none\.$"):
        augmentation(DigitsOptions(augment=kind), (50,))

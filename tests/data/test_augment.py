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
def test_move_equals_one_picture_at_a_time(augment, dtype):
    pictures = torch.randint(1, 200, (24, 3, 5, 7), generator=generator(0, "pictures")).to(dtype)
    plan = augment.draw(24, generator(0, "plan"))
    changed = augment.move(pictures, plan)
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
    assert torch.equal(Augmentation(2, flip=True).move(picture, plan), cropped)


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
    pictures = torch.rand(4, 1, 3, 3) + 1
    augment = augmentation(DigitsOptions(), (1, 3, 3))
    assert augment.deterministic
    plan = augment.draw(4, generator(0, "plan"))
    assert augment.move(pictures, plan) is pictures
    assert augment.cut(pictures, plan) is pictures
    assert pictures.min() > 0


def test_options_choose_the_shift_and_the_flip():
    assert augmentation(DigitsOptions(augment="jitter", jitter=3), (1, 8, 8)) == Augmentation(3)
    assert augmentation(DigitsOptions(augment="crop_flip", padding=1), (1, 8, 8)) == Augmentation(1, flip=True)
    assert not Augmentation(0, flip=True).deterministic


@pytest.mark.parametrize("side", [1, 2, 3, 5])
def test_cutout_sets_a_square_around_its_middle_to_zero_as_far_as_it_is_inside(side):
    augment = Augmentation(cutout=side)
    plan = augment.draw(40, generator(0, "plan"), (2, 5, 7))
    assert plan.cuts is not None
    pictures = torch.rand(40, 2, 5, 7, generator=generator(0, "pictures")) + 1
    expected = pictures.clone()
    for picture, (row, column) in zip(expected, plan.cuts.tolist(), strict=True):
        # An odd square has its middle in the middle; an even one hangs half a pixel up and to the left.
        for y in range(row - side // 2, row - side // 2 + side):
            for x in range(column - side // 2, column - side // 2 + side):
                if 0 <= y < 5 and 0 <= x < 7:
                    picture[:, y, x] = 0
    assert torch.equal(augment.cut(pictures, plan), expected)


def test_the_middle_of_a_cut_out_square_is_uniform_over_the_picture():
    cuts = Augmentation(cutout=3).draw(35_000, generator(0, "plan"), (1, 5, 7)).cuts
    assert cuts is not None
    counts = torch.bincount(cuts[:, 0] * 7 + cuts[:, 1], minlength=35)
    # Five standard deviations of a binomial with p = 1/35.
    assert len(counts) == 35
    assert (counts - 1000).abs().max() < 5 * (35_000 / 35 * 34 / 35) ** 0.5


def test_cutout_changes_neither_shifts_nor_flips():
    plain = Augmentation(2, flip=True).draw(50, generator(0, "plan"))
    cut = Augmentation(2, flip=True, cutout=3).draw(50, generator(0, "plan"), (1, 8, 8))
    assert torch.equal(plain.shifts, cut.shifts)
    assert torch.equal(plain.flips, cut.flips)


@pytest.mark.parametrize("values", [{"cutout": 2}, {"mixup": 0.2}, {"cutmix": 1.0}, {"augment": "jitter", "views": 2}])
def test_each_random_change_alone_makes_examples_differ_from_epoch_to_epoch(values):
    assert not augmentation(DigitsOptions(**values), (1, 8, 8)).deterministic


def test_a_square_larger_than_the_pictures_is_refused():
    assert augmentation(DigitsOptions(cutout=8), (1, 8, 9)).cutout == 8
    with pytest.raises(ConfigError, match=r"^dataset\.cutout=9 is not allowed: .* 8x9 pixels; give at most 8\.$"):
        augmentation(DigitsOptions(cutout=9), (1, 8, 9))


@pytest.mark.parametrize(("key", "value", "off"), [("cutout", 4, "0"), ("cutmix", 1.0, r"0\.0")])
def test_vectors_have_no_parts_to_cut(key, value, off):
    options = DigitsOptions(**{key: value})
    with pytest.raises(ConfigError, match=rf"^dataset\.{key}={value} is not allowed.*\[50\].*{key}={off}\.$"):
        augmentation(options, (50,))


def test_vectors_can_be_blended():
    assert augmentation(DigitsOptions(mixup=0.2), (50,)).mixing.mixup == 0.2


def test_baseline_and_student_may_be_blended_alone():
    options = DigitsOptions(transfer_mixup=1.0)
    mixing = [augmentation(options, (50,), student=student).mixing.mixup for student in (False, True)]
    assert mixing == [0.0, 1.0]


def test_baseline_and_student_may_have_an_augmentation_of_their_own():
    options = DigitsOptions(augment="jitter", transfer_augment="crop_flip", jitter=1, padding=3, views=2)
    teacher, student = augmentation(options, (1, 8, 8)), augmentation(options, (1, 8, 8), student=True)
    assert (teacher.largest_shift, teacher.flip, teacher.views) == (1, False, 2)
    assert (student.largest_shift, student.flip, student.views) == (3, True, 2)
    assert options.student_augment == "crop_flip"
    assert DigitsOptions(augment="jitter").student_augment == "jitter"
    with pytest.raises(ConfigError, match=r"^dataset\.transfer_augment=crop_flip .*use dataset\.transfer_augment=none"):
        augmentation(options, (50,), student=True)


@pytest.mark.parametrize("kind", ["jitter", "crop_flip"])
def test_vectors_cannot_be_moved(kind):
    with pytest.raises(ConfigError, match=rf"^dataset\.augment={kind} is not allowed.*shape \[50\].*none\.$"):
        augmentation(DigitsOptions(augment=kind), (50,))

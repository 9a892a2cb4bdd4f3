"""The first half of `deepinversion`: pictures are trained, while the network that judges them stays as it is.

Yin et al. 2020, "Dreaming to Distill", https://arxiv.org/abs/1912.08795, section 3. Norms are not squared, in the paper
as in the authors' code. The competition term, which no method uses, follows the paper: the code takes the divergences
in it the other way round and clamps probabilities to 0.01..0.99.

The defaults and the details are those of the authors' code for CIFAR-10: pictures begin as noise, those of a batch are
shifted together by up to two pixels in each step, Adam moves them with one learning rate to the end, and classes are
asked for in turn. Unlike there, the pictures that are kept are those of the last step and not of the best one; and
pictures stay within black and white, as in the authors' code for ImageNet.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import Count, Flag, Natural, NonNegative, Options
from distill.errors import ConfigError
from distill.methods.base import Method, methods
from distill.models.taps import Tapped, Taps
from distill.types import Batch, Output


@dataclass(frozen=True, kw_only=True)
class InversionOptions(Options):
    """Options of the pictures; those of `deepinversion` with these names say more.

    Attributes:
        pictures: How many there are.
        batch: How many are trained together.
        statistics: Weight of `statistics_loss`, summed over all batch norms.
        tv: Weight of the norms of `total_variation`.
        l2: Weight of `image_norm`.
        jitter: Largest shift, pixels.
        clip: Whether pictures stay between black and white.
    """

    name: str = "inversion"
    pictures: Count = 2560
    batch: Count = 256
    statistics: NonNegative = 100.0
    tv: NonNegative = 2.5e-5
    l2: NonNegative = 0.0
    jitter: Natural = 2
    clip: Flag = True


class Dream(nn.Module):
    """A network that stays as it is, and pictures that are trained; it answers as the network alone.

    Args:
        judge: The network.
        count: How many pictures there are.
        together: How many of them make a batch; it divides `count`.
        example: A batch that shows black and white.

    Attributes:
        step: How many steps were taken.
        low: `[channels, 1, 1]`, black as networks see it.
        high: Likewise, white.
    """

    step: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, judge: nn.Module, count: int, together: int, example: Tensor):
        super().__init__()
        self.judge = judge.requires_grad_(False)
        shape = (together, *example.shape[1:])
        noise = (torch.randn(shape).to(example.device) for _ in range(count // together))
        # One parameter for each batch: an optimiser leaves alone what has no gradient in a step.
        self.batches = nn.ParameterList([nn.Parameter(batch) for batch in noise])
        self.register_buffer("step", torch.zeros((), dtype=torch.int64, device=example.device))
        for name, bound in (("low", example.amin(dim=(0, 2, 3))), ("high", example.amax(dim=(0, 2, 3)))):
            self.register_buffer(name, bound[:, None, None].clone())

    def train(self, mode: bool = True) -> Dream:
        """Training never reaches the network, whose batch norm would change."""
        super().train(mode)
        self.judge.eval()
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """What the network answers, `[batch, classes]`."""
        return self.judge(inputs)

    @property
    def pictures(self) -> Tensor:
        """`[pictures, channels, height, width]`, as networks see them; of classes in turn."""
        return torch.cat([batch.detach() for batch in self.batches])

    @property
    def shares(self) -> Tensor:
        """The pictures in another unit: black is 0 and white is 1."""
        return (self.pictures - self.low) / (self.high - self.low)


@methods.register("inversion", InversionOptions, hidden=True)
class Inversion(Method):
    """`cross_entropy + statistics + total variation + length` of pictures, against the class that each is to be."""

    taps = frozenset({"preactivations"})
    uses_teacher = False
    shared = False
    tested = False
    options: InversionOptions

    def __init__(self, options: InversionOptions):
        super().__init__(options)
        self._dream: list[Dream] = []  # in a list, as it is trained and no adapter
        self._norms: list[nn.BatchNorm2d] = []
        self._classes = 0

    def redesign(
        self, student: nn.Module, taps: Taps, teacher: nn.Module | None, teacher_taps: Taps, example: Batch
    ) -> tuple[nn.Module, Taps]:
        """The pictures, before a network that is read where it normalises.

        Raises:
            ConfigError: It normalises by no statistics of batches.
        """
        paths = tuple(
            f"judge.{path}"
            for path, module in student.named_modules()
            if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None
        )
        if not paths:
            raise ConfigError(
                "method=deepinversion needs a teacher with batch norm, and this one has none: its statistics are all "
                "that pictures are made from; give one such as model@teacher=resnet8, or take method=dafl."
            )
        dream = Dream(student, self.options.pictures, self.options.batch, example.inputs)
        return dream, Taps(preactivations=paths)

    def build(self, student: Tapped, teacher: Tapped, example: Batch, labels: Tensor) -> None:
        """Learns where the statistics are that pictures are to have."""
        dream = student.network
        assert isinstance(dream, Dream)
        self._dream = [dream]
        modules = (dream.get_submodule(path) for path in student.taps.preactivations if path is not None)
        self._norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
        self._classes = student.see(example).logits.shape[1]

    def prepare(self, batch: Batch) -> Batch:
        """The batch of pictures whose turn it is, shifted, with the classes that they are to be of."""
        (dream,) = self._dream
        number = int(dream.step) % len(dream.batches)
        pictures = dream.batches[number]
        most = self.options.jitter
        down, right = torch.randint(-most, most + 1, (2,)).tolist()
        first = number * len(pictures)
        labels = torch.arange(first, first + len(pictures), device=pictures.device) % self._classes
        return Batch(pictures.roll((down, right), dims=(2, 3)), labels, batch.index)

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `class`, and `statistics`, `tv` and `l2` where they have a weight."""
        options = self.options
        found = {"class": F.cross_entropy(student.logits, batch.labels)}
        if options.statistics:
            losses = [
                statistics_loss(inputs, *_statistics(norm))
                for inputs, norm in zip(student.preactivations, self._norms, strict=True)
            ]
            found["statistics"] = options.statistics * torch.stack(losses).sum()
        if options.tv:
            found["tv"] = options.tv * total_variation(batch.inputs)[1]
        if options.l2:
            found["l2"] = options.l2 * image_norm(batch.inputs)
        return found

    @torch.no_grad()
    def after_step(self, network: nn.Module) -> None:
        """Goes on to the next batch of pictures."""
        (dream,) = self._dream
        if self.options.clip:
            batch = dream.batches[int(dream.step) % len(dream.batches)]
            batch.copy_(batch.clamp(dream.low, dream.high))
        dream.step += 1


def _statistics(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None, "redesign has looked"
    assert norm.running_var is not None, "they come together"
    return norm.running_mean, norm.running_var


def statistics_loss(inputs: Tensor, running_mean: Tensor, running_var: Tensor) -> Tensor:
    """`||mean - running mean|| + ||variance - running variance||` of one batch norm, in fp32.

    The variance of the batch is the biased one, which batch norm normalises with.

    Args:
        inputs: `[batch, channels, height, width]`, what the batch norm is given.
        running_mean: `[channels]`.
        running_var: `[channels]`.
    """
    variance, mean = torch.var_mean(inputs.float(), dim=(0, 2, 3), correction=0)
    return torch.linalg.vector_norm(mean - running_mean) + torch.linalg.vector_norm(variance - running_var)


def total_variation(images: Tensor) -> tuple[Tensor, Tensor]:
    """How much neighbours differ, in four directions (across, down, both diagonals), in fp32.

    Args:
        images: `[batch, channels, height, width]`.

    Returns:
        The sum of the mean absolute differences, and of the norms of the differences over the whole batch.
    """
    images = images.float()
    differences = (
        images[..., :, :-1] - images[..., :, 1:],
        images[..., :-1, :] - images[..., 1:, :],
        images[..., 1:, :-1] - images[..., :-1, 1:],
        images[..., :-1, :-1] - images[..., 1:, 1:],
    )
    absolute = torch.stack([difference.abs().mean() for difference in differences])
    norms = torch.stack([torch.linalg.vector_norm(difference) for difference in differences])
    return absolute.sum(), norms.sum()


def image_norm(images: Tensor) -> Tensor:
    """`||image||`, mean over the batch, in fp32.

    Args:
        images: `[batch, channels, height, width]`.
    """
    return torch.linalg.vector_norm(images.float().flatten(1), dim=1).mean()


def competition_loss(student_logits: Tensor, teacher_logits: Tensor, T: float = 3.0) -> Tensor:
    """`1 - JS(teacher_T, student_T)`, mean over the batch, in fp32: small on pictures that set them apart.

    1 where both agree, and 1 - ln 2 at the least. Gradient flows through both, to the pictures.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.
        T: Temperature, > 0.
    """
    both = torch.stack([F.log_softmax(logits.float() / T, dim=1) for logits in (student_logits, teacher_logits)])
    # log((p + q) / 2)
    middle = torch.logsumexp(both, dim=0) - torch.log(both.new_tensor(2.0))
    return 1 - (both.exp() * (both - middle)).sum(dim=2).mean()

"""What a network of a run says of inputs that nobody has labelled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from distill.data.unlabelled import Form, Part
from distill.errors import DataError
from distill.experiments.saved import Saved
from distill.training.layout import arrange


@dataclass
class Brightness:
    """How bright the pictures are that were seen so far.

    Attributes:
        total: Sum of their means, in raw units.
        count: How many they are.
    """

    total: float = 0.0
    count: int = 0

    def add(self, part: Part) -> None:
        """Looks at more of them."""
        self.total += float(part.inputs.double().flatten(1).mean(1).sum())
        self.count += len(part.names)


@dataclass
class Predictor:
    """One network of a run, ready to be asked.

    Attributes:
        run: The run.
        role: Which of its networks.
        device: Where to compute, in fp32.
        unreadable: Files that were no pictures, so far.
        brightness: Of what it was asked about, so far.
    """

    run: Saved
    role: str
    device: torch.device
    unreadable: list[str] = field(default_factory=list)
    brightness: Brightness = field(default_factory=Brightness)

    def __post_init__(self) -> None:
        self.run = self.run.seen_by(self.role)
        network = self.run.network(self.role, self.device)
        self._network = arrange(network, self.run.input_shape, self.device)
        self._normalization = self.run.normalization.to(self.device)

    @property
    def form(self) -> Form:
        """What its raw inputs look like."""
        return Form(self.run.input_shape, self.run.maximum)

    def ask(self, parts: Iterable[Part]) -> Iterator[tuple[str, np.ndarray]]:
        """The name of each input and the probabilities `[classes]` that the network gives it, or its targets' values.

        Raises:
            DataError: Not one of them could be read.
        """
        answered = 0
        for part in parts:
            self.unreadable += map(str, part.unreadable)
            if not part.names:
                continue
            self.brightness.add(part)
            with torch.inference_mode():
                answers = self._network(self._normalization(part.inputs.to(self.device)))
            targets = self.run.targets
            told = answers.cpu().double().softmax(1) if targets is None else targets.own(answers)
            yield from zip(part.names, told.numpy(), strict=True)
            answered += len(part.names)
        if not answered:
            files = f"{len(self.unreadable)} files" if len(self.unreadable) > 1 else "1 file"
            raise DataError(f"Of {files} none is a picture that can be read: {self.unreadable[0]} is not.")

    def remark(self) -> str | None:
        """A sentence if the pictures were on average much brighter or darker than those that the network learned from.

        By more than one standard deviation of single pixels: the mean of a natural photograph is well within it, and
        what was drawn in black on white, for a network of white on black, is beyond.
        """
        if self.run.maximum is None or self.run.config.dataset.normalize == "none" or not self.brightness.count:
            return None
        learned = float(self.run.normalization.offset.mean())
        spread = float((1 / self.run.normalization.scale).mean())
        here = self.brightness.total / self.brightness.count
        if abs(here - learned) <= spread:
            return None
        return (
            f"These pictures are on average much {'brighter' if here > learned else 'darker'} "
            f"({here / self.run.maximum:.2f}, from black 0 to white 1) than those that the network learned from "
            f"({learned / self.run.maximum:.2f}), so what it says of them may mean little; --negative turns black on "
            "white into white on black, as the digits of MNIST are."
        )

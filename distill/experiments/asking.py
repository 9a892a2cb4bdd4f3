"""What stored networks answer, and how far a student's answers are its teacher's."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from distill.data import Batches
from distill.experiments import answers
from distill.experiments.assembly import EVALUATION_BATCH, Assembly, Obtained
from distill.experiments.plan import Node
from distill.experiments.store import Artifact
from distill.training import evaluate
from distill.training.fidelity import fidelity
from distill.training.precision import Precision

# Of the transfer set; their mean tells as much as that of a million.
_MOST_EXAMPLES = 10_000


class Asking(Assembly):
    """Asks networks of the store, at most once for the same examples; made as `Assembly` is."""

    def fidelity(self, one: Obtained, teacher: Obtained | None) -> dict[str, float | None]:
        """How far a network answers what the teacher answers, on test examples and on those that it learned from.

        Args:
            one: The network.
            teacher: The teacher of the run, if it has one.

        Returns:
            Columns of the results table; none for the teacher itself.
        """
        if teacher is None or one is teacher or one.node.role == "teacher":
            return {}
        seen = self._seen(one.node)
        if seen.targets is not None or seen.class_count != self._seen(teacher.node).class_count:
            return {}
        return self._world.together(lambda: self._compared(one, teacher))

    def _compared(self, one: Obtained, teacher: Obtained) -> dict[str, float | None]:
        columns: dict[str, float | None] = {}
        for split, prefix in (("test", ""), ("transfer", "train_")):
            if split == "transfer" and self._seen(one.node).generated:  # what stands in for examples tells nothing
                continue
            asked = [
                (each, self._tests(each.node.data) if split == "test" else self._shown(one.node, each.node))
                for each in (one, teacher)
            ]
            student, taught = (self._recalled(each, split, batches, one.node) for each, batches in asked)
            found = fidelity(student, taught, asked[0][1].split.labels)
            columns |= {f"{prefix}{name}": value for name, value in asdict(found).items()}
        return columns

    def _recalled(self, one: Obtained, split: str, batches: Batches, pupil: Node) -> Tensor:
        shape = (len(batches.split), self._seen(one.node).class_count)

        def ask() -> Tensor:
            return self._asked_now(one.artifact, self._stored(one), batches)

        return answers.recall(self._place(one.artifact, pupil, split), shape, ask)

    def _asked_now(self, artifact: Artifact, network: nn.Module, batches: Batches) -> Tensor:
        precision = Precision(artifact.record.measures["precision"], self._device)
        return evaluate.logits(network, batches.in_order(), precision)[0]

    def _remember(self, artifact: Artifact, pupil: Node, split: str, logits: Tensor) -> None:
        if self._seen(pupil).targets is None:  # nobody asks for numbers again
            answers.keep(self._place(artifact, pupil, split), logits)

    def _place(self, artifact: Artifact, pupil: Node, split: str) -> Path:
        """The file of a network's answers.

        Args:
            artifact: The network.
            pupil: Whose transfer set it is asked about.
            split: `test` or `transfer`.
        """
        question = answers.Question(
            split,
            self._seen(pupil).fingerprint,
            self._config.dataset,
            artifact.record.measures["device"],
            artifact.record.measures["precision"],
            *((pupil.hparams.limit_examples, _MOST_EXAMPLES) if split == "transfer" else ()),
            sees=pupil.data,
        )
        return artifact.folder / question.file

    def _shown(self, pupil: Node, asked: Node | None = None, most: int | None = None) -> Batches:
        """What a student may see, as it is; of very many examples some, evenly spread.

        Args:
            pupil: The student.
            asked: The network that they are shown to, if another one.
            most: How many are not too many.
        """
        most = _MOST_EXAMPLES if most is None else most
        split = self._examples(pupil)
        if len(split) > most:
            spread = torch.arange(most, device=split.device) * len(split) // most
            split = split.take(spread)  # a copy, which is not to fill the device for the whole run
        return self._batches(asked or pupil, split, EVALUATION_BATCH, 0)

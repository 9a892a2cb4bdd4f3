"""What an int8 student's plan and loss are made of."""

from dataclasses import replace

import torch
from evidence import invariant

from distill.config.dataset_options import DatasetOptions
from distill.config.schema import Hparams
from distill.methods import create
from distill.methods.nodes import Cast, Node
from distill.methods.none import NoneOptions
from distill.models.networks.mlp import MlpOptions
from distill.types import Batch, Output


@invariant("qat")
def without_epochs_the_student_is_rounded_after_training() -> None:
    labels, hparams = NoneOptions(), Hparams(epochs=30, lr=0.2)
    teacher = Node("teacher", MlpOptions(name="mlp", widths=[64]), labels, hparams, "train", mount="teacher")
    student = Node("student", MlpOptions(name="mlp", widths=[8]), labels, hparams, "transfer")
    cast = Cast(
        teacher, replace(student, role="baseline"), student, DatasetOptions(), lambda key, name, seed: student.model
    )

    def plan(**options: float) -> list[tuple[str, str, str | None, int, float]]:
        method = create("qat", **options)
        taught = replace(cast, student=replace(student, method=method.options))
        nodes = [replace(node, hparams=node.hparams.resolved(9)) for node in type(method).plan(method.options, taught)]
        return [
            (node.role, node.method.name, node.start, node.hparams.epoch_count, node.hparams.lr) for node in nodes[2:]
        ]

    fp32 = ("float", "hinton", None, 30, 0.2)
    # A tenth of the epochs, a hundredth of the learning rate.
    assert plan() == [fp32, ("ptq", "qat", "float", 0, 0.002), ("student", "qat", "float", 3, 0.002)]
    assert plan(share=0.0) == [fp32, ("student", "qat", "float", 0, 0.002)]


@invariant("qat")
def its_loss_is_that_of_its_base() -> None:
    random = torch.Generator().manual_seed(0)
    student, teacher = (Output(torch.randn(6, 5, generator=random)) for _ in range(2))
    batch = Batch(torch.zeros(6, 1), torch.tensor([3, 0, 4, 4, 1, 2]), torch.arange(6))
    for base, options in (("hinton", {"T": 2.0, "alpha": 0.3}), ("dkd", {"T": 2.0})):
        own, plain = create("qat", base=base, **options), create(base, **options)
        for epoch in range(3):
            for method in (own, plain):
                method.start_epoch(epoch, 3)
            assert own(student, teacher, batch) == plain(student, teacher, batch)

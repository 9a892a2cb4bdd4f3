"""Contrastive distillation: who counts as another class, what the memories hold, and who else must know."""

import socket
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from distill.errors import ConfigError
from distill.methods import create
from distill.methods.memory import Memory, Negatives
from distill.types import Batch, Output

LABELS = torch.tensor([2, 0, 2, 5, 0, 2, 2, 5, 0, 2])


def built(**options: Any) -> Any:
    torch.manual_seed(0)
    method: Any = create("crd", **{"dim": 4, "negatives": 3, **options})
    method.remember(LABELS)
    method.adapt(answer(1, 5), answer(2, 7))
    return method


def answer(seed: int, width: int, count: int = 4) -> Output:
    random = torch.Generator().manual_seed(seed)
    return Output(torch.randn(count, 6, generator=random), embedding=torch.randn(count, width, generator=random))


def batch(*index: int) -> Batch:
    return Batch(torch.zeros(len(index), 1), LABELS[list(index)], torch.tensor(index))


def unit(seed: int) -> Tensor:
    return F.normalize(torch.randn(4, 4, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_negatives_are_drawn_evenly_from_other_classes():
    torch.manual_seed(1)
    drawn = Negatives(LABELS, 3).draw(LABELS.repeat(400)).reshape(400, 10, 3)
    for example, label in enumerate(LABELS.tolist()):
        others = (label != LABELS).nonzero().flatten().tolist()
        found, counts = drawn[:, example].unique(return_counts=True)
        assert found.tolist() == others
        expected = 1200 / len(others)
        assert (counts - expected).abs().max() < 5 * expected**0.5


def test_where_all_negatives_count_the_loss_is_the_mean_over_draws():
    index = torch.tensor([0, 3, 4, 9])
    student, teacher = unit(1), unit(2)
    method = built(negatives=8, momentum=1.0)
    assert method.negatives.all
    shares = method.negatives.shares(LABELS[index])
    assert shares.sum(dim=1).tolist() == pytest.approx([8] * 4)
    exact = method.contrast(student, teacher, index, None, shares)
    draws = []
    for _ in range(500):
        draws.append(method.contrast(student, teacher, index, method.negatives.draw(LABELS[index])))
    for term, value in exact.items():
        assert torch.stack([each[term] for each in draws]).mean().item() == pytest.approx(value.item(), rel=0.05)


def test_products_are_the_same_whether_rows_are_gathered_before_or_after():
    memory, embedding = Memory(200, 4), unit(1)
    few = torch.randint(200, (4, 2), generator=torch.Generator().manual_seed(3))
    many = torch.cat([few, few.repeat(1, 40)], dim=1)
    assert 2 * 4 < 200 < 82 * 4
    torch.testing.assert_close(memory.products(embedding, few), memory.products(embedding, many)[:, :2])


def test_the_gradient_is_that_of_the_memory_before_it_moved():
    method = built(negatives=8)
    student, index = unit(1).requires_grad_(), torch.tensor([0, 3, 4, 9])
    rows = method.teacher_memory.rows.clone().requires_grad_(False)
    shares = method.negatives.shares(LABELS[index])
    loss = method.contrast(student, unit(2), index, None, shares)["student"]
    (gradient,) = torch.autograd.grad(loss, student)
    logits = student @ rows.t() / 0.07 - method.teacher_memory.normalizer.log() - torch.tensor(8 / 10).log()
    own = logits.gather(1, index[:, None])[:, 0]
    expected = (F.softplus(-own) + (shares * F.softplus(logits)).sum(dim=1)).mean()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, student)[0])


def test_the_normalizer_is_that_of_the_first_batch_and_travels_with_the_memories():
    method = built()
    method(answer(1, 5), answer(2, 7), batch(0, 1, 3, 4))
    first = method.student_memory.normalizer.item()
    method(answer(3, 5), answer(4, 7), batch(2, 6, 7, 8))
    assert method.student_memory.normalizer.item() == first > 0
    other = built()
    other.load_state_dict(method.state_dict())
    other.start_epoch(1, 2)
    found = []
    for each in (method, other):
        torch.manual_seed(7)
        found.append(each(answer(5, 5), answer(6, 7), batch(1, 2, 3, 9)))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_one_class_has_nobody_to_be_told_from():
    method: Any = create("crd")
    with pytest.raises(ConfigError, match="method=crd tells examples of different classes apart"):
        method.remember(torch.zeros(5, dtype=torch.int64))


def test_soft_targets_join_it():
    assert set(built()(answer(1, 5), answer(2, 7), batch(0, 1, 3, 4))) == {"student", "teacher", "hard"}
    assert "soft" in built(soft_weight=1.0)(answer(1, 5), answer(2, 7), batch(0, 1, 3, 4))


def test_two_processes_remember_what_one_would(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    other: Any = spawn(_second, (place, str(tmp_path / "second.pt")), nprocs=1, join=False)
    one = _part(0, place)
    while not other.join():
        pass
    torch.testing.assert_close(one, torch.load(tmp_path / "second.pt"), rtol=0, atol=0)
    alone = built()
    alone(answer(1, 5, 5), answer(2, 7, 5), batch(0, 1, 3, 4, 8))
    for name in ("student_memory.rows", "teacher_memory.rows"):
        torch.testing.assert_close(one[name], alone.state_dict()[name])


def _second(number: int, place: str, path: str) -> None:
    torch.save(_part(1, place), path)


def _part(rank: int, place: str) -> dict[str, Tensor]:
    """What one of two processes is left with after a batch of which it has a part, of another length than the other."""
    dist.init_process_group("gloo", init_method=place, rank=rank, world_size=2)
    try:
        method = built()
        rows = slice(0, 2) if rank == 0 else slice(2, 5)
        whole = answer(1, 5, 5), answer(2, 7, 5)
        parts = [Output(each.logits[rows], embedding=_embedding(each)[rows]) for each in whole]
        torch.manual_seed(rank)  # negatives are drawn in each by itself
        method(*parts, batch(0, 1, 3, 4, 8).rows(rows))
        return method.state_dict()
    finally:
        dist.destroy_process_group()


def _embedding(output: Output) -> Tensor:
    assert output.embedding is not None
    return output.embedding

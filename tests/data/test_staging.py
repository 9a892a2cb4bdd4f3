import pytest
import torch

from distill.data import Augmentation, Batches, Normalization, Split
from distill.data.staging import delivered
from distill.seeds import generator

CPU = torch.device("cpu")


def test_batches_arrive_whole_and_in_order():
    batches = [(torch.full((2,), number), torch.tensor([number])) for number in range(5)]
    arrived = list(delivered(iter(batches), CPU))
    assert [(first.tolist(), second.tolist()) for first, second in arrived] == [([n, n], [n]) for n in range(5)]


def test_nothing_is_fetched_before_the_first_batch_is_wanted():
    def never():
        raise AssertionError
        yield

    delivered(never(), CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("augment", [Augmentation(), Augmentation(2, flip=True, cutout=3)])
def test_a_split_in_main_memory_gives_a_gpu_the_same_bits_as_one_on_the_gpu(augment):
    inputs = torch.randint(0, 256, (1000, 3, 32, 32), generator=generator(0, "pictures")).byte()
    split = Split(inputs, torch.arange(1000) % 10)
    normalization = Normalization(torch.tensor([120.0]), torch.tensor([1 / 60]))
    epochs = [
        list(Batches(place, 64, normalization, augment, seed=0, device=device).epoch(0))
        for place, device in ((split, "cpu"), (split.to("cuda"), "cuda"), (split, "cuda"))
    ]
    for here, there, sent in zip(*epochs, strict=True):
        assert sent.inputs.is_cuda
        assert sent.labels.is_cuda
        assert torch.equal(here.inputs, there.inputs.cpu())
        assert torch.equal(here.inputs, sent.inputs.cpu())
        assert torch.equal(here.index, sent.index.cpu())

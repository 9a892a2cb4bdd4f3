import hashlib

import torch

from distill.seeds import generator, stream_seed


def test_a_seed_is_the_hash_of_seed_and_stream():
    digest = hashlib.sha256(b'[3, "order", 7]').digest()
    assert stream_seed(3, "order", 7) == int.from_bytes(digest, "big") >> (256 - 63)


def test_streams_differ_by_seed_name_number_and_type():
    seeds = {stream_seed(0, "a"), stream_seed(1, "a"), stream_seed(0, "b"), stream_seed(0, "a", 1)}
    assert len(seeds | {stream_seed(0, "a", "1")}) == 5


def test_the_same_stream_draws_the_same_numbers():
    assert torch.equal(torch.rand(9, generator=generator(5, "x")), torch.rand(9, generator=generator(5, "x")))

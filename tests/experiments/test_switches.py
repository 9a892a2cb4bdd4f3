"""Keys of a run that change how it computes and not what comes out."""

import functools

import torch

from distill.models import weights

SMOKE = ("hparams=smoke", "verbosity=quiet", "model@student=cnn_student", "precision=fp32")


def _student(folder):
    return weights.load(folder / "checkpoints" / "student.safetensors")


def test_two_deterministic_runs_give_equal_bits_and_leave_torch_as_it_was(train):
    words = (*SMOKE, "deterministic=true", "dataset.augment=crop_flip", "student.dropout=0.2")
    first, second = (_student(train(*words, f"store.dir={name}").folder) for name in ("one", "two"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_operation_without_a_deterministic_form_is_said(train, monkeypatch):
    def none(*_):
        raise RuntimeError("adaptive_max_pool2d_backward_cuda does not have a deterministic implementation\nmore")

    monkeypatch.setattr("distill.experiments.obtain.fit", none)
    left = train(*SMOKE, "deterministic=true")
    assert left.code == 2
    assert left.said.rstrip().endswith(
        "distill: deterministic=true is not possible for the teacher (adaptive_max_pool2d_backward_cuda does not "
        "have a deterministic implementation)."
    )


def test_compiled_networks_learn_what_others_learn(train, monkeypatch):
    # Without a compiler of C++, which not every machine has; the graphs are captured all the same.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    compiled, plain = (
        train(*SMOKE, word, f"store.dir=kept-{number}") for number, word in enumerate(("compile=true", "compile=false"))
    )
    assert [row["signature"] for row in compiled.rows] == [row["signature"] for row in plain.rows]
    first, second = _student(compiled.folder), _student(plain.folder)
    for name in first:
        torch.testing.assert_close(first[name], second[name])


def test_a_compiler_that_is_not_there_is_said(train, monkeypatch):
    class InvalidCxxCompiler(RuntimeError):
        __module__ = "torch._inductor.exc"

    def none(*_):
        raise InvalidCxxCompiler("No working C++ compiler found\nmore")

    monkeypatch.setattr("distill.experiments.obtain.fit", none)
    left = train(*SMOKE, "compile=true")
    assert (left.code, left.said.rstrip().rpartition("\n")[2]) == (
        2,
        "distill: compile=true is not possible here (No working C++ compiler found); use compile=false.",
    )


def test_memory_that_runs_out_names_network_batch_and_precision(train, monkeypatch):
    def none(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr("distill.experiments.obtain.fit", none)
    left = train(*SMOKE)
    assert left.code == 2
    assert left.said.rstrip().rpartition("\n")[2] == (
        "distill: The teacher (mlp-400) does not fit into the memory of cpu with hparams.teacher.batch_size=16 and "
        "precision=fp32: hparams.teacher.accumulate=auto, a smaller batch or a smaller network may fit."
    )


def test_nothing_is_compiled_for_dry_runs(train, monkeypatch):
    sizes: set[int] = set()

    def compiled(network):
        return lambda inputs: (sizes.add(len(inputs)), network(inputs))[1]

    monkeypatch.setattr(torch, "compile", compiled)
    assert train(*SMOKE, "method=fitnet", "compile=true", "hparams.batch_size=32").code == 0
    assert sizes == {32}

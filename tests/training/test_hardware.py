"""Devices, number formats and optimisers by name, and what is said when they are not there."""

import signal

import pytest
import torch

from distill.config.schema import Hparams
from distill.errors import DeviceError
from distill.training import device, interrupt, optimizers, precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def machine(monkeypatch):
    def has(gpus: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return has


@pytest.mark.parametrize(
    ("gpus", "mps", "expected"), [(0, False, "cpu"), (1, False, "cuda"), (0, True, "mps"), (1, True, "cuda")]
)
def test_auto_takes_the_fastest_device_there_is(gpus, mps, expected, machine):
    machine(gpus, mps)
    assert device.resolve("auto") == torch.device(expected)


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:1"])
def test_a_device_that_is_there_is_taken(name, machine):
    machine(gpus=2)
    assert device.resolve(name) == torch.device(name)


@pytest.mark.parametrize(
    ("name", "gpus", "sentence"),
    [
        ("cuda", 0, "device=cuda is not there: torch sees no CUDA device; use device=cpu."),
        ("cuda:2", 2, "device=cuda:2 is not there: this machine has cuda:0 to cuda:1."),
        ("mps", 0, "device=mps is not there: this is no Apple GPU; use device=cpu."),
        ("gpu", 1, "device=gpu is not allowed: it must be auto, cpu, cuda, cuda:N or mps."),
        ("cuda:x", 1, "device=cuda:x is not allowed: it must be auto, cpu, cuda, cuda:N or mps."),
    ],
)
def test_a_device_that_is_not_there_is_refused(name, gpus, sentence, machine):
    machine(gpus)
    with pytest.raises(DeviceError) as caught:
        device.resolve(name)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("on", "native", "flops", "expected"),
    [
        (CPU, True, 1e12, "bf16"),
        (CPU, True, 1e4, "fp32"),
        (CPU, False, 1e12, "fp32"),
        (CUDA, True, 1e4, "bf16"),
        (CUDA, False, 1e12, "fp32"),
    ],
)
def test_auto_precision_is_bf16_where_the_hardware_has_it_and_it_pays(on, native, flops, expected, monkeypatch):
    monkeypatch.setattr(precision, "native_bf16", lambda _: native)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: native)
    assert precision.resolve("auto", on, flops).name == expected


def test_a_format_that_was_asked_for_is_taken():
    assert precision.resolve("bf16", CPU, 1).name == "bf16"
    assert precision.resolve("fp32", CPU, 1e12).name == "fp32"
    assert precision.resolve("fp16", CUDA, 1).name == "fp16"


def test_a_format_that_the_device_lacks_is_refused(monkeypatch):
    monkeypatch.setattr(precision, "native_bf16", lambda device: False)
    with pytest.raises(DeviceError, match="precision=bf16 is not there on this GPU: use fp16 or fp32"):
        precision.resolve("bf16", CUDA, 1e12)


def test_only_the_forward_pass_is_in_bf16():
    layer = torch.nn.Linear(2, 2)
    with precision.Precision("bf16", CPU).autocast():
        assert layer(torch.ones(1, 2)).dtype == torch.bfloat16
    assert layer.weight.dtype == torch.float32
    assert precision.Precision("bf16", CPU).scaler() is None


@pytest.mark.parametrize(
    ("name", "kind", "settings"),
    [
        ("sgd", torch.optim.SGD, {"momentum": 0.8, "nesterov": False}),
        ("nesterov", torch.optim.SGD, {"momentum": 0.8, "nesterov": True}),
        ("adam", torch.optim.Adam, {"betas": (0.9, 0.999), "decoupled_weight_decay": False}),
        ("adamw", torch.optim.AdamW, {"betas": (0.9, 0.999)}),
    ],
)
def test_optimisers_by_name(name, kind, settings):
    hparams = Hparams(optimizer=name, lr=0.3, momentum=0.8, weight_decay=0.02)
    made = optimizers.build([torch.nn.Parameter(torch.zeros(2))], hparams)
    assert type(made) is kind
    group = made.param_groups[0]
    expected = {"lr": 0.3, "weight_decay": 0.02, **settings}
    assert {key: group[key] for key in expected} == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_stops(number):
    before = signal.getsignal(number)
    stop = interrupt.Stop()
    with interrupt.polite(stop):
        stop.check()
        signal.raise_signal(number)
        assert stop.asked
        with pytest.raises(interrupt.Interrupted) as caught:
            stop.check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert caught.value.number == number
    assert signal.getsignal(number) == before


def test_one_thread_is_one_and_older_records_of_it_still_hold(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    said = device.describe(CPU)
    assert said.startswith("cpu, 1 thread (")
    assert device.is_described(CPU, said)
    assert device.is_described(CPU, said.replace("thread", "threads"))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 11)
    assert not device.is_described(CPU, said)
    assert device.is_described(CPU, said.replace("1 thread", "11 threads"))

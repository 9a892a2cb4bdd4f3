"""Every mistake a user can make ends with one sentence on stderr, exit code 2 and an unchanged folder."""

from __future__ import annotations

import json
import pickle
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from distill.models import models, weights
from distill.models.networks.mlp import MlpOptions

SMOKE = "hparams=smoke"


def refused(ended: Any, *fragments: str) -> None:
    assert ended.code == 2, ended
    lines = ended.err.splitlines()
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("distill: ")
    assert lines[0].endswith(".")
    for fragment in fragments:
        assert fragment in lines[0]
    assert ended.left == ()


@pytest.mark.parametrize(
    ("line", "fragments"),
    [
        ("tarin", ["'tarin'", "did you mean 'train'?", "train, list, search, watch, report"]),
        ("--hlep", ["'--hlep'", "did you mean '--help'?"]),
        ("help trian", ["'trian'", "did you mean 'train'?"]),
        ("list", ["models|datasets|methods|hparams|experiments"]),
        ("list modls", ["'modls'", "did you mean 'models'?", "models, datasets, methods, hparams, experiments"]),
        ("store", ["ls|rm"]),
        ("store lss", ["'lss'", "did you mean 'ls'?", "ls, rm"]),
        ("store rm", ["--all", "distill store ls"]),
        ("store rm nothing", ["'nothing'", "outputs/store"]),
        ("report nowhere", ["nowhere"]),
        ("train --bogus", ["--bogus", "distill train --help"]),
        ("train --cfg jobb", ["'jobb'", "job"]),
        ("train --config-dir nowhere", ["nowhere", "not found"]),
        ("train foo", ["'foo'", "key=value"]),
        ("train T=[1", ["'[1'", "quote"]),
        # group options, models, data sets
        ("train method=hintn", ["method=hintn", "did you mean 'hinton'?", "hard_teacher, hinton, "]),
        ("train model@teacher=mlp_40", ["model@teacher=mlp_40", "did you mean 'mlp_400'?", "resnet20"]),
        ("train model@student=resnet21", ["model@student=resnet21", "did you mean 'resnet"]),
        ("train dataset=mnits", ["dataset=mnits", "did you mean 'mnist'?", "cifar10, cifar100, digits"]),
        ("train hparams=smok", ["hparams=smok", "did you mean 'smoke'?"]),
        ("train experiment=nope", ["experiment=nope"]),
        ("train -m hydra.sweeper.params={T:1}", ["hydra.sweeper.params={T:1}", "config file", "-m T=1,2"]),
        ("train -m +hydra.sweeper.params.T=3", ["hydra.sweeper.params.T=3", "config file", "-m T=1,2"]),
        ("train T=2 experiment=null", ["experiment=null", "distill list"]),
        ("train model@teacher=mlp method=3", ["method=3", "distill list"]),
        ("list methods hintn", ["'hintn'", "did you mean 'hinton'?"]),
        ("train -m method=hinton,hintn", ["method=hintn", "did you mean 'hinton'?"]),
        # keys
        ("train hparams.epoch=3", ["hparams.epoch", "did you mean 'hparams.epochs'?"]),
        ("train epohcs=3", ["epohcs", "did you mean 'hparams.epochs'?"]),
        ("train sede=3", ["sede", "did you mean 'seed'?"]),
        ("train +T2=3", ["T2"]),
        ("train alpha=${nope}", ["nope"]),
        ("train method=none T=2", ["T", "method=none", "|hinton|"]),
        ("train T=2 method=logits", ["T", "method=logits", "|hinton|"]),
        ("train -m method=hinton,none T=1,4", ["T", "method=none", "|hinton|"]),
        # types and ranges
        ("train T=abc", ["T=abc", "a number"]),
        ("train seed=1.5", ["seed=1.5", "a whole number"]),
        ("train store.reuse=maybe", ["store.reuse=maybe", "boolean"]),
        ("train verbosity=loud", ["verbosity=loud", "'normal' or 'quiet'"]),
        ("train hparams.optimizer=adamm", ["hparams.optimizer=adamm", "'adamw'"]),
        ("train T=0", ["T=0", "greater than 0"]),
        ("train T=-1", ["T=-1", "greater than 0"]),
        ("train T=inf", ["T=inf", "finite"]),
        ("train T=nan", ["T=nan", "finite"]),
        ("train alpha=1.5", ["alpha=1.5", "less than or equal to 1"]),
        ("train alpha=-0.1", ["alpha=-0.1", "greater than or equal to 0"]),
        ("train hparams.epochs=-1", ["hparams.epochs=-1", "greater than or equal to 1"]),
        ("train hparams.student.epochs=-1", ["hparams.student.epochs=-1", "greater than or equal to 1"]),
        ("train dataset.val_fraction=1", ["dataset.val_fraction=1", "less than 1"]),
        ("train hparams.teacher.batch_size=2000", ["hparams.teacher.batch_size=2000", "at most 1257"]),
        ("train hparams.student.batch_size=400", ["hparams.student.batch_size=400", "at most 300"]),
        ("train dataset.classes=[10]", ["dataset.classes=[10]", "0..9"]),
        ("train dataset.limit_train=5 dataset.val_fraction=0.00001", ["dataset.val_fraction", "hold out 0"]),
        ("train teacher.train=false", ["teacher.train=false", "teacher.checkpoint"]),
        ("train student.train=false", ["student.train=false"]),
        ("train hparams.schedule=multistep", ["milestones=[]", "[30,40]"]),
        # the machine
        ("train device=gpu", ["device=gpu", "auto, cpu, cuda, cuda:N or mps"]),
        ("train device=cuda:99", ["device=cuda:99"]),
        ("train output=/proc/x", ["output=/proc/x", "cannot be written"]),
        ("train -m T=1 output=/proc/x", ["output=/proc/x", "cannot be written"]),
        # files
        ("train teacher.checkpoint=nowhere.pt", ["teacher.checkpoint=nowhere.pt", "no such file"]),
        ("train dataset=tensors", ["dataset.path=", ".npz"]),
        ("train dataset=tensors dataset.path=nowhere.npz", ["dataset.path=nowhere.npz", ".npz or .pt"]),
        ("train dataset=imagefolder", ["path=<folder>", "train=<folder>"]),
        ("train dataset=imagefolder dataset.path=nowhere", ["nowhere", "a folder of pictures for each class"]),
        (
            "train dataset=mnist dataset.root=nowhere dataset.download=false",
            ["mnist", "dataset.download=false", "train-images-idx3-ubyte.gz", "nowhere/MNIST/raw"],
        ),
    ],
)
def test_a_mistake_is_told_in_one_sentence(distill, line, fragments):
    refused(distill(*line.split()), *fragments)


def test_all_mistakes_of_a_run_are_told_together_a_line_for_each(distill):
    ended = distill(
        "train", "T=0", "alpha=2", "seed=-1", "hparams.lr=x", "dataset.val_fraction=1", "student.widths=[0]"
    )
    keys = {line.removeprefix("distill: ").partition("=")[0] for line in ended.err.splitlines()}
    assert keys == {"T", "alpha", "seed", "hparams.lr", "dataset.val_fraction", "student.widths[0]"}
    assert len(ended.err.splitlines()) == 6
    assert ended.code == 2
    assert ended.left == ()


def test_batches_that_are_too_large_are_told_for_both_networks_at_once(distill):
    ended = distill("train", "hparams.batch_size=5000")
    assert [line.split("=")[0] for line in ended.err.splitlines()] == [
        "distill: hparams.teacher.batch_size",
        "distill: hparams.student.batch_size",
    ]
    assert ended.left == ()


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device is there")
def test_a_device_that_is_not_there(distill):
    refused(distill("train", "device=cuda"), "device=cuda", "device=cpu")


def test_an_output_folder_below_a_file(distill, tmp_path):
    (tmp_path / "file").write_text("mine")
    refused(distill("train", "output=file/x"), "output=file/x", "cannot be written", "output=FOLDER")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_store_that_cannot_be_written_leaves_only_the_record_of_the_run(distill, tmp_path):
    (tmp_path / "file").write_text("mine")
    ended = distill("train", SMOKE, "store.dir=file/x")
    assert ended.code == 2
    (sentence,) = ended.err.splitlines()
    assert "store.dir=file/x cannot be written" in sentence
    _, _, folder, *files = ended.left
    assert {Path(name).name for name in files} == {"config.resolved.yaml", "run.json"}
    assert json.loads((tmp_path / folder / "run.json").read_text())["status"] == "failed"


def network(widths: list[int], classes: int) -> torch.nn.Module:
    return models.find("mlp").factory(MlpOptions(name="mlp", widths=widths), (1, 8, 8), classes)


def test_a_teacher_for_another_number_of_classes(distill, tmp_path):
    weights.save(network([400], 7).state_dict(), tmp_path / "seven.safetensors")
    ended = distill("train", "model@teacher=mlp_400", "teacher.checkpoint=seven.safetensors")
    refused(ended, "teacher.checkpoint=seven.safetensors", "7 classes", "the network has 10")


def test_a_checkpoint_of_another_network(distill, tmp_path):
    weights.save(network([64], 10).state_dict(), tmp_path / "other.safetensors")
    ended = distill("train", "model@student=mlp_32", "student.checkpoint=other.safetensors")
    refused(ended, "student.checkpoint=other.safetensors", "does not fit", "64x64, needed 32x64")


@pytest.mark.parametrize("name", ["corrupt.safetensors", "corrupt.pt"])
def test_a_corrupt_checkpoint(distill, tmp_path, name):
    (tmp_path / name).write_bytes(b"\x00" * 64)
    refused(distill("train", f"teacher.checkpoint={name}"), f"teacher.checkpoint={name}", "damaged")


def test_a_file_that_is_no_checkpoint(distill, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    refused(distill("train", "teacher.checkpoint=notes.txt"), "teacher.checkpoint=notes.txt", ".safetensors, .pt")


class Evil:
    """A pickle that would make a file when it is loaded."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_a_pickle_that_would_run_code_does_not(distill, tmp_path):
    target = tmp_path / "executed"
    torch.save({"w": Evil(target)}, tmp_path / "evil.pt")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps({"w": Evil(target)}))
    for name in ("evil.pt", "bare.pt"):
        refused(distill("train", f"teacher.checkpoint={name}"), f"teacher.checkpoint={name}", "Python code", "refused")
    assert not target.exists()


def arrays(path: Path, **changes: Any) -> None:
    random = np.random.default_rng(0)
    values: dict[str, Any] = {
        "x_train": random.normal(size=(80, 6)),
        "y_train": np.arange(80) % 4,
        "x_test": random.normal(size=(8, 6)),
        "y_test": np.arange(8) % 4,
    }
    np.savez(path, **{**values, **changes})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("part", ["train", "test"])
def test_inputs_that_are_not_finite(distill, tmp_path, bad, part):
    inputs = np.zeros((80 if part == "train" else 8, 6))
    inputs[3, 2] = bad
    arrays(tmp_path / "mine.npz", **{f"x_{part}": inputs})
    refused(distill("train", "dataset=tensors", "dataset.path=mine.npz"), "NaN or infinite", "example 3")


def test_labels_below_the_range(distill, tmp_path):
    arrays(tmp_path / "mine.npz", y_train=np.arange(80) % 4 - 1)
    refused(distill("train", "dataset=tensors", "dataset.path=mine.npz"), "labels", "-1", "0..3")


def test_labels_above_the_classes_that_were_named(distill, tmp_path):
    arrays(tmp_path / "mine.npz")
    words = ("train", "dataset=tensors", "dataset.path=mine.npz", "dataset.class_names=[a,b,c]")
    refused(distill(*words), "labels", "3", "0..2")


def test_a_truncated_file_of_arrays(distill, tmp_path):
    arrays(tmp_path / "mine.npz")
    content = (tmp_path / "mine.npz").read_bytes()
    (tmp_path / "mine.npz").write_bytes(content[: len(content) // 2])
    refused(distill("train", "dataset=tensors", "dataset.path=mine.npz"), "mine.npz", "truncated")


def pictures(folder: Path, *classes: str) -> None:
    for part in ("train", "test"):
        for name in classes:
            (folder / part / name).mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / part / name / f"{number}.png")


def test_an_image_folder_of_one_class(distill, tmp_path):
    pictures(tmp_path / "mine", "cat")
    refused(distill("train", "dataset=imagefolder", "dataset.path=mine"), "mine/train", "one class", "at least two")


def test_a_picture_that_cannot_be_read(distill, tmp_path):
    pictures(tmp_path / "mine", "cat", "dog")
    (tmp_path / "mine" / "train" / "dog" / "1.png").write_bytes(b"no picture")
    ended = distill("train", "dataset=imagefolder", "dataset.path=mine")
    assert ended.code == 2
    *_, sentence = ended.err.splitlines()  # the lines before tell where pictures are kept
    assert sentence.startswith("distill: mine/train/dog/1.png is not a picture that can be read")


def test_truncated_files_of_mnist(distill, tmp_path):
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{name}-ubyte").write_bytes(b"\0\0\x08\x03\0\0")
    ended = distill("train", "dataset=mnist", "dataset.root=data", "dataset.download=false")
    refused(ended, "data/MNIST/raw", "truncated or damaged")


def test_a_download_that_fails_says_what_to_put_where(distill, monkeypatch):
    def unreachable(*args: Any, **kwargs: Any) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    ended = distill("train", "dataset=mnist", "dataset.root=data")
    first, last = ended.err.splitlines()
    assert first.startswith("Downloading mnist (about 12 MB)")
    assert last.startswith("distill: mnist could not be downloaded")
    assert "put train-images-idx3-ubyte.gz" in last
    assert "into data/MNIST/raw" in last
    assert ended.code == 2


@pytest.mark.parametrize("role", ["teacher", "baseline"])
def test_a_loss_that_is_not_finite_stops_at_its_step_and_leaves_a_record(distill, tmp_path, role):
    key = "hparams.teacher" if role == "teacher" else "hparams.student"
    ended = distill("train", SMOKE, f"{key}.optimizer=sgd", f"{key}.lr=1e30", "verbosity=quiet")
    assert ended.code == 2
    sentence = ended.err.splitlines()[-1]
    assert sentence.startswith(f"distill: The loss of the {role} is ")
    assert "epoch 1, step 2 of 8" in sentence
    (record,) = (tmp_path / "outputs" / "runs").glob("*/run.json")
    facts = json.loads(record.read_text())
    assert facts["status"] == "failed"
    assert f"distill: {facts['error']}" == sentence
    assert list((tmp_path / "outputs" / "store").glob(f"{role}-*")) == []


def test_a_report_of_a_damaged_run_does_not_end_in_a_traceback(distill, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{ half")
    ended = distill("report", "run")
    assert "Traceback" not in ended.err
    assert ended.code in (0, 2)
    shutil.rmtree(tmp_path / "run")

"""A method that reads inside of networks, with a regressor of its own, through the whole program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from distill.config.options import Options
from distill.methods.base import Method, methods
from distill.models.taps import Tapped
from distill.types import Batch, Output

NAME = "hint_for_tests"


@dataclass(frozen=True, kw_only=True)
class HintOptions(Options):
    """There is nothing to choose."""

    name: str = NAME


class Hint(Method):
    """Squared error between the teacher's last feature map, pooled, and a regression from the student's."""

    taps = frozenset({"features", "embedding"})

    def adapt(self, student: Output, teacher: Output) -> None:
        widths = [_pooled(output).shape[1] for output in (student, teacher)]
        self.regressor = nn.Linear(widths[0], widths[1])

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        assert student.embedding is not None
        assert teacher.embedding is not None
        hint = F.mse_loss(self.regressor(_pooled(student)), _pooled(teacher))
        return {"hint": hint, "hard": self.hard_loss(student.logits, batch)}


def _pooled(output: Output) -> Tensor:
    last = output.features[-1]
    return last.mean(dim=(2, 3)) if last.ndim == 4 else last


@pytest.fixture
def own_conf(tmp_path) -> Iterator[Path]:
    methods.register(NAME, HintOptions)(Hint)
    (tmp_path / "own/method").mkdir(parents=True)
    (tmp_path / "own/method/hint.yaml").write_text(f"# A hint.\nname: {NAME}\n", encoding="utf-8")
    yield tmp_path / "own"
    methods._entries.pop(NAME)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("teacher", "student"), [("cnn_teacher", "cnn_student"), ("resnet14", "mlp_32")])
def test_a_feature_method_trains_on_any_pair_in_any_precision(train, own_conf, teacher, student, precision):
    words = (f"model@teacher={teacher}", f"model@student={student}", f"precision={precision}", "hparams=smoke")
    left = train("--config-dir", str(own_conf), "method=hint", *words)
    assert left.code == 0, left.said
    assert left.facts["teacher_outputs"] == "live"
    (stored,) = left.folder.parents[1].glob("store/student-*")
    adapters = load_file(stored / "adapters.safetensors")
    assert set(adapters) == {"regressor.weight", "regressor.bias"}
    exported = load_file(left.folder / "checkpoints/student.safetensors")
    assert not any("regressor" in name for name in exported)
    assert int(left.row("student")["params"]) == int(left.row("baseline")["params"])


def test_a_dry_run_leaves_batch_norm_as_it_was(train, own_conf, monkeypatch):
    moved: list[bool] = []
    build = Hint.build

    def watched(self: Hint, student: Tapped, teacher: Tapped, example: Batch, labels: Tensor) -> None:
        before = student.network.state_dict()["bn1.running_mean"].clone()
        build(self, student, teacher, example, labels)
        moved.append(not torch.equal(before, student.network.state_dict()["bn1.running_mean"]))

    monkeypatch.setattr(Hint, "build", watched)
    assert train("--config-dir", str(own_conf), "method=hint", "model@student=resnet8", "hparams=smoke").code == 0
    assert moved == [False, False]  # in the rehearsal, and for the training


def test_module_paths_are_checked_before_anything_trains(train, own_conf, tmp_path):
    left = train("method=hinton", "student.features=[nope]", "hparams=smoke")
    assert left.code == 2
    assert "student.features" in left.said
    assert not (tmp_path / "outputs/store").exists()


def test_adapters_learn(train, own_conf):
    def weight(epochs: int) -> Tensor:
        left = train("--config-dir", str(own_conf), "method=hint", "hparams=smoke", f"hparams.epochs={epochs}")
        stored = left.folder.parents[1] / "store" / f"student-{left.row('student')['signature']}"
        return load_file(stored / "adapters.safetensors")["regressor.weight"]

    assert not torch.equal(weight(1), weight(3))

"""Answers are kept beside a stored network, asked once, and never trusted when they are damaged."""

import numpy as np
import pytest
import torch
from torch import Tensor

from distill.experiments import answers, store_command
from distill.experiments.answers import Question, keep, recall
from distill.experiments.saved import open_run
from distill.training import evaluate

SMOKE = ("hparams=smoke", "verbosity=quiet")
FIDELITY = ("agreement", "kl", "agreement_wrong", "train_agreement", "train_kl", "train_agreement_wrong")


def refuse(*_, **__):
    pytest.fail("a network was asked")


@pytest.fixture
def logits() -> Tensor:
    return 30 * torch.randn(5, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("in_full", [1000, 1], ids=["fp32", "fp16"])
def test_what_was_kept_comes_back_without_asking(logits, tmp_path, monkeypatch, in_full):
    monkeypatch.setattr(answers, "_NUMBERS_IN_FULL", in_full)
    first = recall(tmp_path / "a", (5, 4), lambda: logits)
    again = recall(tmp_path / "a", (5, 4), refuse)
    assert torch.equal(first, again)
    assert again.dtype == torch.float32
    torch.testing.assert_close(again.softmax(dim=1), logits.softmax(dim=1), rtol=1e-2, atol=1e-6)
    assert torch.equal(again.argmax(dim=1), logits.argmax(dim=1))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_half_precision_tells_apart_the_most_likely_classes_of_large_logits(tmp_path, monkeypatch):
    monkeypatch.setattr(answers, "_NUMBERS_IN_FULL", 1)
    close = torch.tensor([[1000.0, 1000.1, -1e9]])  # in half precision 1000 and 1000.1 are one number
    assert keep(tmp_path / "a", close)[0].argmax() == 1
    assert torch.isfinite(keep(tmp_path / "a", close)).all()


@pytest.mark.parametrize("damage", ["cut", "bit", "shape", "empty"])
def test_damaged_answers_are_asked_for_anew(logits, tmp_path, damage):
    path = tmp_path / "a"
    keep(path, logits[:4] if damage == "shape" else logits)
    content = bytearray(path.read_bytes())
    content[-1] ^= damage == "bit"
    path.write_bytes({"cut": content[:-4], "empty": b""}.get(damage, bytes(content)))
    assert torch.equal(recall(path, (5, 4), lambda: logits), logits)
    assert torch.equal(recall(path, (5, 4), refuse), logits)


def test_nothing_is_kept_where_the_network_is_gone(logits, tmp_path):
    assert torch.equal(recall(tmp_path / "gone" / "a", (5, 4), lambda: logits), logits)
    assert list(tmp_path.iterdir()) == []


def test_each_question_has_a_file_of_its_own(configure):
    def file(split: str, *words: str, device: str = "cpu", precision: str = "fp32", limit: int | None = None) -> str:
        return Question(split, "f", configure(*words).dataset, device, precision, limit).file

    transfer = file("transfer")
    assert transfer == file("transfer", "dataset.limit_test=9", "dataset.augment=jitter")
    different = [
        file("test"),
        file("val"),
        file("transfer", "dataset.limit_transfer=200"),
        file("transfer", "dataset.omit_classes=[1]"),
        file("transfer", device="another"),
        file("transfer", precision="bf16"),
        file("transfer", limit=5),
    ]
    assert len({transfer, *different}) == 8


def test_a_later_run_asks_nobody_and_damaged_answers_are_made_anew(train, tmp_path, monkeypatch):
    first = train(*SMOKE)
    kept = sorted((tmp_path / "outputs" / "store").glob("*-*/answers-*.safetensors"))
    assert len(kept) == 6  # of three networks, on test and on the transfer set
    with monkeypatch.context() as patched:
        patched.setattr(evaluate, "logits", refuse)
        again = train(*SMOKE)
    assert [row["reused"] for row in again.rows] == ["true"] * 3
    whole = [path.read_bytes() for path in kept]
    kept[0].write_bytes(b"nothing")
    kept[3].unlink()
    third = train(*SMOKE)
    assert [path.read_bytes() for path in kept] == whole
    for left in (again, third):
        for role in ("teacher", "baseline", "student"):
            assert [left.row(role)[name] for name in FIDELITY] == [first.row(role)[name] for name in FIDELITY]
    store_command.remove(tmp_path / "outputs" / "store", [], everything=True)
    assert not [path for path in kept if path.exists()]


def test_fidelity_is_that_of_the_networks_that_were_saved(train, monkeypatch):
    left = train(*SMOKE, "dataset.limit_transfer=200", "hparams.limit_test=null")
    saved = open_run(left.folder)
    data = saved.data()
    told = {role: answers.of_run(saved, role, data).double().numpy() for role in saved.nodes}
    inputs = saved.normalization(data.test.tensor)
    for role, logits in told.items():
        with torch.no_grad():
            np.testing.assert_allclose(saved.network(role)(inputs).numpy(), logits, rtol=1e-4, atol=1e-4)
    shares = {role: np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) for role, logits in told.items()}
    taught = told["teacher"].argmax(axis=1)
    wrong = taught != data.test.labels.numpy()
    for role in ("baseline", "student"):
        row, same = left.row(role), told[role].argmax(axis=1) == taught
        kl = (shares["teacher"] * np.log(shares["teacher"] / shares[role])).sum(axis=1).mean()
        assert float(row["kl"]) == pytest.approx(kl, rel=1e-5)
        assert float(row["agreement"]) == pytest.approx(same.mean())
        assert float(row["agreement_wrong"]) == pytest.approx(same[wrong].mean())
        assert 0 < float(row["train_agreement"]) <= 1
        assert float(row["train_kl"]) > 0
    assert {left.row("teacher")[name] for name in FIDELITY} == {""}
    monkeypatch.setattr(evaluate, "logits", refuse)
    np.testing.assert_array_equal(answers.of_run(saved, "teacher", data).double().numpy(), told["teacher"])


def test_answers_of_a_network_that_was_trained_anew_are_none_of_the_run_s(train, tmp_path):
    saved = open_run(train(*SMOKE).folder)
    data = saved.data()
    told = answers.of_run(saved, "student", data)
    (stored,) = (tmp_path / "outputs" / "store").glob("student-*")
    content = bytearray((stored / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (stored / "weights.safetensors").unlink()  # which the run has under another name
    (stored / "weights.safetensors").write_bytes(content)
    others = {path: keep(path, torch.zeros(256, 10)) for path in stored.glob("answers-*")}
    torch.testing.assert_close(answers.of_run(saved, "student", data), told)
    assert all(torch.equal(recall(path, (256, 10), refuse), zeros) for path, zeros in others.items())


def test_agreement_on_the_transfer_set_is_on_at_most_so_many_examples(train, monkeypatch):
    from distill.experiments import asking

    monkeypatch.setattr(asking, "_MOST_EXAMPLES", 50)
    left = train(*SMOKE)
    shares = [float(left.row(role)["train_agreement"]) for role in ("baseline", "student")]
    assert all(round(50 * share) / 50 == pytest.approx(share) for share in shares)

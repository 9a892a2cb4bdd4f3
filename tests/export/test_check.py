"""Files are held against their network before they take their names, and measured beside it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import onnxruntime
import pytest
import torch

from distill.data import load
from distill.errors import DistillError
from distill.experiments.saved import open_run
from distill.export import check
from distill.export.check import Answers, Examples

VECTORS = (
    "dataset=tensors",
    "dataset.path={data}/vectors.npz",
    "dataset.limit_transfer=null",
    "model@student=mlp_30",
    "method=fitnet",
)


def _right(file, data) -> int:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"inputs": data.test.inputs.float().numpy()})
    return int((np.asarray(logits).argmax(1) == data.test.labels.numpy()).sum())


def test_the_table_of_exports_has_the_accuracy_of_each_file_beside_the_students(exported, table):
    rows = {row["file"]: row for row in table(exported / "export" / "exports.csv")}
    (student,) = (row for row in table(exported / "results.csv") if row["role"] == "student")
    data = load(open_run(exported).config.dataset)
    assert list(rows) == ["student.onnx", "student.pt", "student.pt2", "student.safetensors", "student.int8.onnx"]
    for row in rows.values():
        file = exported / "export" / row["file"]
        assert float(row["original_accuracy"]) == float(student["accuracy"])
        assert float(row["size_mb"]) * 1e6 == pytest.approx(file.stat().st_size)
        assert float(row["latency_ms"]) > 0
        assert float(row["original_latency_batch_ms"]) > 0
        if "int8" not in row["file"]:
            assert (row["accuracy"], row["changed"]) == (row["original_accuracy"], "0")
            assert float(row["difference"]) < float(row["tolerance"]) == 1e-3
        if file.suffix == ".onnx":
            assert float(row["accuracy"]) == _right(file, data) / len(data.test)


def test_int8_of_convolutions_is_static_smaller_and_says_what_it_lost(exported, table):
    rows = {row["file"]: row for row in table(exported / "export" / "exports.csv")}
    whole, small = rows["student.onnx"], rows["student.int8.onnx"]
    assert small["quantization"] == "int8, static (QDQ), per channel, calibrated on 300 training examples"
    assert float(small["size_mb"]) < 0.6 * float(whole["size_mb"])
    lost = 100 * (float(small["accuracy"]) - float(small["original_accuracy"]))
    assert float(small["change"]) == pytest.approx(lost)
    assert small["tolerance"] == ""


def test_scales_are_set_on_training_examples_only(exported):
    run = open_run(exported)
    data = load(run.config.dataset)
    taken = check.examples(run).to_calibrate(100).flatten(1)
    learned, measured = (split.tensor.float().flatten(1) for split in (data.transfer, data.test))
    assert len(taken) == 100
    assert all((learned == one).all(1).any() for one in taken)
    assert not any((measured == one).all(1).any() for one in taken)


def test_int8_of_an_mlp_is_dynamic(trained, distill, tmp_path):
    said = distill("export", trained(*VECTORS), "--quantize", "int8", "--output", tmp_path / "a.onnx")
    assert (said.code, said.err) == (0, "")
    assert json.loads((tmp_path / "a.onnx.json").read_text())["quantization"] == "int8, dynamic, per channel"
    assert "DynamicQuantizeLinear" in (tmp_path / "a.onnx").read_bytes().decode("latin1")


def test_a_file_that_fails_its_check_leaves_what_was_there(exported, distill, tmp_path):
    file = tmp_path / "a.pt"
    file.write_text("of before")
    said = distill("export", exported, "--format", "torchscript", "--output", file, "--tolerance", "1e-30")
    assert said.code == 2
    assert said.err.startswith(f"distill: {file} is not written: on 256 test examples its logits differ")
    assert len(said.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]
    assert file.read_text() == "of before"


def test_a_second_export_takes_the_place_of_the_first_in_the_table(trained, distill, table):
    run = trained(*VECTORS)
    for _ in range(2):
        assert distill("export", run, "--format", "safetensors", "--role", "teacher").code == 0
    rows = table(run / "export" / "exports.csv")
    assert [row["file"] for row in rows].count("teacher.safetensors") == 1


def test_where_the_data_are_gone_random_inputs_are_checked_and_int8_is_refused(exported, distill, tmp_path):
    run = shutil.copytree(exported, tmp_path / "run")
    facts = json.loads((run / "run.json").read_text())
    facts["dataset"]["fingerprint"] = "another"
    (run / "run.json").write_text(json.dumps(facts))
    shutil.rmtree(run / "export")
    said = distill("export", run, "--format", "safetensors")
    assert (said.code, said.err) == (0, "")
    assert "on 256 random inputs: The data set digits is not the one" in " ".join(said.out.split())
    checked = json.loads((run / "export" / "student.safetensors.json").read_text())["check"]
    assert (checked["of"], checked["examples"], checked["accuracy"]) == ("random inputs", 256, None)
    said = distill("export", run, "--quantize", "int8")
    assert said.code == 2
    assert said.err.startswith("distill: --quantize int8 sets the scales of this network on training examples, which")
    assert not (run / "export" / "student.int8.onnx").exists()


NOISE = Examples(None, torch.zeros(8, 3), "gone.")
SAID = Answers(torch.zeros(8, 2), None)


def _of_eight(raw):
    if len(raw) != 8:
        raise RuntimeError("shape '[8, 3]' is invalid\nand more")
    return torch.zeros(8, 2)


@pytest.mark.parametrize(
    ("predict", "sentence"),
    [
        (_of_eight, r"cannot be run on others \(shape '\[8, 3\]' is invalid\)"),
        (lambda raw: torch.full((len(raw), 2), torch.nan), "are not finite"),
        (lambda raw: torch.full((len(raw), 2), 0.5), "differ from the network's by up to 0.5"),
        (lambda raw: torch.zeros(8, 2), "depends on the size of the batch"),
    ],
)
def test_the_check_finds(predict, sentence):
    with pytest.raises(DistillError, match=sentence):
        check.compare(predict, NOISE, SAID, "a.onnx", 0.1)


def test_changed_answers_are_counted():
    def predict(raw):
        logits = torch.zeros(len(raw), 2)
        logits[-3:, 1] = 0.05
        return logits if len(raw) > 1 else logits * 0

    found = check.compare(predict, NOISE, SAID, "a.onnx", 0.1)
    assert (found.changed, found.difference) == (3, pytest.approx(0.05))


def test_networks_are_timed_in_turns():
    asked = []

    def network(name):
        def predict(raw):
            asked.append((name, len(raw)))
            return raw

        return predict

    check.latencies({name: network(name) for name in "ab"}, torch.zeros(64, 1))
    assert asked[:4] == [("a", 1), ("b", 1)] * 2
    assert asked[-4:] == [("a", 64), ("b", 64)] * 2

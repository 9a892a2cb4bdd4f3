"""What other programs find in an exported file: read here with nothing of distill."""

from __future__ import annotations

import json
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors
import torch
from torch import nn

from distill.export.program import captured

DEIT = (
    "model@teacher=cnn_teacher",
    "model@student=deit_tiny",
    "student.depth=1",
    "student.width=16",
    "student.heads=2",
)
VECTORS = ("dataset=tensors", "dataset.path={data}/vectors.npz", "dataset.limit_transfer=null", "model@student=mlp_30")


def _onnx(path, raw):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"inputs": raw})[0])


def _torchscript(path, raw):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        module = torch.jit.load(path)
    return module(torch.from_numpy(raw)).detach().numpy()


def _pt2(path, raw):
    return torch.export.load(path).module()(torch.from_numpy(raw)).detach().numpy()


READ = {"onnx": (".onnx", _onnx), "torchscript": (".pt", _torchscript), "pt2": (".pt2", _pt2)}


def _agree(run, format, expected):
    shape = json.loads((run / "run.json").read_text())["dataset"]["input_shape"]
    raw = np.random.default_rng(1).integers(0, 17, (256, *shape)).astype("float32")
    suffix, read = READ[format]
    file = str(run / "export" / f"student{suffix}")
    np.testing.assert_allclose(read(file, raw), expected(run, raw), atol=1e-4)
    np.testing.assert_allclose(read(file, raw[:1]), expected(run, raw[:1]), atol=1e-4)


@pytest.mark.parametrize("format", READ)
def test_a_file_of_a_redesigned_student_takes_raw_pictures_in_batches_of_any_size(exported, expected, format):
    _agree(exported, format, expected)


@pytest.mark.parametrize(
    ("words", "formats"),
    [
        (DEIT, ["torchscript"]),
        ((*VECTORS, "method=fitnet"), ["pt2", "torchscript"]),
    ],
    ids=["transformer of two heads", "vectors"],
)
def test_other_students_are_exported(trained, distill, expected, words, formats):
    run = trained(*words)
    said = distill("export", run, "--format", ",".join(formats))
    assert (said.code, said.err) == (0, "")
    for format in formats:
        _agree(run, format, expected)


def test_safetensors_holds_the_weights_of_the_student_without_adapters_and_what_to_do_with_them(
    trained, distill, table
):
    run = trained(*VECTORS, "method=fitnet")
    assert distill("export", run, "--format", "safetensors").code == 0
    with safetensors.safe_open(run / "export" / "student.safetensors", "np") as file:  # type: ignore[attr-defined]
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    row = next(row for row in table(run / "results.csv") if row["role"] == "student")
    assert int(row["adapters"]) > 0
    assert sum(tensor.size for tensor in tensors.values()) == int(row["params"]) == 12 * 30 + 30 * 30 + 30 * 4 + 64
    facts = json.loads((run / "run.json").read_text())["dataset"]
    assert json.loads(metadata["classes"]) == facts["classes"]
    assert json.loads(metadata["normalization"])["applied"] == "outside"
    assert json.loads(metadata["normalization"])["offset"] == facts["normalization"]["offset"]
    assert json.loads(metadata["network"])["widths"] == [30, 30]


def test_files_and_sidecars_say_what_goes_in_and_where_they_come_from(exported, table):
    run = exported
    folder, row = run / "export", next(row for row in table(run / "results.csv") if row["role"] == "student")
    session = onnxruntime.InferenceSession(str(folder / "student.onnx"), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    assert (given.name, given.shape, given.type) == ("inputs", ["batch", 1, 8, 8], "tensor(float)")
    script, program = {"distill.json": ""}, {"distill.json": ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.load(str(folder / "student.pt"), _extra_files=script)
    torch.export.load(folder / "student.pt2", extra_files=program)
    metadata = session.get_modelmeta().custom_metadata_map
    in_files = [
        {"run": metadata["run"], "signature": metadata["signature"], "input": json.loads(metadata["input"])},
        json.loads(script["distill.json"]),
        json.loads(program["distill.json"]),
    ]
    sidecar = json.loads((folder / "student.onnx.json").read_text())
    for facts in [*in_files, sidecar]:
        assert facts["run"] == run.name
        assert facts["signature"] == row["signature"]
        assert facts["input"]["shape"] == ["batch", 1, 8, 8]
        assert facts["input"]["raw_range"] == [0.0, 16.0]
        assert facts["input"]["expects"] == "raw"
    assert sidecar["classes"] == [str(digit) for digit in range(10)]
    assert sidecar["accuracy"] == float(row["accuracy"])
    assert sidecar["versions"]["onnxruntime"] == onnxruntime.__version__
    assert sidecar["check"]["examples"] == 256


def test_normalisation_stays_outside_and_the_opset_is_another_when_asked(exported, distill, expected, tmp_path):
    file = tmp_path / "bare.onnx"
    assert distill("export", exported, "--normalize", "outside", "--opset", "18", "--output", file).code == 0
    said = json.loads((tmp_path / "bare.onnx.json").read_text())
    assert (said["input"]["expects"], said["normalization"]["applied"]) == ("normalized", "outside")
    raw = np.random.default_rng(2).integers(0, 17, (3, 1, 8, 8)).astype("float32")
    normal = (raw - said["normalization"]["offset"][0]) * said["normalization"]["scale"][0]
    np.testing.assert_allclose(_onnx(str(file), normal.astype("float32")), expected(exported, raw), atol=1e-4)
    assert [each.version for each in onnx.load(file).opset_import if each.domain == ""] == [18]


class _Counting(nn.Module):
    def forward(self, inputs):
        return inputs.reshape(len(inputs), -1)


def test_a_network_that_counts_its_batch_with_len_is_captured_for_any_batch():
    assert captured(_Counting(), torch.zeros(2, 3, 4)).module()(torch.zeros(5, 3, 4)).shape == (5, 12)

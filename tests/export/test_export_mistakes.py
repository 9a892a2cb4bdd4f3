"""What cannot be exported is told in one sentence, and nothing is left."""

from __future__ import annotations

import importlib.util

import pytest


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["{run}", "--format", "onx"], "--format 'onx' is not allowed (did you mean 'onnx'?): it must be one or more"),
        (["{run}", "--format", "onnx,"], "--format '' is not allowed"),
        (["{run}", "--quantize", "int4"], "'int4' is not allowed"),
        (["{run}", "--quantize", "int8", "--format", "pt2"], "--quantize int8 is not allowed with --format pt2"),
        (["{run}", "--normalize", "inside", "--format", "safetensors"], "--normalize inside is not allowed"),
        (["{run}", "--role", "assistant"], "--role assistant is not allowed"),
        (["{run}", "--opset", "11"], "--opset 11 is not allowed: it must be 18 to"),
        (["{run}", "--opset", "20", "--format", "pt2"], "--opset is not allowed with --format pt2: it is for onnx."),
        (["{run}", "--tolerance", "nan"], "nan is not allowed: it must be a number above 0"),
        (["{run}", "--output", "a.pt"], "--output a.pt is not allowed: a file of onnx ends in .onnx."),
        (["{run}", "--output", "a.onnx", "--format", "onnx,pt2"], "--output names one file"),
        (["{run}", "--output", "{run}/run.json/a.pt2", "--format", "pt2"], "run.json cannot be read or written"),
        (["nowhere"], "There is no nowhere"),
        ([], "the following arguments are required: RUN"),
    ],
)
def test_mistakes_are_one_sentence(exported, distill, tmp_path, words, sentence):
    before = sorted(exported.rglob("*"))
    said = distill("export", *(word.format(run=exported) for word in words))
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err
    assert len(said.err.splitlines()) == 1
    assert sorted(exported.rglob("*")) == before
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(exported, distill, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else there(name))
    said = distill("export", exported)
    assert said.code == 2
    assert said.err == "distill: --format onnx needs onnxruntime, an extra: pip install 'distill[onnx]'.\n"

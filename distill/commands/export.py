"""`distill export`: a trained network as a file that other programs read."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from distill.commands.parser import Parser
from distill.errors import DistillError
from distill.files import require_writable

HELP = """\
Write the student of a run, without what the method trained beside it, as a file that other programs read; then read
that file back and check it against the student.

Usage
  distill export RUN [--format NAMES] [--role ROLE] [--quantize int8] [--normalize inside|outside]
                     [--output FILE] [--opset N] [--tolerance X]

  RUN          the folder of a run, or the weights of one of its networks
  --format     one or more of onnx, torchscript, pt2, safetensors, with commas (default: onnx, an extra:
               pip install 'distill[onnx]'); torch calls TorchScript deprecated; safetensors is weights alone
  --role       which network (default: student)
  --quantize   int8, of onnx: static for networks of convolutions, with scales set on up to 512 training examples;
               dynamic for MLPs and transformers
  --normalize  inside: the file takes raw values, such as pixels 0 to 255 as float32 (default); outside: it takes
               them normalised, as the file's .json says (always so for safetensors)
  --output     where to write one file (default: RUN/export/ROLE with the ending of the format)
  --opset      version of ONNX's operators, 18 or newer (default: what the exporter of torch prefers)
  --tolerance  how far any logit may differ (default: 0.001; in int8 any distance, and accuracy tells)

Examples
  distill export outputs/runs/2026-11-21_10-00-00-000000
  distill export outputs/runs/2026-11-21_10-00-00-000000 --format onnx,pt2,safetensors
  distill export outputs/runs/2026-11-21_10-00-00-000000 --quantize int8 --output phone/student.onnx

Beside each file lies FILE.json: its input, normalisation, class names, origin, and what the check found on the test
examples. RUN/export/exports.csv has a row per file: accuracy, size and latency beside the student's. A file that fails
its check is not kept."""


def run(words: list[str]) -> int:
    """Writes and checks the files of one network."""
    parser = Parser("export")
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--role")
    parser.add_argument("--format", default="onnx")
    parser.add_argument("--quantize", choices=["int8"])
    parser.add_argument("--normalize", choices=["inside", "outside"])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--opset", type=int)
    parser.add_argument("--tolerance", type=_distance)
    asked = parser.parse_args(words)

    from rich.console import Console
    from rich.text import Text

    from distill.experiments.saved import open_run
    from distill.export.export import Wanted, export
    from distill.export.file import Wish
    from distill.export.formats import named

    formats = named(asked.format)
    _check(asked, formats)
    wish = Wish(asked.quantize is not None, asked.normalize != "outside", asked.opset, asked.tolerance)
    wanted = Wanted(formats, wish, asked.role, asked.output)
    console = Console()
    written = export(open_run(asked.run), wanted, console)
    console.print(Text("\n  ".join(["\nWritten:", *map(str, written)])), soft_wrap=True)
    return 0


def _check(asked: argparse.Namespace, formats: tuple[str, ...]) -> None:
    """Refuses what does not go together.

    Raises:
        DistillError: Something does not.
    """
    from distill.export.formats import KINDS

    for name in formats:
        kind = KINDS[name]
        if asked.quantize and not kind.quantizes:
            able = ", ".join(other for other in KINDS if KINDS[other].quantizes)
            raise DistillError(f"--quantize int8 is not allowed with --format {name}: it is there for {able}.")
        if asked.normalize == "inside" and not kind.graph:
            raise DistillError(
                f"--normalize inside is not allowed with --format {name}: it holds weights, and nothing that computes."
            )
    if asked.opset is not None:
        if "onnx" not in formats:
            raise DistillError(f"--opset is not allowed with --format {asked.format}: it is for onnx.")
        from distill.export.onnx import check_opset

        check_opset(asked.opset)
    if asked.output is None:
        return
    name, *others = formats
    if others:
        raise DistillError("--output names one file: give one --format with it, or leave it out.")
    if asked.output.suffix != KINDS[name].suffix:
        raise DistillError(f"--output {asked.output} is not allowed: a file of {name} ends in {KINDS[name].suffix}.")
    if asked.output.is_dir():
        raise DistillError(f"--output {asked.output} is not allowed: it is a folder.")
    require_writable(asked.output)


def _distance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not allowed: it must be a number above 0")
    return value

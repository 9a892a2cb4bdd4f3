"""`distill eval`: saved networks, measured on any data set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from distill.commands.parser import Parser
from distill.errors import DistillError
from distill.files import require_writable

if TYPE_CHECKING:
    from distill.config.schema import Config
    from distill.experiments.shifting import Conditions
    from distill.results.rows import Row

HELP = """\
Measure networks that are trained already, on the data set of their run or on another one; what was stored stays.

Usage
  distill eval RUN [--role ROLE|all] [dataset=NAME] [dataset.KEY=VALUE ...] [device=...] [precision=...] [--csv FILE]
  distill eval FILE model=NAME [model.KEY=VALUE ...] dataset=NAME [dataset.KEY=VALUE ...] [--csv FILE]
  distill eval RUN|FILE ... [shift=NAME,... [shift.KEY=VALUE ...]] [adapt=test_time [adapt.KEY=VALUE ...]]

  RUN        the folder of a run, or one of its files checkpoints/ROLE.safetensors, for that network alone
  FILE       weights that no run left: .safetensors, or .pt/.pth that holds only tensors
  --role     teacher, baseline, student or all (default: all)
  dataset    as for `distill train`; without a name, the run's own data set with these keys changed
  device, precision    as for `distill train` (default: auto, and the precision that the network trained in)
  model      the network that FILE is of, as `distill list models` shows it
  shift      noise, jitter, blur, or several: the test examples under each, next to the clean ones; shift.severity=1..5
             (default 3), shift.seed (default 0)
  adapt      test_time: next to that a copy of the network, which learns from each batch of test examples when it has
             answered it, without labels, from a moving average of itself; adapt.steps on each batch (1; 0: nothing but
             batch norm's statistics), adapt.lr (0.001), adapt.decay of the average (0.999), adapt.parameters=norm|all
             (norm where there are some), adapt.batch_size (200), adapt.seed (0)
  --csv      also write the rows, with all columns of results.csv

Another data set must have the classes of the run, by name and in order, and inputs of the same shape. Networks of a
run see them normalised as they learned it; for FILE the data set's own `normalize` counts. All pictures of a folder
are the test examples with dataset=imagefolder dataset.train=FOLDER dataset.test=FOLDER.

Examples
  distill eval outputs/runs/2026-11-21_10-00-00-000000 dataset=tensors dataset.path=new.npz --csv new.csv
  distill eval outputs/runs/2026-11-21_10-00-00-000000 --role student shift=noise,jitter,blur adapt=test_time
  distill eval resnet20.pt model=resnet20 dataset=cifar100 dataset.normalize=given dataset.mean=[0.5] dataset.std=[0.25]

Prints a row per network: what it reaches, how sure it is of it, how alike its teacher, how fast. Only --csv writes."""

_KEYS = ("dataset", "model", "device", "precision", "shift", "adapt")
_CONDITIONS = ("shift", "adapt")


def run(words: list[str]) -> int:
    """Measures saved networks."""
    parser = Parser("eval")
    parser.add_argument("given", metavar="RUN|FILE", nargs="+")
    parser.add_argument("--role")
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_intermixed_args(words)
    path, overrides = Path(asked.given[0]), asked.given[1:]
    for word in overrides:
        _require_known(word)
    if asked.csv is not None:
        require_writable(asked.csv)

    from rich.console import Console
    from rich.text import Text

    from distill.results.find import around
    from distill.results.measured import print_measured
    from distill.results.rows import write_csv
    from distill.results.shifted import print_shifted

    under = _conditions([word.lstrip("+") for word in overrides if _is_condition(word)], path)
    foreign = path.is_file() and around(path) is None
    others = [word for word in overrides if not _is_condition(word)]
    rows, remarks = (_file if foreign else _run)(path, others, asked.role, under)
    console = Console()
    (print_shifted if under else print_measured)(rows, console)
    for remark in remarks:
        console.print(Text(remark))
    if asked.csv is not None:
        console.print(Text(f"Written: {write_csv(rows, asked.csv)}"), soft_wrap=True)
    return 0


def _require_known(word: str) -> None:
    key, equals, _ = word.lstrip("+").partition("=")
    if not equals:
        raise DistillError(f"{word!r} is not an override: write key=value, such as dataset=mnist.")
    if key.partition(".")[0] not in _KEYS or key.partition("@")[1]:
        raise DistillError(
            f"{word} is not allowed: of a network that is trained already, `distill eval` takes "
            f"{', '.join(f'{known}=' for known in _KEYS)} and their keys."
        )


def _is_condition(word: str) -> bool:
    return word.lstrip("+").partition("=")[0].partition(".")[0] in _CONDITIONS


def _conditions(words: list[str], path: Path) -> Conditions | None:
    if not words:
        return None
    from distill.experiments.shifting import conditions

    if path.suffix in (".onnx", ".pt2", ".ts"):
        raise DistillError(
            f"{path} is not allowed with {words[0]}: an exported file cannot learn; give the run that it came from, or "
            "its checkpoints/ROLE.safetensors."
        )
    return conditions(words)


def _run(path: Path, words: list[str], role: str | None, under: Conditions | None) -> tuple[list[Row], list[str]]:
    from distill.config.overrides import anew, changed
    from distill.data import load
    from distill.experiments.evaluation import Measuring, normalization_for, remarks, targets_for, unlearned
    from distill.experiments.saved import REGISTRIES, open_run
    from distill.experiments.shifting import Shifting
    from distill.training import device as devices

    run = open_run(path)
    named = next((word for word in words if re.match(r"\+*model[.=]", word)), None)
    if named is not None:
        raise DistillError(f"{named} is not allowed: {run.folder} knows its networks.")
    rows = [each for each, node in run.nodes.items() if node.row]
    roles = rows if role in (None, "all") and (run.asked is None or role == "all") else [run.role(role)]
    keys = [word.lstrip("+").partition("=")[0] for word in words]
    if "dataset" in keys:
        config = anew(words, REGISTRIES)
        data = load(config.dataset)
    else:
        config = changed(run.resolved(), words, REGISTRIES)
        data = run.data(config.dataset if any(key.startswith("dataset.") for key in keys) else None)
    data = targets_for(run, data)
    device = devices.resolve(config.run.device if "device" in keys else "auto")
    if under is not None:
        if data.targets is not None:
            raise DistillError("shift= and adapt= are not allowed with a regression: they are about classes.")
        _require_fp32(words, config)
        if any(run.seen_by(each).seen != "whole" for each in roles):
            raise DistillError(
                f"shift= and adapt= are not allowed with networks that see a variant of {data.name}, as those of "
                f"{run.folder} do."
            )
        shifting = Shifting(data, normalization_for(run, data), under, device)
        return shifting.of_run(run, roles), [*remarks(run, data), *shifting.remarks()]
    kept = unlearned(run, data, config.dataset)
    measuring = Measuring(kept, normalization_for(run, data), device)
    rows = measuring.of_run(run, roles, config.run.precision if "precision" in keys else None)
    said = remarks(run, data)
    if kept is not data:
        said.append("Nothing is measured on validation examples: the run divided its data otherwise, and learned some.")
    return rows, said


def _file(path: Path, words: list[str], role: str | None, under: Conditions | None) -> tuple[list[Row], list[str]]:
    from distill.config.overrides import anew
    from distill.data import load
    from distill.experiments.evaluation import Measuring
    from distill.experiments.saved import REGISTRIES
    from distill.experiments.shifting import Shifting
    from distill.training import device as devices

    if role is not None:
        raise DistillError(f"--role {role} is not allowed: {path} is no file of a run.")
    for key in ("model", "dataset"):
        if not any(word.lstrip("+").startswith(f"{key}=") for word in words):
            raise DistillError(
                f"{path} lies in no run, so that nothing tells what it is of: give {key}=NAME, one of those that "
                f"`distill list {key}s` shows."
            )
    config = anew(words, REGISTRIES)
    data = load(config.dataset)
    device = devices.resolve(config.run.device)
    remark = (
        f"Measured on {len(data.test):,} test examples of {data.name}; inputs are normalised as "
        f"dataset.normalize={config.dataset.normalize} says, which must be as the network learned them."
    )
    if under is not None:
        _require_fp32(words, config)
        shifting = Shifting(data, data.normalization, under, device)
        return shifting.of_file(path, config), [remark, *shifting.remarks()]
    return Measuring(data, data.normalization, device).of_file(path, config), [remark]


def _require_fp32(words: list[str], config: Config) -> None:
    wanted = config.run.precision
    if any(word.lstrip("+").startswith("precision=") for word in words) and wanted not in ("auto", "fp32"):
        raise DistillError(
            f"precision={wanted} is not allowed with shift= or adapt=: these are measured in fp32; leave it out."
        )

"""What `distill --help` and `distill COMMAND --help` print."""

from __future__ import annotations

from distill import commands
from distill.config.words import did_you_mean
from distill.errors import DistillError

_GENERAL = """\
distill: does knowledge distillation help here, by how much, and what does the smaller network save?

Usage
  distill train [group=option] [key=value] ...   train teacher, baseline and distilled student, and compare
  distill train resume=FOLDER                    continue a run or sweep that was interrupted
  distill search space=NAME [budget.params=N]    which student: the best of each size under a budget
  distill watch [PATH]                           how far running sweeps and runs are, live
  distill report [PATH ...]                      tables, verdict, plots and pages (HTML, LaTeX ...) from run folders
  distill inspect RUN [T=1,3,10]                 what the teacher knows: soft targets, classes alike, disagreements
  distill eval RUN|FILE [dataset=...]            measure trained networks on any data set
  distill predict RUN INPUT ...                  label pictures with a network of a run
  distill export RUN [--format onnx,...]         the student as a file for other programs, checked
  distill card RUN                               a model card from what a run recorded
  distill list KIND [NAME]                       models, datasets, methods, hparams, experiments, trackers or spaces
  distill store ls | rm NAME ...                 the trained networks that are kept for reuse
  distill COMMAND --help                         more about one of them
  distill --version

Examples
  distill train method=hinton T=4
  distill train -m T=1,2,4,8 alpha=0.3,0.7
  distill report outputs/sweeps

Results land in outputs/: runs/<time>/ for each run, likewise sweeps/ and searches/; store/ keeps the networks.
Completion of commands, groups and keys: eval "$(distill -sc install=bash)"."""


def of(topic: str | None) -> str:
    """The help text of a command; of distill itself for `None`.

    Raises:
        DistillError: There is no such command.
    """
    if topic is None:
        return _GENERAL
    if topic not in commands.COMMANDS:
        hint = did_you_mean(topic, commands.COMMANDS)
        allowed = ", ".join(commands.COMMANDS)
        raise DistillError(f"There is no command {topic!r}{hint}: it must be one of {allowed}.")
    return commands.find(topic).HELP

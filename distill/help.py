"""What `distill --help` and `distill COMMAND --help` print."""

from __future__ import annotations

from distill.config.words import did_you_mean
from distill.errors import DistillError

_GENERAL = """\
distill: does knowledge distillation help here, by how much, and what does the smaller network save?

Usage
  distill train [group=option] [key=value] ...   train teacher, baseline and distilled student, and compare
  distill train resume=FOLDER                    continue a run or sweep that was interrupted
  distill report [PATH ...]                      rebuild tables, plots and verdict from run folders
  distill list KIND [NAME]                       models, datasets, methods, hparams or experiments
  distill store ls | rm NAME ...                 the trained networks that are kept for reuse
  distill COMMAND --help                         more about one of them
  distill --version

Examples
  distill train method=hinton T=4
  distill train -m T=1,2,4,8 alpha=0.3,0.7
  distill report outputs/sweeps

Results land in outputs/: runs/<time>/ for each run, sweeps/<time>/ for each sweep, store/ for networks.
Completion of commands, groups and keys: eval "$(distill -sc install=bash)"."""

_REPORT = """\
Rebuild tables, plots and verdict from the folders that runs and sweeps left; nothing is trained.

Usage
  distill report [PATH ...] [--output FOLDER]

  PATH      a run, a sweep, or a folder that holds any of them (default: outputs); several are joined
  --output  where to write (default: the folder that was given; `report` for several)

Examples
  distill report
  distill report outputs/sweeps/2026-11-21_10-00-00-000000
  distill report outputs/runs other/outputs --output comparison

Prints the table and the verdict, and writes report.csv, report.md and plots (accuracy over T and alpha when
a sweep varied them) to the output folder; a run that lacks its curves.png gets it."""

_LIST = """\
List what `distill train` can choose from, with one line for each: methods by family, with what they read of the
networks, their paper and its year.

Usage
  distill list models | datasets | methods | hparams | experiments
  distill list KIND NAME       one of them, with every option, its default and its meaning

Examples
  distill list methods         then: distill train method=rkd
  distill list methods dkd     then: distill train method=dkd method.non_target_weight=2
  distill list models          then: distill train model@teacher=cnn_teacher model@student=cnn_student

Nothing is written. Files of your own in a folder given as `--config-dir` are not listed here."""

_STORE = """\
Look into the store of trained networks, which later runs with the same settings reuse.

Usage
  distill store ls [--dir FOLDER]
  distill store rm NAME ... [--dir FOLDER]     NAME: a signature, the beginning of one, or role-signature
  distill store rm --all [--dir FOLDER]        everything, unfinished trainings too

Examples
  distill store ls
  distill store rm student-3f2a
  distill store rm --all --dir elsewhere/store

The store is outputs/store unless `store.dir` says otherwise. Runs keep their own copy of the weights and
their own tables, so that removing a network loses no result."""

_TOPICS = {"report": _REPORT, "list": _LIST, "store": _STORE}


def of(topic: str | None) -> str:
    """The help text of a command; of distill itself for `None`.

    Raises:
        DistillError: There is no such command.
    """
    if topic is None:
        return _GENERAL
    if topic == "train":
        return "Run `distill train --help`: it shows the groups and keys of this installation."
    if topic not in _TOPICS:
        hint = did_you_mean(topic, ["train", *_TOPICS])
        raise DistillError(f"There is no command {topic!r}{hint}: it must be one of train, {', '.join(_TOPICS)}.")
    return _TOPICS[topic]

"""`distill search`: which student to take."""

from __future__ import annotations

import os

HELP = """\
Search for a student: candidates of a space that keep a budget are trained under distillation, those without hope for
a short while only; the best of each size is shown.

Usage
  distill search space=NAME|FILE [budget.params=N] [budget.flops=N] [budget.latency_ms=X] [trials=20]
                 [strategy=both|tpe|random] [halving=3] [any key of `distill train`]

  space      what to choose from, as `distill list spaces` shows it, or a YAML file of your own (below)
  budget     what a student may cost: parameters, FLOPs of one example, milliseconds for one; 200k, 5M; several at once.
             Candidates over it are counted and never trained. The front is of parameters and accuracy, or of what is
             limited where parameters are not.
  trials     candidates that are trained, for each strategy
  strategy   random; tpe (extra optuna), whose first half, up to ten, are those of random; both: the control beside it
  halving    all candidates train for 1/9 of the epochs, one in 3 for 1/3, one in 3 of these in full; 1: all in full

The rest is an ordinary run: its teacher is trained once, its method teaches every candidate, its student.* is what is
searched for. Candidates are compared on validation examples (dataset.val_fraction, 0.2 unless you say otherwise);
test accuracy is told of the front and chooses nothing. The same command again goes on and trains nothing twice.

A space of your own has a family of networks per key: `model`, as in `distill list models`, and of any of its options
what it may be: [a, b] one of these; {from: 8, to: 64} a whole number, evenly on a log scale, or evenly with step: 8;
{layers: [1, 2], each: ...} a list; {times: [1, 2, 4], of: ...} multiples of one number.

Examples
  distill search space=mlp budget.params=2500 strategy=random
  distill search space=conv budget.params=200k trials=20 dataset=mnist model@teacher=cnn_teacher method=dkd
  distill search space=mine.yaml budget.flops=5M budget.latency_ms=0.5 halving=1 hparams.student.epochs=30

Results go to outputs/searches/<time>/: search.csv (every candidate), search.json, front.png. It ends with the command
that trains the winner beside its baseline, on fresh seeds."""


def run(words: list[str]) -> int:
    """Searches."""
    from distill.search.options import parse

    options, rest = parse(words)
    # Before torch is imported: beside other work on the machine, threads that wait for longer slow one another down.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    from distill.search import run as searching

    searching.run(options, words, rest)
    return 0

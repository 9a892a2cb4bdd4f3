"""`distill list`: what there is to choose from."""

from __future__ import annotations

from distill.commands.parser import Parser

HELP = """\
List what `distill train` and `distill search` can choose from, with one line for each: methods by family, with what
they read of the networks, their paper and its year.

Usage
  distill list models | datasets | methods | hparams | experiments | trackers | spaces
  distill list KIND NAME       one of them, with every option, its default and its meaning

Examples
  distill list methods         then: distill train method=rkd
  distill list methods dkd     then: distill train method=dkd method.non_target_weight=2
  distill list models          then: distill train model@teacher=cnn_teacher model@student=cnn_student

Nothing is written. Files of your own in a folder given as `--config-dir` are not listed here."""


def run(words: list[str]) -> int:
    """Lists the options of a group, or one of them."""
    from distill.config.listing import show
    from distill.config.tree import KINDS

    parser = Parser("list")
    parser.add_argument("kind", choices=KINDS, metavar="|".join(KINDS))
    parser.add_argument("name", nargs="?")
    asked = parser.parse_args(words)
    show(asked.kind, asked.name)
    return 0

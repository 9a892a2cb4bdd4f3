"""`distill card`: a model card."""

from __future__ import annotations

from pathlib import Path

from distill.commands.parser import Parser

HELP = """\
Write a model card of a trained network, in Markdown, from nothing but what its run recorded.

Usage
  distill card RUN [--role ROLE] [--output FILE]

  RUN       the folder of a run that has finished, also one of a sweep
  --role    of the network, as the table of the run calls it (default: student)
  --output  where to write (default: card.md in the run's folder); - prints it

Examples
  distill card outputs/runs/2026-11-21_10-00-00-000000
  distill card outputs/runs/2026-11-21_10-00-00-000000 --output README.md
  distill card outputs/sweeps/2026-11-21_10-00-00-000000/3_T=4,seed=0 --role teacher --output -

The card says what the network is, what it learned from and how, how good and how fast it is, how sure that is (over
the other seeds of its sweep), how to use it, and how to make it again. Its head is read by model hubs; what nobody
recorded, such as what it is meant for, it says was not recorded. Nothing else is written."""


def run(words: list[str]) -> int:
    """Writes a card."""
    from distill.files import write_text
    from distill.results.card.page import page

    parser = Parser("card")
    parser.add_argument("run", metavar="RUN", type=Path)
    parser.add_argument("--role")
    parser.add_argument("-o", "--output", type=Path)
    asked = parser.parse_args(words)
    text, folder = page(asked.run, asked.role)
    if asked.output == Path("-"):
        print(text, end="")
        return 0
    print(f"Written: {write_text(asked.output or folder / 'card.md', text)}")
    return 0

"""The opening comments of conf/method/*.yaml, which `distill list methods` shows."""

import re

import pytest

from distill.config import tree
from distill.config.listing import FAMILIES
from distill.methods import create

CHOICES = {choice.name: choice for choice in tree.choices("method")}


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_a_method_says_its_family_what_it_reads_and_its_paper(name):
    choice = CHOICES[name]
    assert choice.fact("family") in FAMILIES
    assert choice.fact("reads")
    assert any(line.startswith("loss = ") for line in choice.opening)
    if name in ("none", "compose"):  # which are of no paper
        return
    assert re.match(r"^\w.*[\w.] (19|20)\d\d, https://\S+", choice.fact("paper"))


@pytest.mark.parametrize("name", sorted(set(CHOICES) - {"none", "compose"}))
def test_a_method_reads_what_its_file_says(name):
    said = {part.strip() for part in CHOICES[name].fact("reads").split(",")}
    assert said - {"logits"} == create(name).taps
    assert said <= {"logits", "embedding", "features", "preactivations", "heads"}

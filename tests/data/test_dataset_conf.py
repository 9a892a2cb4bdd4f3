from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from distill.config.registry import defaults
from distill.data import DatasetOptions, datasets

FOLDER = Path(__file__).parents[2] / "conf" / "dataset"
NAMES = datasets.names()
COMMON = {field.name for field in fields(DatasetOptions)} - {"name"}


def test_every_data_set_has_its_file_and_every_file_its_data_set():
    assert sorted(file.stem for file in FOLDER.glob("*.yaml")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_file_lists_every_option_of_its_own_with_the_default_of_the_code(name):
    text = (FOLDER / f"{name}.yaml").read_text()
    values = yaml.safe_load(text)
    options = datasets.find(name).options
    assert text.startswith("# ")
    assert values.pop("name") == name
    own = {field.name for field in fields(options)} - COMMON - {"name"}
    assert own <= set(values) <= own | COMMON
    stands = {key: value for key, value in values.items() if key in own and "${" not in str(value)}
    assert stands == {key: defaults(options)[key] for key in stands}

"""Networks of torchvision that are taken as they were published; nothing is downloaded here."""

import pytest
import torchvision.models as zoo

from distill.errors import ConfigError
from distill.models import create
from distill.models.networks.torchvision import TorchvisionOptions

AS_IT_IS = TorchvisionOptions(name="torchvision", architecture="resnet34", weights="IMAGENET1K_V1", train=False)


def test_published_weights_are_a_source_and_fresh_ones_are_none():
    assert AS_IT_IS.source == "torchvision (IMAGENET1K_V1)"
    assert TorchvisionOptions(name="torchvision", checkpoint="mine.pt", weights="DEFAULT").source == "mine.pt"
    assert TorchvisionOptions(name="torchvision").source is None


def test_they_are_refused_for_other_classes_than_theirs_before_anything_is_downloaded(monkeypatch):
    monkeypatch.setattr(zoo, "get_model", None)
    with pytest.raises(ConfigError, match=r"^teacher\.train=false .* resnet34 .* 1000 classes .* has 10; "):
        create(AS_IT_IS, (3, 64, 64), 10)

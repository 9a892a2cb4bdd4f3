"""Runs on a folder of pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file


@pytest.fixture
def photographs(tmp_path) -> Path:
    random = np.random.default_rng(0)
    for label in range(2):
        for number in range(20):
            file = tmp_path / "photographs" / f"class{label}" / f"{number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = random.integers(120 * label, 120 * label + 130, (5, 6, 3)).astype(np.uint8)
            Image.fromarray(pixels).resize((48, 40), Image.Resampling.BICUBIC).save(file)
    return tmp_path / "photographs"


def test_networks_are_the_same_bit_for_bit_wherever_pictures_are_kept(train, photographs):
    trained = []
    for keep in ("memory", "disk", "none"):
        left = train(
            "dataset=imagefolder",
            f"dataset.path={photographs}",
            "dataset.test_fraction=0.2",
            "dataset.size=8",
            "dataset.augment=crop_flip",
            "dataset.limit_transfer=null",
            f"dataset.keep={keep}",
            f"store.dir=store-{keep}",
            "hparams.epochs=2",
            "hparams.batch_size=8",
            "verbosity=quiet",
        )
        assert left.code == 0, left.said
        signatures = {row["role"]: row["signature"] for row in left.rows}
        weights = load_file(left.folder / "checkpoints" / "student.safetensors")
        trained.append((signatures, {name: tensor.tolist() for name, tensor in weights.items()}))
    assert trained[1] == trained[0]
    assert trained[2] == trained[0]

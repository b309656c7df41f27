"""The rotation task on files that are decoded as they are needed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.io
from PIL import Image

from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.loader import Loader
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.pretext.rotation import Rotation


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """12 + 4 images of 32 pixels in 2 classes."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 4)):
        for number in range(count):
            kind = tmp_path / "photos" / split / "ab"[number % 2]
            kind.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(kind / f"{number}.jpg")
    return tmp_path / "photos"


def test_the_rotated_copies_of_an_image_cost_one_decode(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted where all JPEGs are decoded, in torchvision."""
    data = load_dataset(DataSpec(f"imagefolder:{folder}", stream=True), workers=0)
    rotation = Rotation(make_backbone("nin3", width=0.05, mean=data.mean, std=data.std), data, Rotation.Options())
    decoded = []
    original = torchvision.io.decode_jpeg

    def counted(content: torch.Tensor, *options: Any, **more: Any) -> torch.Tensor:
        decoded.append(content)
        return original(content, *options, **more)

    monkeypatch.setattr(torchvision.io, "decode_jpeg", counted)
    inputs = sum(rotation.step(batch).inputs for batch in Loader(data.train, 6, seed=0, augment="resized-crop").epoch(0))
    assert (inputs, len(decoded)) == (4 * 12, 12)

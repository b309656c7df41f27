"""Resizing by matrices, against Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image

from rotnet_lib.pretext.parts.resizing import RESIZERS, Resizer, resize, resizing_matrix


@pytest.mark.parametrize("resizer", RESIZERS)
@pytest.mark.parametrize(("side", "size"), [(32, 16), (33, 10), (9, 24), (7, 7)])
def test_it_resizes_as_pillow_does(resizer: Resizer, side: int, size: int) -> None:
    """Pillow on numbers: on pixels it also cuts off what is beyond 255 between the two passes."""
    image = np.random.default_rng(0).integers(0, 256, (side, side), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(image.astype(np.float32)).resize((size, size), RESIZERS[resizer]))
    weights = torch.from_numpy(resizing_matrix(resizer, side, size).copy())
    found = resize(torch.from_numpy(image)[None, None].repeat(2, 3, 1, 1), weights)
    assert found.shape == (2, 3, size, size)
    assert np.abs(found.numpy() - expected.clip(0, 255)).max() <= 0.501


def test_each_image_may_have_weights_of_its_own() -> None:
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    pair = torch.stack([torch.from_numpy(resizing_matrix(resizer, 8, 4).copy()) for resizer in RESIZERS])[:2]
    together = resize(images, pair[:, None])
    for number in range(2):
        assert torch.equal(together[number], resize(images[number : number + 1], pair[number])[0])

"""Features of several layers on a grid: what is pooled, in which order, for which images."""

from types import SimpleNamespace

import psutil
import pytest
import torch

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.errors import RotnetError
from rotnet_lib.evaluation.grid_features import grid_features
from tests.weights import fresh


def test_maps_are_pooled_to_a_grid_and_laid_side_by_side(shapes_data: Dataset) -> None:
    backbone = fresh("nin3")
    found, labels = grid_features(backbone, ["conv3", "conv1"], shapes_data.train, grid=2)
    images = shapes_data.train.read(range(len(shapes_data.train)))
    with torch.no_grad():
        maps = backbone.eval().features(images, ["conv1", "conv3"])
    expected = []
    for layer in ("conv3", "conv1"):
        half = maps[layer].shape[-1] // 2
        quadrants = [
            maps[layer][..., y, x].amax((2, 3))
            for y in (slice(half), slice(half, None))
            for x in (slice(half), slice(half, None))
        ]
        expected.append(torch.stack(quadrants, 2).flatten(1))
    torch.testing.assert_close(found, torch.cat(expected, 1))
    assert torch.equal(labels, shapes_data.train.labels)


def test_a_map_smaller_than_the_grid_stays_as_it_is(shapes_data: Dataset) -> None:
    backbone = fresh("nin3")
    channels, height, width = backbone.shape("conv3", shapes_data.image_size)
    found, _ = grid_features(backbone, ["conv3"], shapes_data.test, grid=100)
    assert found.shape == (len(shapes_data.test), channels * height * width)


def test_features_that_are_not_finite_are_an_error(shapes_data: Dataset) -> None:
    backbone = fresh("nin3")
    with torch.no_grad():
        next(backbone.blocks["conv1"].parameters()).fill_(torch.nan)
    with pytest.raises(RotnetError, match="the features of conv1, conv2 are not finite"):
        grid_features(backbone, ["conv1", "conv2"], shapes_data.test, grid=4)


def test_features_that_do_not_fit_into_memory_are_refused_first(shapes_data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    with pytest.raises(RotnetError, match=r"features of 20 images take .* Take fewer layers, a smaller grid than 4, or fewer"):
        grid_features(fresh("nin3"), ["conv1"], shapes_data.test, grid=4)

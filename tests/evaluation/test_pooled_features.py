"""Pooled features are a layer's output averaged over its map, of each image that can be read, in order."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rotnet_lib.data.dataset import Dataset, load_dataset
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.errors import RotnetError
from rotnet_lib.evaluation.pooled_features import pooled_features
from tests.weights import fresh


def test_they_are_the_means_of_the_maps_of_each_image(shapes_data: Dataset) -> None:
    backbone = fresh("nin4")
    backbone.train()
    found = pooled_features(backbone, ["conv3", "conv1"], shapes_data.train)
    assert backbone.training  # as it was
    backbone.eval()
    assert list(found.layers) == ["conv3", "conv1"]
    assert len(found) == 40
    assert torch.equal(found.labels, shapes_data.train.labels)
    assert torch.equal(found.places, torch.arange(40))
    for place in (0, 17, 39):
        with torch.no_grad():
            maps = backbone.features(shapes_data.train.read([place]), ["conv1", "conv3"])
        for layer, features in found.layers.items():
            assert features.dtype == torch.float32
            torch.testing.assert_close(features[place], maps[layer][0].mean((1, 2)), rtol=1e-4, atol=1e-6)


def test_a_fully_connected_layer_is_as_it_is() -> None:
    backbone = fresh("alexnet")
    data = load_dataset(DataSpec("shapes", image_size=64, train_size=10, test_size=10))
    found = pooled_features(backbone, ["conv5", "fc7"], data.test)
    assert [len(features[0]) for features in found.layers.values()] == [
        backbone.shape(layer, 64)[0] for layer in ("conv5", "fc7")
    ]
    backbone.eval()
    with torch.no_grad():
        expected = backbone(data.test.read([4]))[0].flatten()
    torch.testing.assert_close(found.layers["fc7"][4], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("stream", [False, True])
def test_images_that_cannot_be_read_are_left_out(stream: bool, tmp_path: Path) -> None:
    for split, count in (("train", 5), ("test", 2)):
        for name in ("cat", "dog"):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                noise = np.random.default_rng([number, len(split)]).integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(noise).save(folder / f"{number}.png")
    (tmp_path / "photos" / "train" / "cat" / "1.png").write_bytes(b"no image")
    spec = DataSpec(f"imagefolder:{tmp_path / 'photos'}", image_size=32, stream=stream)
    data = load_dataset(spec, max_damaged=0.5, workers=0)
    backbone = fresh("nin3").eval()
    found = pooled_features(backbone, ["conv2"], data.train)
    assert found.labels.tolist() == [0] * 4 + [1] * 5  # those of the images that are there, not of the first nine
    assert found.places.tolist() == ([0, *range(2, 10)] if stream else list(range(9)))
    with torch.no_grad():
        maps = backbone.features(data.train.read(found.places.tolist()), ["conv2"])["conv2"]
    torch.testing.assert_close(found.layers["conv2"], maps.mean((2, 3)), rtol=1e-4, atol=1e-6)


def test_averages_are_in_float32_where_maps_are_in_bf16(shapes_data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rotnet_lib.training.devices.in_bf16", lambda device: True)
    backbone = fresh("nin3").eval()
    found = pooled_features(backbone, ["conv2"], shapes_data.test).layers["conv2"]
    assert found.dtype == torch.float32
    assert (found != found.bfloat16().float()).any()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        maps = backbone.features(shapes_data.test.read(range(20)), ["conv2"])["conv2"]
    assert maps.dtype == torch.bfloat16
    torch.testing.assert_close(found, maps.float().mean((2, 3)), rtol=1e-3, atol=1e-5)


def test_weights_that_have_diverged_are_named(shapes_data: Dataset) -> None:
    backbone = fresh("nin3")
    with torch.no_grad():
        next(layer for layer in backbone.blocks["conv2"].modules() if isinstance(layer, torch.nn.Conv2d)).weight.fill_(np.nan)
    assert len(pooled_features(backbone, ["conv1"], shapes_data.test)) == 20
    with pytest.raises(RotnetError, match="features of conv2 are not finite: the backbone's weights have diverged"):
        pooled_features(backbone, ["conv1", "conv2"], shapes_data.test)


def test_an_unknown_layer_is_named(shapes_data: Dataset) -> None:
    with pytest.raises(RotnetError, match="unknown layer of nin3 'conv4'"):
        pooled_features(fresh("nin3"), ["conv4"], shapes_data.test)

"""Taps, cutting and normalisation, which every arch shares."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.arch import scaled
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.normalize import Normalize
from rotnet_lib.seeds import seeded
from tests.weights import fresh


@pytest.fixture
def backbone() -> Backbone:
    with seeded(0, "test"):
        return make_backbone("nin4", width=0.1, mean=(100, 110, 120), std=(50, 60, 70)).eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_one_pass_gives_what_separate_passes_give(backbone: Backbone, images: torch.Tensor) -> None:
    together = backbone.features(images, ["conv4", "conv1", "conv2"])
    assert set(together) == {"conv1", "conv2", "conv4"}
    for layer, found in together.items():
        assert torch.equal(found, backbone.features(images, [layer])[layer])
        assert torch.equal(found, backbone.features(images, backbone.taps)[layer])


def test_a_layer_is_the_block_of_its_name_on_the_one_below(backbone: Backbone, images: torch.Tensor) -> None:
    features = backbone.features(images, backbone.taps)
    assert torch.equal(features["conv3"], backbone.blocks["conv3"](features["conv2"]))
    assert torch.equal(backbone(images), features["conv4"])


def test_a_pass_ends_at_the_deepest_layer_asked_for(backbone: Backbone, images: torch.Tensor) -> None:
    ran = []
    for name, block in backbone.blocks.items():
        block.register_forward_hook(lambda *_, name=name: ran.append(name))
    backbone.features(images, ["conv2", "conv1"])
    assert ran == ["conv1", "conv2"]


def test_an_unknown_layer_is_named_with_the_nearest(backbone: Backbone, images: torch.Tensor) -> None:
    message = r"unknown layer of nin4 'conv5'; did you mean 'conv\d'\? Allowed: conv1, conv2, conv3, conv4\."
    with pytest.raises(RotnetError, match=message):
        backbone.features(images, ["conv1", "conv5"])
    with pytest.raises(RotnetError, match=message):
        backbone.cut_after("conv5")
    with pytest.raises(RotnetError, match="did you mean 'conv3'"):
        backbone.check_layer("con3")


def test_cutting_drops_the_blocks_above(backbone: Backbone, images: torch.Tensor) -> None:
    before = backbone.features(images, ["conv2"])["conv2"]
    backbone.cut_after("conv2")
    assert backbone.taps == ("conv1", "conv2")
    assert torch.equal(backbone(images), before)
    assert not any("conv3" in name or "conv4" in name for name in backbone.state_dict())


def test_cutting_at_the_top_changes_nothing(backbone: Backbone) -> None:
    backbone.cut_after("conv4")
    assert backbone.taps == ("conv1", "conv2", "conv3", "conv4")


def test_another_stride_of_the_first_convolution_makes_larger_maps_of_the_same_weights(images: torch.Tensor) -> None:
    backbone = fresh("alexnet").eval()
    state = {name: value.clone() for name, value in backbone.state_dict().items()}
    assert backbone.stem_stride == 4
    assert backbone.shape("conv1", 64) == (3, 15, 15)
    backbone.stem_stride = 2
    assert backbone.stem_stride == 2
    assert backbone.shape("conv1", 64) == (3, 29, 29)
    assert backbone(images).shape == (3, 205, 1, 1)
    assert backbone.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in backbone.state_dict().items())
    copied = copy.deepcopy(backbone)
    backbone.stem_stride = 4
    assert (copied.stem_stride, backbone.stem_stride) == (2, 4)
    assert backbone.shape("conv1", 64) == (3, 15, 15)


@pytest.mark.slow
def test_a_compiled_backbone_follows_the_stride_and_still_refuses_small_images(images: torch.Tensor) -> None:
    backbone = fresh("alexnet").eval()
    compiled = torch.compile(backbone, backend="eager")
    large = torch.cat([images] * 2, 3).repeat(1, 1, 2, 1)
    for stride, given in ((4, large), (2, images), (4, large)):
        backbone.stem_stride = stride
        assert torch.equal(compiled(given), backbone(given))
    with pytest.raises(RotnetError, match="alexnet takes images of at least 31x31 pixels, not 20x20"):
        compiled(images[..., :20, :20])


@pytest.mark.parametrize("training", [True, False])
def test_asking_for_a_shape_leaves_no_trace(backbone: Backbone, training: bool) -> None:
    backbone.train(training)
    state = {name: value.clone() for name, value in backbone.state_dict().items()}
    assert backbone.shape("conv1", 32) == (10, 16, 16)
    assert backbone.shape("conv3", 28) == (19, 7, 7)
    assert all(module.training == training for module in backbone.modules())
    assert all(torch.equal(value, state[name]) for name, value in backbone.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_normalisation_is_channel_by_channel(images: torch.Tensor, dtype: torch.dtype) -> None:
    mean, std = np.array([100.0, 110, 120]), np.array([50.0, 60, 70])
    expected = (images.numpy().transpose(0, 2, 3, 1) - mean) / std
    result = Normalize(mean.tolist(), std.tolist())(images.to(dtype))
    np.testing.assert_allclose(result.numpy().transpose(0, 2, 3, 1), expected, rtol=1e-5, atol=1e-6)


def test_weights_carry_their_statistics(backbone: Backbone, images: torch.Tensor) -> None:
    other = make_backbone("nin4", width=0.1, mean=(0, 0, 0), std=(1, 1, 1)).eval()
    other.load_state_dict(backbone.state_dict())
    assert torch.equal(other(images), backbone(images))


@pytest.mark.parametrize(("arch", "hint"), [("nin", "did you mean 'nin"), ("nin6", "did you mean 'nin"), ("resnet", "")])
def test_an_unknown_arch_is_named(arch: str, hint: str) -> None:
    with pytest.raises(RotnetError) as error:
        make_backbone(arch, width=1, mean=(0,) * 3, std=(1,) * 3)
    assert f"unknown arch '{arch}'" in str(error.value)
    assert hint in str(error.value)
    assert "nin3, nin4, nin5" in str(error.value)


def test_the_same_seed_makes_the_same_weights() -> None:
    def weights(seed: int) -> dict[str, Any]:
        with seeded(seed, "weights"):
            return make_backbone("nin3", width=0.1, mean=(0,) * 3, std=(1,) * 3).state_dict()

    first, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    convs = [name for name in first if first[name].ndim == 4 and "blocks" in name]
    assert not any(torch.equal(first[name], other[name]) for name in convs)


@pytest.mark.parametrize(("channels", "width", "expected"), [(192, 1, 192), (192, 0.5, 96), (96, 0.25, 24), (96, 0.001, 1)])
def test_scaled_channels(channels: int, width: float, expected: int) -> None:
    assert scaled(channels, width) == expected

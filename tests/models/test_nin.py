"""NIN against the protocol's table and a forward pass written out with plain functions."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rotnet_lib.errors import RotnetError
from rotnet_lib.models import ARCHS
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.seeds import seeded


def make(blocks: int, width: float = 1.0) -> Backbone:
    with seeded(0, "test"):
        return make_backbone(f"nin{blocks}", width=width, mean=(125.3, 123.0, 113.9), std=(63.0, 62.1, 66.7))


@pytest.fixture(scope="module")
def nin5() -> Backbone:
    return make(5).eval()


def test_block_outputs_have_the_published_shapes(nin5: Backbone) -> None:
    with torch.no_grad():
        features = nin5.features(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), nin5.taps)
    assert {name: tuple(x.shape) for name, x in features.items()} == {
        "conv1": (2, 96, 16, 16),
        "conv2": (2, 192, 8, 8),
        "conv3": (2, 192, 8, 8),
        "conv4": (2, 192, 8, 8),
        "conv5": (2, 192, 8, 8),
    }


@pytest.mark.parametrize("blocks", [3, 4, 5])
def test_a_tap_for_every_block(blocks: int) -> None:
    assert make(blocks, 0.05).taps == ("conv1", "conv2", "conv3", "conv4", "conv5")[:blocks]


# Weights of the table's convolutions, k * k * in * out, and two numbers for every batch norm channel.
BLOCK_1 = (25 * 3 * 192 + 192 * 160 + 160 * 96) + 2 * (192 + 160 + 96)
BLOCK_2 = (25 * 96 * 192 + 192 * 192 + 192 * 192) + 2 * (3 * 192)
BLOCK_3 = (9 * 192 * 192 + 192 * 192 + 192 * 192) + 2 * (3 * 192)


@pytest.mark.parametrize("blocks", [3, 4, 5])
def test_parameter_counts_are_the_tables(blocks: int) -> None:
    assert sum(p.numel() for p in make(blocks).parameters()) == BLOCK_1 + BLOCK_2 + (blocks - 2) * BLOCK_3


def test_the_forward_pass_is_the_tables(nin5: Backbone) -> None:
    """Convolutions and batch norms in their order, pools where the table has them."""
    convs = [m for m in nin5.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in nin5.modules() if isinstance(m, nn.BatchNorm2d)]
    rng = torch.Generator().manual_seed(0)
    for norm in norms:  # as after training: not zero and one
        for values in (norm.running_mean, norm.bias.data):
            assert values is not None
            values.normal_(0, 0.2, generator=rng)
        for values in (norm.running_var, norm.weight.data):
            assert values is not None
            values.uniform_(0.5, 1.5, generator=rng)
    images = torch.randint(0, 256, (2, 3, 32, 32), generator=rng, dtype=torch.uint8)
    x = (images - torch.tensor([125.3, 123.0, 113.9])[:, None, None]) / torch.tensor([63.0, 62.1, 66.7])[:, None, None]
    kernels = []
    with torch.no_grad():
        for position, (conv, norm) in enumerate(zip(convs, norms, strict=True)):
            kernels.append(conv.kernel_size[0])
            x = F.conv2d(x, conv.weight, padding=conv.kernel_size[0] // 2)
            variance, mean = norm.running_var, norm.running_mean
            assert variance is not None
            assert mean is not None
            scale = norm.weight / torch.sqrt(variance + 1e-5)
            x = F.relu((x - mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None])
            if position == 2:
                x = F.max_pool2d(x, 3, stride=2, padding=1)
            if position == 5:
                x = F.avg_pool2d(x, 3, stride=2, padding=1)
        torch.testing.assert_close(nin5(images), x, rtol=1e-4, atol=1e-4)
    assert kernels == [5, 1, 1, 5, 1, 1, 3, 1, 1, 3, 1, 1, 3, 1, 1]


def test_weights_start_from_a_normal_distribution() -> None:
    """Convolutions N(0, sqrt(2 / (k * k * out))) without bias, batch norm 1 and 0."""
    for module in make(4).modules():
        if isinstance(module, nn.Conv2d):
            out, _, kernel, _ = module.weight.shape
            expected = math.sqrt(2 / (kernel * kernel * out))
            count = module.weight.numel()
            assert module.bias is None
            assert module.weight.std().item() == pytest.approx(expected, rel=5 / math.sqrt(2 * count))  # 5 standard errors
            assert abs(module.weight.mean().item()) < 5 * expected / math.sqrt(count)
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.eq(1).all()
            assert module.bias.eq(0).all()


@pytest.mark.parametrize("arch", ["nin3", "nin4", "nin5"])
def test_the_authors_start_is_that_of_torch_0_2(arch: str) -> None:
    """Convolutions U(-b, b), b = 1 / sqrt(k * k * in), batch norm's gain U(0, 1) and shift 0."""
    network = make(int(arch[-1]))
    with seeded(1, "test"):
        ARCHS[arch].starts["torch"](network)
    gains = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            _, channels, kernel, _ = module.weight.shape
            bound = 1 / math.sqrt(kernel * kernel * channels)
            assert 0.99 * bound < module.weight.abs().max().item() <= bound
            assert module.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
        if isinstance(module, nn.BatchNorm2d):
            gains.append(module.weight.detach())
            assert module.bias.eq(0).all()
    drawn = torch.cat(gains)
    assert 0 <= drawn.min().item() < 0.02
    assert 0.98 < drawn.max().item() <= 1
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.05)


def test_width_scales_every_block() -> None:
    shapes = [m.weight.shape[:2] for m in make(3, 0.25).modules() if isinstance(m, nn.Conv2d)]
    channels = [3, 48, 40, 24, 48, 48, 48, 48, 48, 48]
    assert [tuple(shape) for shape in shapes] == list(zip(channels[1:], channels[:-1], strict=True))


def test_one_pixel_is_enough(nin5: Backbone) -> None:
    assert nin5.min_image_size == 1
    assert nin5.shape("conv5", 1) == (192, 1, 1)
    with pytest.raises(RotnetError, match="nin5 takes images of at least 1x1 pixels, not 0x0"):
        nin5.shape("conv5", 0)


def test_its_protocol_is_that_of_cifar10() -> None:
    assert ARCHS["nin5"].benchmark == "cifar10"

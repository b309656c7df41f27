"""Layers rescaled to one ratio of gradient to weight, the outputs the same up to a factor."""

import math

import pytest
import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.folding import fold
from rotnet_lib.models.gradient_rescaling import LayerRatio, rescale_gradients
from rotnet_lib.models.rescaling import rescale_by_data
from rotnet_lib.seeds import seeded
from tests.models.own import own_backbone


def pictures(count: int = 8, side: int = 64) -> torch.Tensor:
    """Random images with structure at several scales: (count, 3, side, side) uint8."""
    rng = torch.Generator().manual_seed(0)
    images = torch.zeros(count, 3, side, side)
    for cells in (1, 4, 16):
        noise = torch.randn(count, 3, cells, cells, generator=rng)
        images += nn.functional.interpolate(noise, size=side, mode="nearest")
    return (127 + 40 * images).clamp(0, 255).byte()


def folded(arch: str = "alexnet", width: float = 0.05, side: int = 64) -> Backbone:
    """A folded backbone with biases of both signs, its layers as different as those of a loaded one."""
    with seeded(0, "test"):
        backbone = make_backbone(arch, width=width, mean=(120.0,) * 3, std=(60.0,) * 3)
        rescale_by_data(backbone, pictures(side=side))
        for module in backbone.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.2, 2)
                nn.init.normal_(module.bias, 0.2, 0.3)
    return fold(backbone)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def measured(backbone: Backbone, images: torch.Tensor) -> list[float]:
    """Ratio of gradient to weight of each layer, by the plain use of autograd, for the gradient that `rng()` draws."""
    backbone.zero_grad()
    output = backbone(images)
    output.backward(torch.randn(output.shape, generator=rng()))
    weights = [m.weight for m in backbone.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    found = [math.sqrt(w.grad.square().mean().item() / w.detach().square().mean().item()) for w in weights]
    backbone.zero_grad()
    return found


@pytest.mark.parametrize(
    ("arch", "width", "side"), [("alexnet", 0.05, 64), ("alexnet", 0.2, 64), ("alexnet", 0.05, 96), ("nin3", 0.1, 16)]
)
def test_afterwards_all_ratios_are_equal_and_the_outputs_the_same_up_to_a_factor(arch: str, width: float, side: int) -> None:
    backbone, images = folded(arch, width, side), pictures(side=side)
    start, before = measured(backbone, images), backbone(images).detach()
    assert max(start) / min(start) > 1.5
    layers = rescale_gradients(backbone, images, rng())
    end, after = measured(backbone, images), backbone(images).detach()
    assert max(end) / min(end) < 1.02
    assert [layer.before for layer in layers] == pytest.approx(start, rel=1e-4)
    assert [layer.after for layer in layers] == pytest.approx(end, rel=1e-4)
    factor = math.prod(layer.scale for layer in layers)
    torch.testing.assert_close(after, factor * before, rtol=1e-3, atol=1e-5 * after.abs().max().item())
    assert after.flatten(2).mean(2).std(0).mean() == pytest.approx(1, abs=0.6)  # the outputs' spread moves towards 1


def test_every_tap_keeps_its_output_up_to_a_factor() -> None:
    backbone, images = folded(), pictures()
    before = backbone.features(images, backbone.taps)
    layers = rescale_gradients(backbone, images, rng())
    after = backbone.features(images, backbone.taps)
    assert [layer.name for layer in layers] == list(backbone.taps)
    factor = 1.0
    for layer in layers:
        factor *= layer.scale
        torch.testing.assert_close(after[layer.name], factor * before[layer.name], rtol=1e-3, atol=1e-4)


def test_a_plain_loop_gives_the_same() -> None:
    """The algorithm on its own terms, biases scaled by the input's growth as philkr/magic_init estimates it."""
    backbone, images = folded(), pictures()
    plain = fold(backbone)
    layers = [m for m in plain.modules() if isinstance(m, nn.Conv2d | nn.Linear)]

    def inputs() -> list[float]:
        """Mean absolute input of each layer."""
        found: list[float] = []
        hooks = [layer.register_forward_hook(lambda _, x, __: found.append(x[0].abs().mean().item())) for layer in layers]
        plain(images)
        for hook in hooks:
            hook.remove()
        return found

    for _ in range(10):
        output_std = plain(images).detach().flatten(1).numpy().std(axis=0).mean()
        ratios = measured(plain, images)
        target = math.exp(sum(math.log(r) for r in ratios) / len(ratios)) * output_std ** (1 / len(ratios))
        if all(abs(math.log(r) / math.log(target) - 1) < 0.01 for r in ratios):
            break
        for place, (layer, ratio) in enumerate(zip(layers, ratios, strict=True)):
            old = inputs()[place]
            with torch.no_grad():
                layer.weight *= math.sqrt(ratio / target)
            new = inputs()[place]
            assert new == pytest.approx(old)  # a layer's input does not depend on its own weights
            with torch.no_grad():
                assert layer.bias is not None
                layer.bias *= math.sqrt(ratio / target)
                for above in layers[place + 1 :]:
                    assert above.bias is not None
                    above.bias *= math.sqrt(ratio / target)
    rescale_gradients(backbone, images, rng())
    for (name, a), (_, b) in zip(backbone.named_parameters(), plain.named_parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6, msg=name)


def test_the_same_generator_gives_the_same_and_another_does_not() -> None:
    images = pictures()
    found = []
    for seed in (0, 0, 1):
        backbone = folded()
        rescale_gradients(backbone, images, rng(seed))
        found.append(backbone.get_parameter("blocks.conv1.0.weight").detach())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_a_rescaled_backbone_stays_as_it_is() -> None:
    backbone, images = folded(), pictures()
    first = rescale_gradients(backbone, images, rng())
    assert 1 <= len(first[0].scales) <= 10
    again = rescale_gradients(backbone, images, rng())
    assert max(abs(math.log(layer.scale)) for layer in again) < 0.1
    assert LayerRatio("conv1", 1.0, 2.0, ()).scale == 1


@pytest.mark.parametrize("training", [True, False])
def test_mode_and_frozen_layers_stay(training: bool) -> None:
    backbone = folded().train(training)
    backbone.blocks["conv1"].requires_grad_(False)
    rescale_gradients(backbone, pictures(), rng())
    assert all(module.training == training for module in backbone.modules())
    frozen = [name for name, parameter in backbone.named_parameters() if not parameter.requires_grad]
    assert frozen == ["blocks.conv1.0.weight", "blocks.conv1.0.bias"]
    assert all(parameter.grad is None for parameter in backbone.parameters())


def test_a_ratio_of_one_is_no_target_that_divides_by_zero() -> None:
    """One layer: its target is ratio x spread. Contrast k multiplies the ratio by k and the spread too: make the product 1."""
    conv = nn.Conv2d(3, 1, 1, bias=False)
    backbone = own_backbone({"conv1": conv}, mean=(127,) * 3)
    images = pictures(side=8)

    def spread() -> float:
        return backbone(images).detach().std(correction=0).item()

    backbone.normalize.std *= math.sqrt(measured(backbone, images)[0] * spread())
    assert measured(backbone, images)[0] * spread() == pytest.approx(1, abs=1e-5)
    [layer] = rescale_gradients(backbone, images, rng())
    assert layer.scales
    assert spread() == pytest.approx(1, abs=0.02)
    assert layer.after == pytest.approx(measured(backbone, images)[0], rel=1e-4)


def test_batch_norm_must_be_folded_first() -> None:
    with seeded(0):
        backbone = make_backbone("alexnet", width=0.05, mean=(120.0,) * 3, std=(60.0,) * 3)
    with pytest.raises(RotnetError, match=r"blocks\.conv1\.1 is a batch norm; fold"):
        rescale_gradients(backbone, pictures(), rng())


def test_one_image_is_too_few() -> None:
    with pytest.raises(RotnetError, match="at least 2 images, not 1"):
        rescale_gradients(folded(), pictures(1), rng())


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.0, r"conv1 \(0\), conv2 \(0\), conv3 \(nan\), conv4 \(0\)\. Between"),  # conv3's weights are 0 themselves
        (1e-12, r"conv1 \(0\), conv2 \(0\), conv3 \(0\), conv4 \(0\)\. Between"),
        (math.nan, r"conv1 \(nan\), .*fc7 \(nan\)\. Between"),
    ],
)
def test_what_a_dead_layer_cuts_off_is_named_and_nothing_is_changed(value: float, told: str) -> None:
    backbone, images = folded(), pictures()
    with torch.no_grad():
        backbone.get_parameter("blocks.conv3.1.weight").fill_(value)
        backbone.get_parameter("blocks.conv3.1.bias").fill_(-1.0)
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    with pytest.raises(RotnetError, match=f"rescaling by gradients: ratio of gradient to weight of {told}"):
        rescale_gradients(backbone, images, rng())
    after = backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) or value != value for name in before)


def test_equal_images_are_too_little() -> None:
    backbone = folded()
    with pytest.raises(RotnetError, match="outputs of fc7 are the same for every image"):
        rescale_gradients(backbone, pictures()[:1].expand(4, -1, -1, -1), rng())

"""A folded backbone rescaled so that all layers learn at the same pace (Krähenbühl et al. 2015, "Data-dependent
Initializations of Convolutional Neural Networks", section 3.2; docs/protocol.md, "PASCAL VOC")."""

import math
from collections import Counter
from dataclasses import dataclass

import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.layer_order import calls

_ROUNDS = 10
_CLOSE = 0.01


@dataclass(frozen=True)
class LayerRatio:
    """What rescaling did to one layer.

    Attributes:
        name: the tap it belongs to (`conv1`), or its full place where a tap has several layers.
        before, after: root mean square of the weights' gradient over that of the weights, for a unit normal gradient at the
            top of the backbone. One step of SGD changes a layer's weights by this share of them, times the learning rate.
        scales: what its weights were multiplied by, round by round.
    """

    name: str
    before: float
    after: float
    scales: tuple[float, ...]

    @property
    def scale(self) -> float:
        """What its weights were multiplied by in all."""
        return math.prod(self.scales)


def rescale_gradients(backbone: Backbone, images: torch.Tensor, generator: torch.Generator) -> list[LayerRatio]:
    """Multiply each layer by a positive number until all have the same ratio of gradient to weight.

    The paper's between-layer part (its algorithm 2), as philkr/magic_init has it (`calibrateGradientRatio`), on weights there
    already. A unit normal gradient is fed to the last tap; ratio = sqrt(mean(gradient^2) / mean(weight^2)) of each layer's
    weights; target = geometric mean of the ratios x s^(1/L), s being the mean over channels of the outputs' standard deviation
    and L the number of layers; the weights are multiplied by sqrt(ratio / target). Up to 10 rounds, fewer where every ratio's
    logarithm is within 1 % of the target's. The factor with s moves the outputs' spread towards 1.

    Where this departs from magic_init:

    - Biases: ReLU, max and average pooling pass a positive factor on, so a layer's bias is multiplied by its own scale and all
      those below it, and the outputs stay the same up to one positive factor. magic_init does not rely on that: it estimates
      the factor from below by the mean absolute input of the layer, which comes to the same here.
    - The gradient at the top is drawn once, not each round: rounds then differ by what they did, not by the draw.
    - "Within 1 % of the target's logarithm" cannot be met where that is 0: of a target within a factor e of 1 the ratios
      themselves (their logarithms' difference) are asked to be within 1 %.

    Args:
        backbone: folded (`folding.fold`), on any device, in any mode; changed in place.
        images: (N, 3, S, S), uint8 or float in [0, 255], on the same device, N at least 2; they go through it all at once.
        generator: of the gradient, on the CPU or the images' device.

    Returns:
        A record a layer, in order of execution.

    Raises RotnetError for a batch norm in the backbone, for fewer than 2 images, and naming the layers where a ratio is zero or
    not finite, as in a dead network; the weights are then as they were.
    """
    if len(images) < 2:
        raise RotnetError(f"rescaling by gradients needs at least 2 images, not {len(images)}.")
    layers = _weighted(backbone)
    kept = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    mode = backbone.training
    needed = [parameter.requires_grad for parameter in backbone.parameters()]
    backbone.eval().requires_grad_(True)
    try:
        return _equalised(backbone, layers, images, generator)
    except RotnetError:
        backbone.load_state_dict(kept)
        raise
    finally:
        backbone.train(mode)
        for parameter, need in zip(backbone.parameters(), needed, strict=True):
            parameter.requires_grad_(need)


def _equalised(
    backbone: Backbone, layers: dict[str, nn.Conv2d | nn.Linear], images: torch.Tensor, generator: torch.Generator
) -> list[LayerRatio]:
    top: torch.Tensor | None = None
    start: list[float] = []
    scales: list[list[float]] = [[] for _ in layers]
    for number in range(_ROUNDS + 1):
        output = backbone(images)
        if top is None:
            top = torch.randn(output.shape, generator=generator, device=generator.device).to(output)
        ratios = _ratios(layers, output, top)
        start = start or ratios
        spread = output.detach().transpose(0, 1).flatten(1).std(1, correction=0).mean().item()
        if not (math.isfinite(spread) and spread > 0):
            raise RotnetError(f"rescaling by gradients: the outputs of {backbone.taps[-1]} are the same for every image.")
        target = sum(map(math.log, ratios)) / len(ratios) + math.log(spread) / len(ratios)
        far = max(abs(math.log(ratio) - target) for ratio in ratios)
        if number == _ROUNDS or far < _CLOSE * max(abs(target), 1):
            break
        factors = [math.exp((math.log(ratio) - target) / 2) for ratio in ratios]
        _scale(list(layers.values()), factors)
        for record, factor in zip(scales, factors, strict=True):
            record.append(factor)
    return [
        LayerRatio(name, before, after, tuple(record))
        for name, before, after, record in zip(layers, start, ratios, scales, strict=True)
    ]


def _ratios(layers: dict[str, nn.Conv2d | nn.Linear], output: torch.Tensor, top: torch.Tensor) -> list[float]:
    """Each layer's root mean square of gradient over weight, the gradient of `output` being `top`."""
    weights = [layer.weight for layer in layers.values()]
    gradients = torch.autograd.grad(output, weights, top)
    found = [
        (g.double().square().mean() / w.detach().double().square().mean()).sqrt().item()
        for g, w in zip(gradients, weights, strict=True)
    ]
    dead = [f"{name} ({ratio:g})" for name, ratio in zip(layers, found, strict=True) if not 0 < ratio < math.inf]
    if dead:
        raise RotnetError(
            f"rescaling by gradients: ratio of gradient to weight of {', '.join(dead)}. Between these layers nothing of the "
            "images gets through, or something is not finite: look at the backbone's weights, or go without: -p rescale False."
        )
    return found


@torch.no_grad()
def _scale(layers: list[nn.Conv2d | nn.Linear], factors: list[float]) -> None:
    """Multiply the layers' weights, in order of execution, and each bias by its layer's factor and all those below."""
    below = 1.0
    for layer, factor in zip(layers, factors, strict=True):
        below *= factor
        layer.weight.mul_(factor)
        if layer.bias is not None:
            layer.bias.mul_(below)


def _weighted(backbone: Backbone) -> dict[str, nn.Conv2d | nn.Linear]:
    """The convolutions and linear layers in order of execution. Raises RotnetError for a batch norm."""
    found: dict[str, nn.Conv2d | nn.Linear] = {}
    for name, layer, _ in calls(backbone):
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            raise RotnetError(f"rescaling by gradients: {name} is a batch norm; fold the backbone first (folding.fold).")
        if isinstance(layer, nn.Conv2d | nn.Linear):
            found[name] = layer
    return _short(found)


def _short(layers: dict[str, nn.Conv2d | nn.Linear]) -> dict[str, nn.Conv2d | nn.Linear]:
    """`blocks.conv1.0` -> `conv1` where that tap has one such layer."""
    taps = Counter(name.split(".")[1] for name in layers)
    return {tap if taps[tap := name.split(".")[1]] == 1 else name: layer for name, layer in layers.items()}

"""Batch norm folded into the layer before it."""

import copy
from collections import Counter

import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.layer_order import calls


@torch.no_grad()
def fold_batch_norm(layer: nn.Conv2d | nn.Linear, norm: nn.modules.batchnorm._BatchNorm) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of the one layer that does what `layer` and then `norm` do in evaluation mode.

    weight * gamma / sqrt(var + eps), and (bias - mean) * gamma / sqrt(var + eps) + beta.

    Args:
        layer: with or without a bias; C outputs.
        norm: over C channels, with running statistics; with or without gamma and beta.

    Returns:
        Weight of the layer's shape (C, ...) and bias (C,).
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.affine:
        scale = scale * norm.weight
    bias = -norm.running_mean if layer.bias is None else layer.bias - norm.running_mean
    shift = norm.bias if norm.affine else 0.0
    return layer.weight * scale.view(-1, *[1] * (layer.weight.dim() - 1)), bias * scale + shift


@torch.no_grad()
def fold(backbone: Backbone) -> Backbone:
    """A new backbone that does what `backbone` does in evaluation mode, without batch norm.

    Every batch norm goes into the convolution or linear layer that hands it its input, which then has a bias; an identity
    stands in its place, so that the other layers keep their names in the state. The rest (ReLU, pools, padding) is as it was,
    and padding stays right: images are normalised before the first convolution, not by it.

    Args:
        backbone: on any device, left as it is.

    Returns:
        On the same device, in the same mode, of the same arch, width and taps.

    Raises RotnetError naming a batch norm that follows neither a convolution nor a linear layer.
    """
    folded = copy.deepcopy(backbone)
    layers = dict(folded.named_modules())
    order = calls(folded)
    uses = Counter(call.layer for call in order)
    for name, layer, source in order:
        if not isinstance(layer, nn.modules.batchnorm._BatchNorm):
            continue
        if not isinstance(source, nn.Conv2d | nn.Linear) or uses[source] > 1 or layer.running_mean is None:
            raise RotnetError(
                f"{backbone.arch}: the batch norm {name} cannot be folded: it must keep running statistics and come right "
                "behind a convolution or linear layer that is used once."
            )
        weight, bias = fold_batch_norm(source, layer)
        source.weight.copy_(weight)
        source.bias = nn.Parameter(bias, requires_grad=source.weight.requires_grad)
        parent, _, own = name.rpartition(".")
        setattr(layers[parent], own, nn.Identity().train(layer.training))
    return folded


def first_filters(backbone: Backbone) -> torch.Tensor:
    """The kernels of a backbone's first convolution, a batch norm behind it folded in (docs/protocol.md, "CIFAR-10").

    Returns:
        (F, C, k, k) on the backbone's device, for what its kind of input makes of an image: C = 3, of zero mean and unit
        variance, for `rgb`.
    """
    leaves = [module for module in backbone.blocks.modules() if not list(module.children())]
    place = next(number for number, layer in enumerate(leaves) if isinstance(layer, nn.Conv2d))
    conv, behind = leaves[place], leaves[place + 1]
    assert isinstance(conv, nn.Conv2d)
    return fold_batch_norm(conv, behind)[0] if isinstance(behind, nn.BatchNorm2d) else conv.weight.detach().clone()

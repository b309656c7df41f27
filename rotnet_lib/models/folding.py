"""Batch norm folded into the layer before it."""

from itertools import pairwise

import torch
from torch import nn

from rotnet_lib.models.backbone import Backbone


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


def first_filters(backbone: Backbone) -> torch.Tensor:
    """The kernels of a backbone's first convolution with the batch norm behind it folded in (docs/protocol.md, "CIFAR-10").

    Returns:
        (F, 3, k, k) on the backbone's device, for images of zero mean and unit variance.
    """
    leaves = [module for module in backbone.modules() if not list(module.children())]
    conv, norm = next((a, b) for a, b in pairwise(leaves) if isinstance(a, nn.Conv2d) and isinstance(b, nn.BatchNorm2d))
    return fold_batch_norm(conv, norm)[0]

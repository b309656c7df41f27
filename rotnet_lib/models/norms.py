"""Batch norm without gain and shift."""

import torch
from torch import nn


@torch.no_grad()
def freeze_gains(module: nn.Module) -> None:
    """Fix gain and shift of a module's batch norms at 1 and 0. They stay in the weights, so that others can load them."""
    for norm in module.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.affine:
            for parameter, value in ((norm.weight, 1.0), (norm.bias, 0.0)):
                parameter.fill_(value).requires_grad_(False)

"""The layers of a backbone in the order in which an image meets them."""

from typing import NamedTuple

import torch
from torch import nn

from rotnet_lib.models.backbone import Backbone


class Call(NamedTuple):
    """One layer (a module without modules in it) at work."""

    name: str
    """Its place in the backbone: `blocks.conv1.0`."""
    layer: nn.Module
    source: nn.Module | None
    """The layer that handed it its input; None for the images, and for what was computed outside of a layer."""


@torch.no_grad()
def calls(backbone: Backbone) -> list[Call]:
    """What an image sets off in a backbone in evaluation mode, from `normalize` to the last tap; its mode is left as it is.

    Found by watching one blank image of the smallest size the arch takes: how modules are nested says nothing of their order.
    """
    found: list[Call] = []
    last: tuple[torch.Tensor, nn.Module] | None = None

    def watch(name: str, layer: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def note(_: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            nonlocal last
            # A ReLU in place returns its very input, hence the comparison with the latest output alone.
            found.append(Call(name, layer, last[1] if last and inputs[0] is last[0] else None))
            last = output, layer

        return layer.register_forward_hook(note)

    hooks = [watch(name, layer) for name, layer in backbone.named_modules() if not list(layer.children())]
    mode = backbone.training
    side = backbone.min_image_size
    backbone.eval()
    try:
        backbone(torch.zeros(1, 3, side, side, device=backbone.normalize.mean.device))
    finally:
        for hook in hooks:
            hook.remove()
        backbone.train(mode)
    return found

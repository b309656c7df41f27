"""The layers that a backbone's weights do not have, and a network for VOC needs."""

import copy

import torch
from torch import nn

from rotnet_lib.models import ARCHS
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.folding import fold
from rotnet_lib.seeds import seeded

START_STD = 0.01
"""Standard deviation of a new layer's weights, as of all new layers of the transfer tasks; its biases are 0."""


@torch.no_grad()
def complete(backbone: Backbone, seed: int) -> tuple[Backbone, tuple[str, ...]]:
    """A backbone with all layers of its arch: those above its last one are new.

    A new layer is what `fold` makes of one: it has a bias and no batch norm. Its weights are drawn from N(0, 0.01), its biases
    are 0 (docs/protocol.md, "PASCAL VOC").

    Args:
        backbone: left as it is, with or without batch norms.
        seed: of the new weights, which depend on nothing else.

    Returns:
        The backbone itself if it has all layers, otherwise a copy, on the same device and in the same mode; the taps that are
        new, from the image up.
    """
    missing = ARCHS[backbone.arch].taps[len(backbone.taps) :]
    if not missing:
        return backbone, ()
    whole = copy.deepcopy(backbone)
    with seeded(seed, "new layers"):
        made = fold(make_backbone(backbone.arch, width=backbone.width, mean=(0,) * 3, std=(1,) * 3))
    for name in missing:
        block = made.blocks[name]
        with seeded(seed, "new layer", name):
            for layer in block.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    nn.init.normal_(layer.weight, std=START_STD)
                    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        whole.blocks[name] = block.to(backbone.normalize.mean.device).train(backbone.training)
    return whole, missing

"""A backbone of a test's own blocks."""

from collections.abc import Sequence

from torch import nn

from rotnet_lib.models.arch import Arch
from rotnet_lib.models.backbone import Backbone


def own_backbone(
    blocks: dict[str, nn.Module], mean: Sequence[float] = (120,) * 3, std: Sequence[float] = (60,) * 3
) -> Backbone:
    """A backbone of these blocks, by tap, of an arch called `own`."""
    arch = Arch("own", "cifar10", tuple(blocks), 1, lambda width, channels: blocks)
    return Backbone(arch, 1.0, mean, std)

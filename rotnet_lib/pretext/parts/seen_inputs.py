"""What a backbone's first convolution reads of an image, as pictures."""

import torch

from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.inputs import RGB


def seen_inputs(backbone: Backbone, images: torch.Tensor) -> torch.Tensor:
    """Images, and behind each the maps that the backbone makes of it, in grey.

    Args:
        backbone: whose kind of input counts.
        images: (B, 3, S, S) uint8.

    Returns:
        (B, n, 3, S, S) uint8: the image, and for another kind than RGB its maps, 0 in mid-grey, the largest value of an image's
        maps in white or black.
    """
    own = images[:, None]
    if backbone.inputs == RGB:
        return own
    maps = backbone.normalize(images).float()
    largest = maps.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-6)
    grey = (127.5 + 127.5 * maps / largest).round().to(torch.uint8)
    return torch.cat([own, grey[:, :, None].expand(-1, -1, 3, -1, -1)], 1)

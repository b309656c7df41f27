"""Another image of the same batch for each image."""

import torch


def partners(count: int, device: torch.device) -> torch.Tensor:
    """The place of each image's partner: images are paired in their order; the last of an odd number takes the one before.

    Parts of a batch that several processes have are even as a rule: then partners do not depend on how many there are.

    Args:
        count: B, how many images there are.
        device: of the result.

    Returns (B,) int64. An image that is alone is its own partner.
    """
    places = torch.arange(count, device=device)
    other = places + 1 - 2 * (places % 2)
    return torch.where(other < count, other, places - 1).clamp(min=0)

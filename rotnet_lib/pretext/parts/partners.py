"""Another image of the same batch for each image."""

import torch

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.config import TrainingConfig


def partners(count: int, device: torch.device) -> torch.Tensor:
    """The place of each image's partner: images are paired in their order; the last of an odd number takes the one before.

    Where each process has an even part of a batch (`check_parts`), partners do not depend on how many processes there are.

    Args:
        count: B, how many images there are.
        device: of the result.

    Returns (B,) int64. An image that is alone is its own partner.
    """
    places = torch.arange(count, device=device)
    other = places + 1 - 2 * (places % 2)
    return torch.where(other < count, other, places - 1).clamp(min=0)


def check_parts(config: TrainingConfig) -> None:
    """Raises RotnetError if several processes would have odd parts of a batch, and so other partners than one process has."""
    part = config.batch_size // config.gpus
    if config.gpus > 1 and part % 2:
        raise RotnetError(
            f"batch_size: the task pairs the images of a batch, and of {config.batch_size} each of {config.gpus} processes has "
            f"{part}, an odd number. Take a multiple of {2 * config.gpus}, or other gpus."
        )

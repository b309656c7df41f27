"""Changes of colour: grey images, and random jitter."""

import math

import numpy as np
import torch

from rotnet_lib.data.to_device import to_device

_LUMINANCE = (0.299, 0.587, 0.114)
"""Of red, green and blue: ITU-R 601."""


def grey(images: np.ndarray) -> np.ndarray:
    """(N, S, S, 3) uint8 with the luminance in every channel, in chunks so that no float copy of the whole set is made."""
    result = np.empty_like(images)
    for start in range(0, len(images), 1024):
        luminance = images[start : start + 1024] @ np.array(_LUMINANCE)
        result[start : start + 1024] = luminance.round().astype(np.uint8)[..., None]
    return result


def grey_batch(images: torch.Tensor) -> torch.Tensor:
    """(B, S, S, 3) uint8 on any device with the luminance in every channel."""
    # Channel by channel: a product with a vector would wait for that to be sent to a GPU, and be rounded to TF32 there.
    red, green, blue = (images[..., channel].float() * weight for channel, weight in enumerate(_LUMINANCE))
    return (red + green + blue).round().to(torch.uint8)[..., None].repeat(1, 1, 1, 3)


def some_grey(images: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Some of (B, 3, S, S) uint8 images in grey, as `grey_batch`, the others as they are; `chosen`: (B,) bool."""
    grey = grey_batch(images.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return torch.where(chosen[:, None, None, None], grey, images)


def jitter_colours(
    images: torch.Tensor, strength: float, seed: int, places: torch.Tensor | None = None, whole: int | None = None
) -> torch.Tensor:
    """Random brightness, contrast, saturation and hue, drawn for each image, in an order drawn for the batch.

    Args:
        images: (B, 3, H, W) uint8.
        strength: in (0, 1]. Brightness, contrast and saturation change by a factor in [1 - strength, 1 + strength], hue
            by up to a quarter of it, in turns of the colour circle.
        seed: of the draws.
        places: (B,) int64 on the CPU, which of the images of a batch these are; None: all.
        whole: how many images that batch has.

    Returns:
        (B, 3, H, W) uint8, in channels-last memory.
    """
    from kornia import enhance  # its import takes a second, and few runs jitter
    from kornia.augmentation import ColorJitter

    jitter = ColorJitter(strength, strength, strength, strength / 4, p=1.0, same_on_batch=False)
    with torch.random.fork_rng(devices=[]):  # kornia draws from torch's global generator on the CPU
        torch.manual_seed(seed)
        drawn = jitter.forward_parameters(torch.Size((whole or len(images), *images.shape[1:])))
    # ColorJitter itself would send the factors one by one, and look at each on the way.
    factors = torch.stack([drawn[f"{name}_factor"] for name in ("brightness", "contrast", "saturation", "hue")])
    factors = to_device(factors if places is None else factors[:, places], images.device)
    steps = (
        enhance.adjust_brightness_accumulative,
        enhance.adjust_contrast_with_mean_subtraction,
        enhance.adjust_saturation_with_gray_subtraction,
        lambda images, turns: enhance.adjust_hue(images, turns * 2 * math.pi),
    )
    changed = images.float() / 255
    for step in drawn["order"].tolist():
        changed = steps[step](changed, factors[step])
    return (changed * 255).round().to(torch.uint8).contiguous(memory_format=torch.channels_last)

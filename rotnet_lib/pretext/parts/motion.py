"""Images moved and turned, as if the camera had been."""

import math

import torch


def moved(images: torch.Tensor, shift: torch.Tensor, turn: torch.Tensor, side: int) -> torch.Tensor:
    """The middle of each image, whose content was first turned about the centre and then moved.

    Args:
        images: (B, C, S, S) uint8.
        shift: (B, 2) in pixels, downwards and to the right.
        turn: (B,) in degrees, counter-clockwise.
        side: of the result, in pixels; at most `largest_side`, or black shows.

    Returns (B, C, side, side) uint8, interpolated bilinearly, in channels-last memory.
    """
    angle = turn[:, None, None] * (math.pi / 180)
    span = torch.arange(side, device=images.device, dtype=torch.float32) - (side - 1) / 2
    y = span[:, None] - shift[:, 0, None, None]
    x = span - shift[:, 1, None, None]
    # Row numbers grow downwards, so this looks up each pixel where a counter-clockwise turn took it from.
    cosine, sine = angle.cos(), angle.sin()
    grid = torch.stack([cosine * x - sine * y, sine * x + cosine * y], -1) * (2 / (images.shape[-1] - 1))
    with torch.autocast(images.device.type, enabled=False):
        sampled = torch.nn.functional.grid_sample(images.float(), grid, mode="bilinear", align_corners=True)
    return sampled.round().clamp(0, 255).to(torch.uint8).contiguous(memory_format=torch.channels_last)


def largest_side(image_size: int, shift: int, turn: float) -> int:
    """Side in pixels of the largest square in the middle of an image that every motion fills; below 1: there is none.

    Args:
        image_size: S.
        shift: pixels, most along each axis.
        turn: degrees in [0, 180), most to each side.
    """
    angle = math.radians(min(turn, 45))  # at 45 the corners reach furthest
    inside = (image_size - 1 - 2 * shift * (math.cos(angle) + math.sin(angle))) / (math.cos(angle) + math.sin(angle)) + 1
    side = math.floor(inside + 1e-9)
    return side - (image_size - side) % 2  # the same number of pixels cut on both sides

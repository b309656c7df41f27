"""Rotated copies of images, on the device."""

import math
from collections.abc import Sequence

import torch


def rotate(images: torch.Tensor, angle: float) -> torch.Tensor:
    """Rotate images counter-clockwise by `angle` degrees about their centre.

    Multiples of 90 are exact: a transpose and flips, no interpolation, (N, C, H, W) -> (N, C, W, H) for 90 and 270.
    Other angles are interpolated bilinearly and cropped to the square centre in which no empty area shows
    (`inscribed_side` pixels wide); they need square images.

    Args:
        images: (N, C, H, W), uint8 or float.
        angle: in degrees.

    Returns:
        A tensor of the same dtype; for multiples of 90 it may share memory with `images`.
    """
    quarters, rest = divmod(angle, 90)
    if rest == 0:
        return torch.rot90(images, int(quarters), dims=(-2, -1))
    side = inscribed_side(images.shape[-1], [angle])
    return _centre(_rotate_resampled(images, angle, side), side)


def rotate_all(images: torch.Tensor, angles: Sequence[float], crop_for: Sequence[float] = ()) -> torch.Tensor:
    """All rotated copies of a batch, label k = `angles[k]` degrees counter-clockwise.

    If any angle is no multiple of 90, every copy is cropped to the same centre: otherwise the size of the view would
    tell the two groups apart.

    Args:
        images: (N, C, S, S), uint8 or float.
        angles: K angles in degrees.
        crop_for: crop as if these angles were among them.

    Returns:
        (K*N, C, S', S') in channels-last memory: the N copies of the first angle, then those of the second, ...;
        S' = S if all angles are multiples of 90.

    Raises:
        ValueError: the images are not square, so that copies would differ in shape.
    """
    if images.shape[-1] != images.shape[-2]:
        raise ValueError(f"rotated copies share a batch, so images must be square, not {tuple(images.shape[-2:])}")
    side = inscribed_side(images.shape[-1], (*angles, *crop_for))
    copies = [_centre(rotate(images, angle), side) for angle in angles]
    return torch.cat(copies).contiguous(memory_format=torch.channels_last)


def rotate_each(
    images: torch.Tensor, angles: Sequence[float], labels: torch.Tensor, crop_for: Sequence[float] = ()
) -> torch.Tensor:
    """Each image rotated by the angle its label names.

    Args:
        images: (N, C, S, S), uint8 or float.
        angles: K angles in degrees.
        labels: (N,) int64 in [0, K).
        crop_for: crop as if these angles were among them.

    Returns:
        (N, C, S', S') in channels-last memory, S' as in `rotate_all`.
    """
    side = inscribed_side(images.shape[-1], (*angles, *crop_for))
    shape = (*images.shape[:2], side, side)
    rotated = torch.empty(shape, dtype=images.dtype, device=images.device, memory_format=torch.channels_last)
    # Every image is rotated by every angle: to pick those of a label, the host would have to wait for how many there are.
    for label, angle in enumerate(angles):
        chosen = (labels == label)[:, None, None, None]
        rotated = torch.where(chosen, _centre(rotate(images, angle), side), rotated)
    return rotated.contiguous(memory_format=torch.channels_last)


def inscribed_side(side: int, angles: Sequence[float]) -> int:
    """Side in pixels of the largest upright square, centred on the pixel grid, that every rotation fills.

    `side` itself where all angles are multiples of 90; 22 for 32 pixels at 45 degrees.
    """
    largest = side
    for angle in angles:
        if angle % 90:
            turn = math.radians(angle)
            # Sampling points are pixel centres: between the outermost two lie side - 1 pixels.
            inside = (side - 1) / (abs(math.cos(turn)) + abs(math.sin(turn))) + 1
            largest = min(largest, math.floor(inside + 1e-9))
    return largest - (side - largest) % 2  # the same number of pixels cut on both sides keeps right angles exact


def _rotate_resampled(images: torch.Tensor, angle: float, side: int) -> torch.Tensor:
    """(N, C, S, S) sampled on a `side` x `side` grid of unit pixels turned about the centre."""
    turn = math.radians(angle)
    span = torch.arange(side, device=images.device, dtype=torch.float32) - (side - 1) / 2
    y, x = torch.meshgrid(span, span, indexing="ij")
    # Row numbers grow downwards, so this looks up each output pixel where a counter-clockwise turn took it from.
    source_x = math.cos(turn) * x - math.sin(turn) * y
    source_y = math.sin(turn) * x + math.cos(turn) * y
    scale = 2 / (images.shape[-1] - 1)  # align_corners: -1 and 1 are the centres of the outermost pixels
    grid = torch.stack([source_x, source_y], -1) * scale
    grid = grid.expand(len(images), -1, -1, -1)
    sampled = torch.nn.functional.grid_sample(images.float(), grid, mode="bilinear", align_corners=True)
    return sampled.round().to(images.dtype) if images.dtype == torch.uint8 else sampled.to(images.dtype)


def _centre(images: torch.Tensor, side: int) -> torch.Tensor:
    margin = (images.shape[-1] - side) // 2
    return images[..., margin : margin + side, margin : margin + side] if margin else images

"""Seeds of Exemplar CNN: patches, each of another image, drawn by their gradient energy."""

import torch

_PLACES = 5
"""At most, along each axis, that a patch may lie at. If the patch is half of the image, they are an eighth of it apart, a
quarter of the patch: little more than what draws are moved by."""


def places(size: int, side: int) -> list[tuple[int, int]]:
    """Where patches of a side may lie in images of a size, both in pixels, evenly spread: row and column of the first pixel."""
    room = size - side
    starts = torch.linspace(0, room, min(_PLACES, room + 1)).round().int().tolist() if room else [0]
    return [(row, column) for row in starts for column in starts]


def gradient_energy(images: torch.Tensor, side: int) -> torch.Tensor:
    """The mean squared gradient of each patch: differences of neighbouring pixels along both axes, averaged over channels.

    Args:
        images: (B, 3, S, S) uint8.
        side: of the patches, in pixels, at least 2.

    Returns (B, P) float32, of 255 squared, the P patches as `places` has them.
    """
    pixels = images.float()
    down, right = pixels.diff(dim=2).square().mean(1), pixels.diff(dim=3).square().mean(1)
    found = [
        down[:, row : row + side - 1, column : column + side].mean((1, 2))
        + right[:, row : row + side, column : column + side - 1].mean((1, 2))
        for row, column in places(images.shape[-1], side)
    ]
    return torch.stack(found, 1)


def draw_seeds(energy: torch.Tensor, count: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Patches of different images, each drawn with a probability that is proportional to its energy.

    Args:
        energy: (M, P) float on the CPU, of the P patches of M images, of which at least `count` have some.
        count: N.
        rng: on the CPU.

    Returns (N,) int64, the images, ascending, and (N,) int64 in [0, P), which patch of each.
    """
    weights = energy.double()
    # Without replacement: the first N that arrive, if each image's time of arrival is exponential with its energy as rate.
    drawn = torch.rand(len(weights), generator=rng, dtype=torch.float64).clamp(min=1e-300)
    times = -drawn.log() / weights.sum(1)
    images = times.topk(count, largest=False).indices.sort().values
    return images, weights[images].multinomial(1, generator=rng)[:, 0]

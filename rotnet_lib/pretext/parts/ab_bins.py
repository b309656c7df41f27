"""The 313 bins of colour, how a colour is spread over them, and what each weighs (Zhang, Isola, Efros, ECCV 2016).

A bin is a point of the ab plane of Lab, on a grid of 10. Here are those within reach of sRGB, by the authors' table.
"""

import torch

GRID = 10
"""From a bin to the next, along a and along b."""
_B_OF_A = {
    -90: (50, 90),
    -80: (20, 90),
    -70: (0, 90),
    -60: (-20, 90),
    -50: (-30, 100),
    -40: (-40, 100),
    -30: (-50, 100),
    -20: (-50, 100),
    -10: (-60, 100),
    0: (-70, 100),
    10: (-80, 90),
    20: (-80, 90),
    30: (-90, 90),
    40: (-100, 90),
    50: (-100, 80),
    60: (-110, 80),
    70: (-110, 80),
    80: (-110, 70),
    90: (-110, 70),
    100: (-90, 0),
}
"""a -> the first and the last b (the authors' pts_in_hull.npy, in its order)."""
_A, _B = (-90, 100), (-110, 100)
"""The first and the last cell of the grid along a and along b: all of sRGB is in them."""
SIGMA = 5.0
"""Of the Gaussian by which a colour is spread over bins, and of that which smooths their frequencies."""
NAMES = ("grey", "red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
"""Of groups of bins: those of little chroma, and of the others by hue."""
_LITTLE = 15.0
"""Chroma below which a bin counts as grey."""
_HUES = (15, 60, 85, 115, 170, 230, 312, 345)
"""Degrees in the ab plane at which each name but grey begins. In sRGB red is at 40, yellow at 103, green at 136, cyan at 196,
blue at 306."""


def bin_centres() -> torch.Tensor:
    """(313, 2) float32: a and b of each bin."""
    points = [(a, b) for a, (low, high) in _B_OF_A.items() for b in range(low, high + 1, GRID)]
    return torch.tensor(points, dtype=torch.float32)


def name_of_bins(centres: torch.Tensor) -> torch.Tensor:
    """(Q, 2) centres to (Q,) int64, indices into `NAMES`."""
    degrees = torch.rad2deg(torch.atan2(centres[:, 1], centres[:, 0])) % 360
    starts = torch.tensor(_HUES, dtype=degrees.dtype)
    hue = torch.bucketize(degrees, starts, right=True)
    hue = torch.where(hue == 0, len(_HUES), hue)  # pink goes on beyond 0 degrees
    return torch.where(centres.norm(dim=1) < _LITTLE, 0, hue)


def candidates(centres: torch.Tensor, neighbours: int) -> torch.Tensor:
    """For each cell of the grid, among which bins are the nearest ones of any colour in it.

    A colour is at most half a cell's diagonal, r, away from the cell's middle, so its k-th nearest bin is at most 2 r farther
    from the middle than the middle's own.

    Returns (rows of a, columns of b, M) int64, indices of bins; Q where there are fewer than M.
    """
    a, b = (torch.arange(low, high + 1, GRID, dtype=centres.dtype) for low, high in (_A, _B))
    squares = squared_distances(torch.cartesian_prod(a, b), centres)
    far = squares.kthvalue(neighbours, 1).values.sqrt() + 2 * (GRID / 2**0.5) + 1e-3
    within = squares <= far.square()[:, None]
    bins = torch.where(within, torch.arange(len(centres)), len(centres)).sort(1).values
    return bins[:, : int(within.sum(1).max())].view(len(a), len(b), -1)


def squared_distances(ab: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Of colours (n, 2) from bins (Q, 2): (n, Q), elementwise, since a product of matrices would be rounded."""
    return (ab[:, :1] - centres[:, 0]).square() + (ab[:, 1:] - centres[:, 1]).square()


def soft_code(
    ab: torch.Tensor, centres: torch.Tensor, among: torch.Tensor, neighbours: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours spread over their nearest bins, with weights exp(-d^2 / (2 * 5^2)) that add up to 1.

    Args:
        ab: (n, 2) float32, within sRGB.
        centres: (Q, 2).
        among: as `candidates` gives them for so many neighbours or more.
        neighbours: k, how many bins a colour is spread over.

    Returns:
        (n, k) int64, the bins, the nearest first; (n, k), their weights.
    """
    rows, columns = (
        ((ab[:, axis] - low) / GRID).round().long().clamp(0, (high - low) // GRID) for axis, (low, high) in enumerate((_A, _B))
    )
    bins = among.flatten(0, 1).index_select(0, rows * among.shape[1] + columns)  # (n, M)
    padded = torch.cat([centres, centres.new_full((1, 2), torch.inf)]).T.contiguous()
    a, b = (axis.index_select(0, bins.view(-1)).view(bins.shape) for axis in padded)
    away = a.sub_(ab[:, :1]).square_().add_(b.sub_(ab[:, 1:]).square_())
    # Of a single one the least is found in a fifth of the time.
    squares, places = away.min(1, keepdim=True) if neighbours == 1 else away.topk(neighbours, largest=False)
    bins = bins.gather(1, places)
    return bins, torch.softmax(-squares / (2 * SIGMA**2), 1)


def smoothed(frequencies: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Frequencies of bins (Q,), each spread over the bins around it by a Gaussian; the sum stays."""
    spread = torch.softmax(-squared_distances(centres, centres) / (2 * SIGMA**2), 1)
    return (frequencies[:, None] * spread).sum(0)


def class_weights(frequencies: torch.Tensor, uniform: float) -> torch.Tensor:
    """Weights of bins that are rare count more: ((1 - uniform) p + uniform / Q)^-1, scaled so that sum(p * w) = 1.

    Args:
        frequencies: p, (Q,), which add up to 1.
        uniform: in (0, 1]; with 1 all weigh 1.
    """
    weights = 1 / ((1 - uniform) * frequencies + uniform / len(frequencies))
    return weights / (frequencies * weights).sum()


def entropy(frequencies: torch.Tensor) -> float:
    """Of frequencies (Q,), which are scaled to add up to 1; in nats."""
    shares = frequencies.double() / frequencies.double().sum()
    return -torch.special.xlogy(shares, shares).sum().item()


def in_plane(values: torch.Tensor, centres: torch.Tensor, empty: float, cell: int) -> torch.Tensor:
    """A value for each bin, (Q, ...), as a picture of the ab plane: a from left to right, b upwards, cells of `cell` pixels.

    Returns (H, W, ...); `empty` where there is no bin.
    """
    places = ((centres - centres.amin(0)) / GRID).round().long()
    columns, rows = (places.amax(0) + 1).tolist()
    plane = values.new_full((rows, columns, *values.shape[1:]), empty)
    plane[rows - 1 - places[:, 1], places[:, 0]] = values
    return plane.repeat_interleave(cell, 0).repeat_interleave(cell, 1)

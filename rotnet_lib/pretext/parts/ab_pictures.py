"""Pictures of the bins of colour in the ab plane, a to the right and b upwards: they do not grow with the data."""

import numpy as np
import torch

from rotnet_lib.models.colour import lab_to_rgb
from rotnet_lib.pretext.examples import Example
from rotnet_lib.pretext.parts.ab_bins import in_plane

_CELL = 5
"""Pixels of a bin."""
_LIGHTNESS = 60.0
"""L of the bins in their colours: there sRGB has most of them."""
_NEVER = 225
"""Grey of a bin that is never answered rightly: darker than where there is none."""


def frequencies(centres: torch.Tensor, prior: torch.Tensor) -> Example:
    """The bins in their colours, and how often each occurs.

    Args:
        centres: (Q, 2), on the CPU.
        prior: (Q,), shares that add up to 1.
    """
    # From white, where a bin has none of 100 000 places, to black, where it has all.
    darkness = (prior.clamp(min=1e-5).log10() + 5) / 5
    grey = (255 * (1 - darkness)).round().to(torch.uint8)[:, None].expand(-1, 3)
    a, b = centres[prior.argmax()].tolist()
    caption = (
        f"the {len(centres)} bins at L = {_LIGHTNESS:g}, a to the right and b upwards; how often each occurs, in logarithmic "
        f"grey: the most frequent, a = {a:g}, b = {b:g}, has {100 * prior.max():.1f} % of places, "
        f"{int((prior > 0).sum())} bins occur"
    )
    return Example([_plane(pixels, centres) for pixels in (_coloured(centres), grey)], 2, caption, None)


def answers(centres: torch.Tensor, confusion: np.ndarray) -> list[Example]:
    """The true bins; the same in the mean colour that is answered for them; how many of the answers are right.

    Args:
        centres: (Q, 2), on the CPU.
        confusion: (Q, Q), how often bin j was answered where bin k was true.
    """
    counts = torch.from_numpy(confusion).double()
    true, said = counts.sum(1), counts.sum(0)
    occurs, often = (true > 0)[:, None], true.clamp(min=1)[:, None]
    chroma = centres.norm(dim=1).double()
    far_true, far_said = ((times @ chroma / counts.sum()).item() for times in (true, said))
    right = counts.diagonal()
    grey = (_NEVER * (1 - right[:, None] / often)).round().expand(-1, 3)
    means = (counts @ centres.double() / often).float()
    of_true = f"true: {int(occurs.sum())} bins, a to the right and b upwards, {far_true:.1f} from grey on average"
    of_said = f"the mean answer for each; {int((said > 0).sum())} bins are answered, {far_said:.1f} from grey on average"
    of_right = f"how often it is right, from light grey, never, to black: {100 * right.sum() / counts.sum():.1f} % of places"
    shown = {of_true: _coloured(centres), of_said: _coloured(means), of_right: grey}
    return [
        Example([_plane(torch.where(occurs, pixels, 255).to(torch.uint8), centres)], 1, caption, None)
        for caption, pixels in shown.items()
    ]


def _coloured(ab: torch.Tensor) -> torch.Tensor:
    """Pixels (n, 3) uint8 of colours (n, 2)."""
    return lab_to_rgb(torch.cat([torch.full((len(ab), 1), _LIGHTNESS), ab], 1)).round().to(torch.uint8)


def _plane(pixels: torch.Tensor, centres: torch.Tensor) -> np.ndarray:
    """Pixels (Q, 3) uint8 of the bins, as a picture (H, W, 3) uint8, white where there is no bin."""
    plane: np.ndarray = in_plane(pixels, centres, 255, _CELL).numpy()
    return plane

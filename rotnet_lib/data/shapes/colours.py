"""Random colours: free ones, and ones that stand out from others."""

import colorsys
import math
from collections.abc import Sequence

import numpy as np

Colour = tuple[int, int, int]  # red, green, blue, each in [0, 255]

# RGB distance from which two colours read as different under noise and texture (black to white is 441).
_CLEAR_DISTANCE = 110.0
_MAX_TRIES = 16


def random_colour(rng: np.random.Generator) -> Colour:
    """A colour of any hue, from dull to vivid and from dark to bright."""
    hue, saturation, value = rng.random(3).tolist()
    r, g, b = colorsys.hsv_to_rgb(hue, 0.15 + 0.8 * saturation, 0.15 + 0.85 * value)
    return round(255 * r), round(255 * g), round(255 * b)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour that is `share`, in [0, 1], of the way from the first to the second."""
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(first, second, strict=True))
    return red, green, blue


def contrasting_colour(rng: np.random.Generator, others: Sequence[Colour]) -> Colour:
    """A random colour clearly apart from all `others`, or the farthest of a few where none is."""
    best, best_distance = (0, 0, 0), -1.0
    for _ in range(_MAX_TRIES):
        colour = random_colour(rng)
        distance = min((math.dist(colour, other) for other in others), default=math.inf)
        if distance > best_distance:
            best, best_distance = colour, distance
        if distance >= _CLEAR_DISTANCE:
            break
    return best

"""Patterns and backgrounds that do not tell which way is up.

Whatever has a direction (a gradient, stripes, clutter) is drawn and then turned by a random multiple of 90 degrees, on
the finished pixels. So each layer's four turns are equally likely, down to the rasteriser's own asymmetries, and rotating
a background gives a background just as probable. Lengths are shares of the side: a higher resolution shows the same scene.
"""

import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from rotnet_lib.data.shapes.colours import Colour, mix, random_colour

_QUARTER_TURNS = (None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)


def quarter_turn(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The square image turned by 0, 90, 180 or 270 degrees, each as likely."""
    turn = _QUARTER_TURNS[rng.integers(4)]
    return image if turn is None else image.transpose(turn)


def _blotches(rng: np.random.Generator, side: int) -> Image.Image:
    """Soft light and dark areas; the coarsest grids read as gradients."""
    cells = int(rng.integers(2, 7))
    grid = rng.integers(0, 256, (cells, cells), dtype=np.uint8)
    return Image.fromarray(grid).resize((side, side), Image.Resampling.BICUBIC)


def _stripes(angle: float, period: float, side: int) -> Image.Image:
    """Hard stripes; `angle` in radians, `period` as a share of the side."""
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    cos, sin = math.cos(angle) * side, math.sin(angle) * side
    for i in range(math.ceil(1.5 / period)):
        low, high = i * period - 0.75, (i + 0.5) * period - 0.75
        corners = ((low, -0.75), (high, -0.75), (high, 0.75), (low, 0.75))
        draw.polygon([(side / 2 + cos * u - sin * v, side / 2 + sin * u + cos * v) for u, v in corners], fill=255)
    return image


def _checks(angle: float, period: float, side: int) -> Image.Image:
    return ImageChops.difference(_stripes(angle, period, side), _stripes(angle + math.pi / 2, period, side))


def _dots(rng: np.random.Generator, side: int) -> Image.Image:
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    radius = rng.uniform(0.02, 0.06) * side
    for x, y in (rng.random((24, 2)) * side).tolist():
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return image


def random_pattern(rng: np.random.Generator, side: int) -> Image.Image:
    """A random pattern, `side` x `side`, mode L, values in [0, 255], of no preferred direction."""
    kind = rng.integers(5)
    angle, period = rng.uniform(0, math.pi), rng.uniform(0.12, 0.4)
    if kind <= 1:
        pattern = _blotches(rng, side)
    elif kind == 2:
        pattern = _stripes(angle, period, side)
    elif kind == 3:
        pattern = _checks(angle, period, side)
    else:
        pattern = _dots(rng, side)
    return quarter_turn(pattern, rng)


def _draw_clutter(canvas: Image.Image, rng: np.random.Generator) -> None:
    """Scatter a few small triangles, quadrilaterals and pentagons of random colours over the canvas, in place."""
    draw = ImageDraw.Draw(canvas)
    side = canvas.width
    for _ in range(int(rng.integers(3, 8))):
        x, y, start, long, narrow = rng.random(5).tolist()
        corners = int(rng.integers(3, 6))
        angles = [2 * math.pi * (start + i / corners) for i in range(corners)]
        rx, ry = (0.05 + 0.1 * long) * side, (0.03 + 0.08 * narrow) * side
        points = [(x * side + rx * math.cos(a), y * side + ry * math.sin(a)) for a in angles]
        draw.polygon(points, fill=random_colour(rng))


def draw_background(rng: np.random.Generator, side: int) -> tuple[Image.Image, list[Colour]]:
    """A background of two colours in a random pattern, with clutter.

    Returns:
        The image, `side` x `side`, mode RGB, and its two main colours.
    """
    first, other = random_colour(rng), random_colour(rng)
    second = mix(first, other, rng.uniform(0.3, 0.9))
    size = (side, side)
    canvas = Image.composite(Image.new("RGB", size, second), Image.new("RGB", size, first), random_pattern(rng, side))
    _draw_clutter(canvas, rng)
    return quarter_turn(canvas, rng), [first, second]

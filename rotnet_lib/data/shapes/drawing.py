"""Painting an object's polygons onto a canvas, and a whole single-object image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from rotnet_lib.data.shapes.backgrounds import draw_background, random_pattern
from rotnet_lib.data.shapes.colours import Colour, contrasting_colour, random_colour
from rotnet_lib.data.shapes.objects import OBJECTS, PALETTE_SIZE, Part, Point

# Scenes are painted this many times larger and averaged down: smooth edges without a slow anti-aliasing drawer.
SUPERSAMPLING = 4

MAX_TILT = 12.0  # degrees either way: enough to forbid pixel-exact cues, too little to doubt which way is up
_SIZE = (0.29, 0.42)  # half the object's longer side, as a share of the image
_MAX_TEXTURE = 0.5  # how much of an object's colour a texture may replace
_MAX_NOISE = 22  # grey levels; the sum of two such uniform draws has a standard deviation of up to 18


@dataclass(frozen=True)
class Placement:
    """Where and how an object stands on a canvas; lengths in canvas pixels."""

    x: float  # centre
    y: float
    half_size: float  # what 1 in the object's frame becomes
    tilt: float = 0.0  # degrees, clockwise on the screen
    mirrored: bool = False  # left and right swapped, before the tilt

    def apply(self, points: Sequence[Point]) -> list[Point]:
        """Points from the object's frame to the canvas."""
        cos = self.half_size * math.cos(math.radians(self.tilt))
        sin = self.half_size * math.sin(math.radians(self.tilt))
        flip = -1.0 if self.mirrored else 1.0
        return [(self.x + cos * flip * u - sin * v, self.y + sin * flip * u + cos * v) for u, v in points]


def draw_object(canvas: Image.Image, parts: Sequence[Part], palette: Sequence[Colour], placement: Placement) -> Image.Image:
    """Paint an object onto `canvas` (mode RGB) in place.

    Returns:
        Its mask, the canvas's size, mode L: 255 where the object is, 0 elsewhere.
    """
    mask = Image.new("L", canvas.size)
    draw, draw_mask = ImageDraw.Draw(canvas), ImageDraw.Draw(mask)
    for part in parts:
        points = placement.apply(part.points)
        draw.polygon(points, fill=palette[part.colour])
        draw_mask.polygon(points, fill=255)
    return mask


def _random_placement(rng: np.random.Generator, side: int) -> Placement:
    half_size = rng.uniform(*_SIZE)
    room = 0.5 - half_size  # the object may touch the border, and a tilted corner may cross it
    x, y = rng.uniform(0.5 - room, 0.5 + room, 2).tolist()
    tilt = rng.uniform(-MAX_TILT, MAX_TILT)
    return Placement(x * side, y * side, half_size * side, tilt, mirrored=rng.random() < 0.5)


def render(rng: np.random.Generator, kind: str, image_size: int) -> np.ndarray:
    """One random object of a kind on a random background.

    Random numbers are drawn in the same order at any size, the pixel noise last: a larger image shows the same scene.

    Args:
        rng: the source of everything random.
        kind: a name in `OBJECTS`.
        image_size: S, the side in pixels.

    Returns:
        (S, S, 3) uint8 RGB.
    """
    side = image_size * SUPERSAMPLING
    canvas, against = draw_background(rng, side)
    palette = random_palette(rng, against)
    mask = draw_object(canvas, OBJECTS[kind](rng), palette, _random_placement(rng, side))
    lay_texture(canvas, rng, mask)
    return averaged(canvas, rng)


def random_palette(rng: np.random.Generator, against: Sequence[Colour]) -> list[Colour]:
    """Colours for an object that stand out from those given and from each other."""
    palette: list[Colour] = []
    for _ in range(PALETTE_SIZE):
        palette.append(contrasting_colour(rng, [*against, *palette]))
    return palette


def lay_texture(canvas: Image.Image, rng: np.random.Generator, mask: Image.Image) -> None:
    """Replace some of the colour under `mask` by a random pattern, in place; the canvas is square, of mode RGB."""
    # The texture is laid over the object in the canvas's frame, so it has no up of its own.
    strength = rng.uniform(0, _MAX_TEXTURE)
    weaker = np.rint(strength * np.arange(256)).astype(np.uint8)
    texture = Image.fromarray(weaker[np.asarray(random_pattern(rng, canvas.width))])
    canvas.paste(random_colour(rng), mask=ImageChops.multiply(mask, texture))


def averaged(canvas: Image.Image, rng: np.random.Generator, supersampling: int = SUPERSAMPLING) -> np.ndarray:
    """The canvas averaged down `supersampling` times, with pixel noise of random strength: (H, W, 3) uint8 RGB."""
    image = np.asarray(canvas.reduce(supersampling), dtype=np.int16)
    spread = int(rng.integers(2, _MAX_NOISE + 1))
    noise = rng.integers(-spread, spread + 1, (2, *image.shape), dtype=np.int16).sum(axis=0, dtype=np.int16)
    noisy: np.ndarray = np.clip(image + noise, 0, 255).astype(np.uint8)
    return noisy

"""Scenes of several objects at several scales, with the box, the pixels and the kind of each.

The objects, colours, textures and backgrounds are those of the single-object images: upright, tilted a little, on a
background that does not tell the orientation. Which objects, where and how large is a function of (seed, split, index, side).
"""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from rotnet_lib.data.shapes.backgrounds import draw_background
from rotnet_lib.data.shapes.drawing import MAX_TILT, Placement, averaged, draw_object, lay_texture, random_palette
from rotnet_lib.data.shapes.objects import OBJECTS

KINDS = tuple(OBJECTS)
"""Names of the objects; the label is the place in this tuple."""

SPLITS = ("train", "test")
"""Names of the splits; the place in this tuple seeds the scenes, so append only."""

VOID = 255
"""In a mask: the border about each object, which is not counted."""

_SUPERSAMPLING = 2  # enough with the noise on top, and four times as quick as the single objects' 4
_MOST_OBJECTS = 5
_HALF_SIZE = (0.09, 0.4)  # half the object's longer side, as a share of the picture's longer side
_SHAPES = ((4, 3), (3, 4), (1, 1))
_OVERHANG = 0.25  # share of an object's half size that may lie beyond the picture's edge
_TRIES = 12  # places tried for an object before it is left out
_LEAST_VISIBLE = 0.5  # share of an object that others, and the edge, must leave visible
_EASY_VISIBLE = 0.6  # share below which it is difficult
_EASY_SIZE, _EASY_PIXELS = 0.2, 16  # of the visible longer side, as a share of the picture's and in pixels; difficult below
_BORDER = 1 / 200  # width of the void border, as a share of the longer side; a pixel at least


@dataclass(frozen=True)
class Scene:
    """A picture with n objects, in the order they were painted.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        boxes: (n, 4) int64, left, top, right and bottom edge of the visible pixels: right and bottom are past the last one.
        labels: (n,) int64, places in `KINDS`.
        difficult: (n,) bool: small, or hidden by more than 40 %.
        truncated: (n,) bool: cut off by the picture's edge.
        mask: (H, W) uint8: 0 background, 1 + label, 255 the border about each object.
    """

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    truncated: np.ndarray
    mask: np.ndarray


def scene(split: str, index: int, side: int, seed: int = 0) -> Scene:
    """Scene `index` of a split, `side` pixels wide or high, whichever is more.

    Raises ValueError for a split that is none of `SPLITS`.
    """
    if split not in SPLITS:
        raise ValueError(f"scenes have no split {split!r}; choose one of {', '.join(SPLITS)}")
    rng = np.random.default_rng(np.random.SeedSequence([seed, SPLITS.index(split), index, side]))
    across, down = _SHAPES[rng.integers(len(_SHAPES))]
    return render_scene(rng, side * across // max(across, down), side * down // max(across, down))


def render_scene(rng: np.random.Generator, width: int, height: int) -> Scene:
    """One to five random objects on a random background; one may hide part of another, never more than half.

    Args:
        rng: the source of everything random.
        width, height: of the picture in pixels.
    """
    canvas, against = _background(rng, width, height)
    painted = _Painted(width, height)
    for _ in range(int(rng.integers(1, _MOST_OBJECTS + 1))):
        label = int(rng.integers(len(KINDS)))
        parts = OBJECTS[KINDS[label]](rng)
        palette = random_palette(rng, against)
        low, high = (math.log(share * max(width, height)) for share in _HALF_SIZE)
        half = min(math.exp(rng.uniform(low, high)), 0.5 * min(width, height))
        for _ in range(_TRIES):
            patch = _Patch(canvas, _random_placement(rng, width, height, half))
            drawn = draw_object(patch.canvas, parts, palette, patch.placement)
            mask = patch.reduced(drawn)
            if painted.leaves_visible(mask, patch.corner):
                lay_texture(patch.canvas, rng, drawn)
                canvas.paste(patch.canvas, (patch.corner[0] * _SUPERSAMPLING, patch.corner[1] * _SUPERSAMPLING))
                painted.add(label, mask, patch.corner)
                break
    return painted.scene(averaged(canvas, rng, _SUPERSAMPLING))


def _background(rng: np.random.Generator, width: int, height: int) -> tuple[Image.Image, list[tuple[int, int, int]]]:
    """A canvas cut out of a square one, and its main colours."""
    side = max(width, height)
    square, colours = draw_background(rng, side * _SUPERSAMPLING)
    left, top = (int(rng.integers(side - length + 1)) * _SUPERSAMPLING for length in (width, height))
    return square.crop((left, top, left + width * _SUPERSAMPLING, top + height * _SUPERSAMPLING)), colours


def _random_placement(rng: np.random.Generator, width: int, height: int, half: float) -> Placement:
    """Anywhere the object lies in the picture but for a little of it; in pixels of the picture."""
    room = half * (1 - _OVERHANG)
    x, y = (rng.uniform(room, length - room) for length in (width, height))
    return Placement(x, y, half, rng.uniform(-MAX_TILT, MAX_TILT), mirrored=rng.random() < 0.5)


class _Patch:
    """The square part of the canvas about an object: painting there takes a fraction of painting on the whole.

    Attributes:
        corner: its left and top in pixels of the picture; may lie outside.
        canvas: a copy of that part of the canvas.
        placement: the object's on it.
    """

    def __init__(self, canvas: Image.Image, placement: Placement) -> None:
        reach = math.ceil(placement.half_size * 1.3) + 1  # a tilted object's corners stay within 1.3 of its half size
        self.corner = (math.floor(placement.x) - reach, math.floor(placement.y) - reach)
        left, top = (value * _SUPERSAMPLING for value in self.corner)
        side = 2 * reach * _SUPERSAMPLING
        self.canvas = canvas.crop((left, top, left + side, top + side))
        self.placement = Placement(
            placement.x * _SUPERSAMPLING - left,
            placement.y * _SUPERSAMPLING - top,
            placement.half_size * _SUPERSAMPLING,
            placement.tilt,
            placement.mirrored,
        )

    @staticmethod
    def reduced(mask: Image.Image) -> np.ndarray:
        """A mask of the patch at the picture's resolution, bool: pixels of which the object covers at least half."""
        covered: np.ndarray = np.asarray(mask.reduce(_SUPERSAMPLING)) >= 128
        return covered


class _Painted:
    """Which pixels show which object."""

    def __init__(self, width: int, height: int) -> None:
        self._objects = np.zeros((height, width), np.uint8)  # 0 none, k the k-th painted
        self._labels: list[int] = []
        self._areas: list[int] = []  # pixels, hidden and cut off ones among them
        self._visible: list[int] = []  # pixels
        self._cut: list[bool] = []

    def leaves_visible(self, mask: np.ndarray, corner: tuple[int, int]) -> bool:
        """Whether enough of each object stays visible once one of that mask is painted at that corner."""
        region, part = self._overlap(mask, corner)
        if part.sum() < max(_LEAST_VISIBLE * mask.sum(), 1):
            return False
        left = np.array(self._visible) - self._hidden(region, part)
        return bool((left >= _LEAST_VISIBLE * np.array(self._areas)).all())

    def add(self, label: int, mask: np.ndarray, corner: tuple[int, int]) -> None:
        region, part = self._overlap(mask, corner)
        self._visible = [*(np.array(self._visible) - self._hidden(region, part)).tolist(), int(part.sum())]
        self._labels.append(label)
        self._areas.append(int(mask.sum()))
        self._cut.append(self._visible[-1] < self._areas[-1])
        self._objects[region][part] = len(self._labels)

    def scene(self, image: np.ndarray) -> Scene:
        height, width = self._objects.shape
        boxes, difficult = [], []
        for number, (visible, area) in enumerate(zip(self._visible, self._areas, strict=True), start=1):
            shown = self._objects == number
            rows, columns = (np.flatnonzero(shown.any(axis)) for axis in (1, 0))
            box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            size = max(box[2] - box[0], box[3] - box[1])
            small = size < max(_EASY_SIZE * max(height, width), _EASY_PIXELS)
            boxes.append(box)
            difficult.append(small or visible < _EASY_VISIBLE * area)
        ids = np.array([0, *(1 + label for label in self._labels)], np.uint8)[self._objects]
        return Scene(
            image,
            np.array(boxes, np.int64).reshape(-1, 4),
            np.array(self._labels, np.int64),
            np.array(difficult, bool),
            np.array(self._cut, bool),
            np.where(self._border(), np.uint8(VOID), ids),
        )

    def _border(self) -> np.ndarray:
        """(H, W) bool: pixels just outside an object that lies before what they show."""
        height, width = self._objects.shape
        reach = max(1, round(_BORDER * max(height, width)))
        padded = np.pad(self._objects, reach)
        rows = np.maximum.reduce([padded[shift : shift + height] for shift in range(2 * reach + 1)])
        nearest = np.maximum.reduce([rows[:, shift : shift + width] for shift in range(2 * reach + 1)])
        border: np.ndarray = nearest > self._objects
        return border

    def _hidden(self, region: tuple[slice, slice], part: np.ndarray) -> np.ndarray:
        """Of each object, the pixels seen now that something painted there would hide."""
        return np.bincount(self._objects[region][part], minlength=len(self._areas) + 1)[1:]

    def _overlap(self, mask: np.ndarray, corner: tuple[int, int]) -> tuple[tuple[slice, slice], np.ndarray]:
        """Rows and columns of the picture that a mask at that corner covers, and its part there."""
        height, width = self._objects.shape
        left, top = corner
        right, bottom = left + mask.shape[1], top + mask.shape[0]
        region = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
        part = mask[region[0].start - top : region[0].stop - top, region[1].start - left : region[1].stop - left]
        return region, part

"""The ten upright objects, as polygons in a frame of their own.

Frame: x to the right, y down, the object fills about [-1, 1] in its longer direction. Each function draws its own
random proportions from `rng` and returns the parts in painting order. Every object carries several cues that tell up from
down and from the sides, at least one of them large enough to survive at 32x32 pixels.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Point = tuple[float, float]

# A part names its colour by place in the object's palette, so that colour is drawn independently of kind.
BODY, ACCENT, DETAIL = 0, 1, 2
PALETTE_SIZE = 3


class Part(NamedTuple):
    """One filled polygon of an object."""

    colour: int  # BODY, ACCENT or DETAIL
    points: list[Point]  # at least 3, in the object's frame


def _box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _taper(top_half: float, bottom_half: float, top: float, bottom: float) -> list[Point]:
    """Trapezoid symmetric about x = 0, given its half widths."""
    return [(-top_half, top), (top_half, top), (bottom_half, bottom), (-bottom_half, bottom)]


def _arc(x: float, y: float, rx: float, ry: float, start: float, stop: float, count: int = 12) -> list[Point]:
    """`count` points of an ellipse's arc; angles in degrees, 0 = right, 90 = down, 270 = up."""
    angles = [math.radians(start + (stop - start) * i / (count - 1)) for i in range(count)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def _ellipse(x: float, y: float, rx: float, ry: float) -> list[Point]:
    return _arc(x, y, rx, ry, 0, 360, 17)


def _band(line: Sequence[Point], width: float) -> list[Point]:
    """A polyline thickened to a polygon of about that width."""
    left, right = [], []
    for i, (x, y) in enumerate(line):
        (x0, y0), (x1, y1) = line[max(i - 1, 0)], line[min(i + 1, len(line) - 1)]
        scale = width / 2 / math.hypot(x1 - x0, y1 - y0)
        dx, dy = (y1 - y0) * scale, (x0 - x1) * scale
        left.append((x + dx, y + dy))
        right.append((x - dx, y - dy))
    return left + right[::-1]


def _house(rng: np.random.Generator) -> list[Part]:
    half = rng.uniform(0.6, 0.8)
    eaves = rng.uniform(-0.2, 0.0)
    door = rng.uniform(-0.1, 0.1)
    return [
        Part(DETAIL, _box(0.3, -0.85, 0.52, eaves)),  # chimney
        Part(BODY, _box(-half, eaves, half, 0.9)),
        Part(ACCENT, [(-half - 0.18, eaves), (door, -0.95), (half + 0.18, eaves)]),  # roof
        Part(DETAIL, _box(door - 0.17, 0.3, door + 0.17, 0.9)),  # door
        Part(ACCENT, _box(-half + 0.12, eaves + 0.17, -half + 0.36, eaves + 0.42)),  # windows
        Part(ACCENT, _box(half - 0.36, eaves + 0.17, half - 0.12, eaves + 0.42)),
    ]


def _tree(rng: np.random.Generator) -> list[Part]:
    """A fir of three tiers or a leafy crown of three balls; a trunk that spreads into roots."""
    trunk = [(-0.13, 0.2), (0.13, 0.2), (0.15, 0.72), (0.42, 0.98), (-0.42, 0.98), (-0.15, 0.72)]
    parts = [Part(ACCENT, trunk)]
    width = rng.uniform(0.62, 0.8)
    if rng.random() < 0.5:
        for top, bottom, share in ((-0.2, 0.5, 1.0), (-0.6, 0.12, 0.78), (-1.0, -0.28, 0.55)):
            parts.append(Part(BODY, [(0, top), (width * share, bottom), (-width * share, bottom)]))
        parts.append(Part(DETAIL, _ellipse(0, -0.9, 0.13, 0.13)))  # the star on top
    else:
        parts += [Part(BODY, _ellipse(side * width * 0.5, 0.05, width * 0.55, 0.37)) for side in (-1, 1)]
        parts.append(Part(BODY, _ellipse(0, -0.45, width * 0.6, 0.52)))
        parts += [Part(DETAIL, _ellipse(x * width, y, 0.09, 0.09)) for x, y in ((-0.6, 0.1), (0.55, 0.05), (0, -0.4))]
    return parts


def _car(rng: np.random.Generator) -> list[Part]:
    roof = rng.uniform(-0.7, -0.55)
    bonnet = rng.uniform(0.45, 0.62)
    wheel = rng.uniform(0.25, 0.3)
    cabin = [(-0.82, -0.05), (-0.62, roof), (bonnet - 0.3, roof), (bonnet, -0.05)]
    windows = [
        [(-0.62, -0.08), (-0.5, roof + 0.14), (-0.2, roof + 0.14), (-0.2, -0.08)],
        [(-0.08, -0.08), (-0.08, roof + 0.14), (bonnet - 0.36, roof + 0.14), (bonnet - 0.16, -0.08)],
    ]
    body = [(-0.98, -0.08), (bonnet, -0.08), (0.95, 0.05), (1.0, 0.4), (-1.0, 0.4)]
    parts = [Part(BODY, cabin), Part(BODY, body)] + [Part(ACCENT, window) for window in windows]
    for x in (-0.55, 0.55):
        parts += [Part(DETAIL, _ellipse(x, 0.42, wheel, wheel)), Part(ACCENT, _ellipse(x, 0.42, 0.1, 0.1))]
    return parts


def _sailboat(rng: np.random.Generator) -> list[Part]:
    mast = rng.uniform(-0.12, 0.05)
    boom = rng.uniform(0.25, 0.38)
    return [
        Part(DETAIL, _box(mast - 0.05, -1.0, mast + 0.05, 0.5)),
        Part(BODY, [(mast + 0.08, -0.85), (mast + rng.uniform(0.6, 0.8), boom), (mast + 0.08, boom)]),  # main sail
        Part(BODY, [(mast - 0.08, -0.6), (mast - 0.08, boom), (mast - rng.uniform(0.45, 0.6), boom)]),  # jib
        Part(ACCENT, [(-0.9, 0.45), (0.9, 0.45), (0.6, 0.92), (-0.6, 0.92)]),  # hull
    ]


def _mug(rng: np.random.Generator) -> list[Part]:
    """A mug on a saucer, seen from a little above: the drink and its steam are at the top."""
    top, bottom = rng.uniform(-0.25, -0.1), 0.72
    half = rng.uniform(0.46, 0.56)
    middle = (top + bottom) / 2
    handle = _arc(half - 0.05, middle, 0.42, 0.34, -90, 90) + _arc(half - 0.05, middle, 0.24, 0.18, 90, -90)
    parts = [
        Part(ACCENT, _ellipse(0, 0.78, 0.98, 0.2)),  # saucer
        Part(BODY, handle),
        Part(BODY, [(-half, top), (half, top), *_arc(0, bottom, half * 0.72, 0.1, 0, 180, 7)]),
        Part(BODY, _ellipse(0, top, half, 0.18)),
        Part(DETAIL, _ellipse(0, top, half - 0.08, 0.12)),  # the drink
    ]
    for x in (-0.25, 0.2):
        steam = [(x, top - 0.2), (x + 0.11, top - 0.36), (x - 0.03, top - 0.55), (x + 0.08, -0.98)]
        parts.append(Part(ACCENT, _band(steam, 0.13)))
    return parts


def _lamp(rng: np.random.Generator) -> list[Part]:
    rim = rng.uniform(-0.2, 0.05)
    foot = rng.uniform(0.42, 0.55)
    return [
        Part(DETAIL, _box(-0.08, rim, 0.08, 0.8)),  # stem
        Part(DETAIL, _band([(0.38, rim), (0.38, rim + 0.35)], 0.08)),  # the cord that switches it on
        Part(ACCENT, _arc(0, 0.95, foot, 0.3, 180, 360)),
        Part(BODY, _taper(rng.uniform(0.28, 0.42), rng.uniform(0.65, 0.8), -0.95, rim)),  # shade
    ]


def _umbrella(rng: np.random.Generator) -> list[Part]:
    rim = rng.uniform(-0.1, 0.05)
    width = rng.uniform(0.85, 1.0)
    hook = [(0.0, rim), (0.0, 0.72), *_arc(0.17, 0.72, 0.17, 0.2, 180, 0, 7)]
    scallops = [p for x in (0.75, 0.25, -0.25, -0.75) for p in _arc(x * width, rim, 0.25 * width, 0.12, 0, -180, 5)]
    panel = [(0.0, -0.85), (0.5 * width, rim), *scallops[5:15], (-0.5 * width, rim)]
    return [
        Part(DETAIL, _box(-0.05, -1.0, 0.05, -0.7)),  # tip
        Part(DETAIL, _band(hook, 0.13)),
        Part(BODY, _arc(0, rim, width, rim + 0.85, 180, 360, 15) + scallops),
        Part(ACCENT, panel),
    ]


def _rocket(rng: np.random.Generator) -> list[Part]:
    half = rng.uniform(0.26, 0.34)
    flame = rng.uniform(0.85, 1.0)
    hull = [(-half * 0.8, 0.6), (-half, 0.1), (-half * 0.8, -0.5), (0, -1), (half * 0.8, -0.5), (half, 0.1)]
    return [
        Part(DETAIL, [(-half * 0.7, 0.5), (half * 0.7, 0.5), (0, flame)]),
        Part(ACCENT, [(-half * 0.8, 0.05), (-0.72, 0.6), (-0.68, 0.82), (-half * 0.7, 0.58)]),  # fins
        Part(ACCENT, [(half * 0.8, 0.05), (0.72, 0.6), (0.68, 0.82), (half * 0.7, 0.58)]),
        Part(BODY, [*hull, (half * 0.8, 0.6)]),
        Part(ACCENT, [(-half * 0.8, -0.5), (0, -1), (half * 0.8, -0.5)]),  # nose
        Part(DETAIL, _ellipse(0, -0.15, half * 0.55, half * 0.55)),  # window
    ]


def _mushroom(rng: np.random.Generator) -> list[Part]:
    brim = rng.uniform(-0.05, 0.15)
    width = rng.uniform(0.75, 0.95)
    stem = rng.uniform(0.2, 0.28)
    spots = ((-0.5, 0.3, 0.14), (0.05, 0.6, 0.16), (0.55, 0.28, 0.12))
    return [
        Part(ACCENT, [(-stem, brim - 0.1), (stem, brim - 0.1), *_arc(0, 0.85, stem + 0.16, 0.12, 0, 180, 7)]),
        Part(BODY, _arc(0, brim, width, brim + 0.9, 180, 360, 15) + _arc(0, brim, width, 0.12, 0, 180, 7)),
    ] + [Part(DETAIL, _ellipse(x * width, brim - y * (brim + 0.9), r, r)) for x, y, r in spots]


def _t_shirt(rng: np.random.Generator) -> list[Part]:
    half = rng.uniform(0.42, 0.52)
    cuff = rng.uniform(-0.2, -0.05)
    side = [(0.25, -0.82), (half + 0.1, -0.78), (1.0, cuff), (0.78, cuff + 0.22), (half, -0.22), (half, 0.9)]
    outline = side + [(-x, y) for x, y in reversed(side)]
    cuffs = [[(x * 1.0, cuff), (x * 0.78, cuff + 0.22), (x * 0.68, cuff + 0.08), (x * 0.9, cuff - 0.15)] for x in (1, -1)]
    heart = [(0, 0.3), (-0.26, 0), (-0.2, -0.16), (-0.08, -0.16), (0, -0.06), (0.08, -0.16), (0.2, -0.16), (0.26, 0)]
    return [
        Part(BODY, outline),
        Part(DETAIL, _arc(0, -0.84, 0.32, 0.34, 0, 180, 9)),  # collar, open at the top
        Part(DETAIL, heart),
        Part(ACCENT, cuffs[0]),
        Part(ACCENT, cuffs[1]),
        Part(ACCENT, _box(-half, 0.68, half, 0.9)),  # hem
    ]


# Order is the label: append only, and bump VERSION when a pixel changes.
OBJECTS: dict[str, Callable[[np.random.Generator], list[Part]]] = {
    "house": _house,
    "tree": _tree,
    "car": _car,
    "sailboat": _sailboat,
    "mug": _mug,
    "lamp": _lamp,
    "umbrella": _umbrella,
    "rocket": _rocket,
    "mushroom": _mushroom,
    "t-shirt": _t_shirt,
}

"""Odd values for parameters and for what JSON and YAML hold, changes of such documents, and whether two values are alike."""

import copy
import math
import random
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from campaigns.inputs.mutations import ODD_NUMBERS, ODD_TEXT

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 2**31, 2**63, 2**64, 10**30, -(2**63)),
    *(0.0, -0.0, 0.5, 1.0, -0.5, 1e-300, 1e308, math.nan, math.inf, -math.inf),
    *(
        "",
        " ",
        "a",
        "0",
        "true",
        "null",
        "newest",
        "random",
        "all",
        "conv1",
        "cpu",
        "x" * 5000,
        "/",
        ".",
        "..",
        "a/b",
        "~nobody/x",
    ),
    *([], {}, [[]], [None], [1, 2], ["a", "a"], [math.nan], {"a": 1}, {"angles": [0, 180]}, {"": None}, list(range(100))),
    *ODD_NUMBERS,
    *ODD_TEXT,
)
"""Values that JSON and YAML can hold."""


def _holding_itself() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


def _deep() -> list[Any]:
    found: list[Any] = []
    for _ in range(500):
        found = [found]
    return found


OBJECTS: tuple[Callable[[], Any], ...] = (
    *(
        object,
        lambda: len,
        lambda: int,
        lambda: ...,
        lambda: 1j,
        lambda: b"bytes",
        lambda: bytearray(b"x"),
        lambda: Decimal("0.5"),
    ),
    *(lambda: Fraction(1, 2), lambda: date(2026, 1, 1), lambda: Path("runs"), lambda: Path("\udcff"), lambda: range(3)),
    *(
        lambda: {1, 2},
        lambda: frozenset({"a"}),
        lambda: (1, 2),
        lambda: {1: 2},
        lambda: {None: 1},
        lambda: iter([1]),
        lambda: 10**5000,
    ),
    *(
        _holding_itself,
        _deep,
        lambda: list(range(20_000)),
        lambda: np.int64(3),
        lambda: np.float32(0.5),
        lambda: np.float64("nan"),
    ),
    *(lambda: np.bool_(True), lambda: np.array([0.5, 0.7]), lambda: np.array("conv1"), lambda: np.array([object()], object)),
)
"""What a caller of the API can give besides: makers, since some of them can be used once."""


def odd_value(rng: random.Random, *, objects: bool = False) -> Any:
    """A value of `ODD`, or, if asked for, every third time one of `OBJECTS`."""
    return rng.choice(OBJECTS)() if objects and rng.random() < 1 / 3 else copy.deepcopy(rng.choice(ODD))


def near_value(value: Any, rng: random.Random) -> Any:
    """A value of the same kind that may well be allowed too, or just not."""
    if isinstance(value, bool):
        return rng.choice((not value, int(value), str(value).lower()))
    if isinstance(value, int):
        return rng.choice((value + 1, value - 1, -value, value * 2, float(value), str(value), value + 0.5, [value]))
    if isinstance(value, float):
        return rng.choice(
            (value / 2, value * 2, -value, 1 - value, round(value), str(value), [value], math.nextafter(value, 9))
        )
    if isinstance(value, str) and value:
        place = rng.randrange(len(value))
        cut = value[:place] + value[place + 1 :]
        return rng.choice((cut, value.upper(), value + " ", " " + value, value + value[-1], value + ":1", [value]))
    if isinstance(value, list) and value:
        place = rng.randrange(len(value))
        changed = [*value[:place], near_value(value[place], rng), *value[place + 1 :]]
        return rng.choice(
            (changed, value[:place] + value[place + 1 :], [*value, value[place]], value[::-1], value[place], tuple(value))
        )
    if isinstance(value, dict) and value:
        name = rng.choice(list(value))
        rest = {other: kept for other, kept in value.items() if other != name}
        return rng.choice((rest, value | {name: near_value(value[name], rng)}, rest | {name + "s": value[name]}, list(value)))
    return odd_value(rng)


def change_tree(document: Any, rng: random.Random) -> tuple[Any, str]:
    """A copy of what JSON or YAML holds in which something is another, missing, added, renamed, or moved; and what."""
    changed = copy.deepcopy(document)
    places = list(_places(changed, ()))
    if not places:
        return odd_value(rng), "it is an odd value"
    container, key, where = rng.choice(places)
    way = rng.choice(("odd", "odd", "near", "near", "moved", "taken out", "added", "renamed", "wrapped"))
    if way == "odd":
        container[key] = odd_value(rng)
    elif way == "near":
        container[key] = near_value(container[key], rng)
    elif way == "moved":
        other, its_key, _ = rng.choice(places)
        container[key] = copy.deepcopy(other[its_key])
    elif way == "taken out":
        del container[key]
    elif way == "wrapped":
        container[key] = rng.choice(([container[key]], {"x": container[key]}))
    elif isinstance(container, list):
        container.insert(key, odd_value(rng))
    elif way == "added":
        container[rng.choice(("x", "name", "", "seed", "\x1b", "e\u0301", "null"))] = odd_value(rng)
    else:
        container[f"{key}s"] = container.pop(key)
    return changed, f"{where}: {way}"


def _places(node: Any, where: tuple[Any, ...]) -> Any:
    """(container, key, path) of every value in a document."""
    for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield node, key, ".".join(map(str, (*where, key)))[:80]
        yield from _places(node[key], (*where, key))


def alike(one: Any, other: Any) -> bool:
    """Whether two plain values are equal: NaN equals itself, 1 equals 1.0, and true equals 1 no more than "1" does."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def shown(value: Any) -> str:
    """A value for the record."""
    try:
        return ascii(value)[:200]
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} that cannot be written out"


def quoted(value: Any) -> tuple[str, ...]:
    """The ways in which a message may show a value, where it is long the beginning of it."""
    plain = list(value) if isinstance(value, set | frozenset | range) else value.tolist() if hasattr(value, "tolist") else value
    try:
        found = {repr(value), f"{plain!r} is no "}
    except (ValueError, RecursionError):
        return (type(value).__name__,)
    if isinstance(value, str):
        found |= {f"'{value}'", value.strip(), value.partition(":")[2]}
    elif isinstance(value, dict):
        found |= {f"'{key}'" for key in value}
    return tuple(sorted(text[:100] for text in found if len(text) > 1))

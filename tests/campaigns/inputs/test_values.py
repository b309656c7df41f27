"""Odd values, changed documents, and when two values count as alike."""

import copy
import math
import random
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from campaigns.inputs.kinds.same import comes_back
from campaigns.inputs.values import OBJECTS, alike, change_tree, near_value, odd_value, quoted, shown

DOCUMENT = {"title": "t", "runs": {"one": {"set": {"lr": 0.1, "layers": ["a", "b"]}}}, "seeds": 3, "on": True}


def test_a_changed_document_is_a_copy_and_the_same_for_the_same_seed() -> None:
    before = copy.deepcopy(DOCUMENT)
    first, again = ([change_tree(DOCUMENT, random.Random(seed)) for seed in range(200)] for _ in range(2))
    assert before == DOCUMENT
    assert repr(first) == repr(again)
    assert sum(alike(changed, DOCUMENT) for changed, _ in first) < 20
    assert any(changed["runs"] != DOCUMENT["runs"] for changed, _ in first if isinstance(changed.get("runs"), dict))


@pytest.mark.parametrize("value", [5, 0.5, True, "word", [1, 2], {"a": 1}, None])
def test_near_values_are_others_mostly(value: Any) -> None:
    found = [near_value(value, random.Random(seed)) for seed in range(50)]
    assert sum(repr(near) != repr(value) for near in found) > 40


def test_every_object_can_be_made_and_shown() -> None:
    for make in OBJECTS:
        assert shown(make())
        assert quoted(make())
    assert any(type(odd_value(random.Random(seed), objects=True)).__module__ == "numpy" for seed in range(200))


def test_what_is_alike() -> None:
    assert alike({"a": [1, math.nan]}, {"a": (1.0, math.nan)})
    for one, other in [(1, True), (0, False), ("1", 1), ([1], [1, 1]), ({"a": 1}, {"b": 1}), (math.nan, 0.0), (None, 0)]:
        assert not alike(one, other)


RETURNS = [
    (None, 5),
    (5, 5),
    (5, "5"),
    (5.0, 5),
    ("5", 5),
    (1, True),
    ("on", True),
    (Path("runs"), "runs"),
    ("runs/a-run/", "a-run"),
    (np.float32(0.5), 0.5),
    ("conv1, conv2", ["conv1", "conv2"]),
    ((0, 90), [0.0, 90.0]),
    (0.5, [0.5]),
    ({"angles": [0, 180]}, {"angles": [0.0, 180.0], "copies": "batch"}),
]
OTHERS = [
    (5, 6),
    ("5x", 5),
    ("on", False),
    (math.nan, 0.0),
    ("a", "b"),
    ("runs/a-run", "runs"),
    ([1, 2], [1]),
    ({"angles": [0]}, {"angles": [90.0]}),
    ({"angle": 1}, {"angles": 1}),
    (True, 1),
    (date(2026, 1, 1), 5),
]


@pytest.mark.parametrize(("given", "found"), RETURNS)
def test_a_value_that_comes_back(given: Any, found: Any) -> None:
    assert comes_back(given, found)


@pytest.mark.parametrize(("given", "found"), OTHERS)
def test_a_value_that_is_another(given: Any, found: Any) -> None:
    assert not comes_back(given, found)

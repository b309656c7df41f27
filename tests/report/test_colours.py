"""Rows of a figure can be told apart without seeing red and green, and in print."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from rotnet_lib.report.figure_style import COLOURS, mark

DEUTERANOPIA = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])
"""Linear RGB as it looks without green cones (Machado, Oliveira and Fernandes, 2009, severity 1)."""


def as_seen(colour: str) -> np.ndarray:
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = (DEUTERANOPIA @ linear).clip(0, 1)
    return np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("shape", ["marker", "hatch"])
def test_any_two_rows_differ_in_shape_or_in_a_colour_that_everybody_sees(shape: str) -> None:
    for one, other in itertools.combinations(map(mark, range(56)), 2):
        if getattr(one, shape) == getattr(other, shape):
            assert np.abs(as_seen(one.colour) - as_seen(other.colour)).max() > 0.08, (one, other)


def test_the_simulation_sees_red_and_green_alike() -> None:
    assert np.abs(as_seen("#a05000") - as_seen("#5a6e00")).max() < 0.08 < np.abs(as_seen("#0072B2") - as_seen("#D55E00")).max()


def test_the_first_rows_differ_in_colour_and_shape() -> None:
    first = [mark(number) for number in range(len(COLOURS))]
    assert (
        len({look.colour for look in first}) == len({look.marker for look in first}) == len({look.hatch for look in first}) == 7
    )

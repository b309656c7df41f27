"""Sets of permutations."""

import itertools
import math

import numpy as np
import pytest

from rotnet_lib.pretext.parts.permutations import distant_permutations, smallest_distance


def distances(permutations: np.ndarray) -> list[int]:
    """Of every two rows."""
    return [int(one) for row, first in enumerate(permutations) for one in (permutations[row + 1 :] != first).sum(1)]


@pytest.mark.parametrize(("length", "count"), [(4, 24), (4, 5), (9, 30), (9, 100)])
def test_they_are_distinct_permutations(length: int, count: int) -> None:
    found = distant_permutations(length, count)
    assert found.shape == (count, length)
    assert found.dtype == np.int64
    assert (np.sort(found, 1) == np.arange(length)).all()
    assert len({tuple(row) for row in found}) == count
    assert np.array_equal(found, distant_permutations(length, count))  # the same in every run


def test_each_is_as_far_as_can_be_from_those_before() -> None:
    found = distant_permutations(4, 10)
    everything = np.array(list(itertools.permutations(range(4))))
    for count in range(1, 10):
        before = found[:count]
        left = [row for row in everything if not (before == row).all(1).any()]
        best = max((before != row).sum() for row in left)
        assert (before != found[count]).sum() == best


@pytest.mark.slow
@pytest.mark.parametrize(("count", "most"), [(10, 9.0), (100, 8.3), (1000, 8.05)])
def test_of_nine_tiles_their_mean_distance_is_the_published_one(count: int, most: float) -> None:
    """8.08 for 100 and 8.00 for 1000 (Noroozi and Favaro 2016, table 4); more is better."""
    found = distant_permutations(9, count)
    apart = distances(found)
    assert 8.0 <= sum(apart) / math.comb(count, 2) <= most
    assert smallest_distance(found) == min(apart)


def test_the_smallest_distance_tells_sets_apart_that_the_mean_does_not() -> None:
    assert smallest_distance(np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1]])) == 3
    assert smallest_distance(np.array([[0, 1, 2], [1, 2, 0], [1, 0, 2]])) == 2
    assert smallest_distance(distant_permutations(4, 24)) == 2

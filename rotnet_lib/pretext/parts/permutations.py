"""Sets of permutations that differ from each other in many places (Noroozi and Favaro 2016, section 4.2)."""

import math
from functools import lru_cache

import numpy as np

from rotnet_lib.seeds import derive


@lru_cache(8)
def distant_permutations(length: int, count: int) -> np.ndarray:
    """Permutations of `length` places, far from each other by the Hamming distance: (count, length) int64, distinct rows.

    The first is drawn at random, the same in every run; then the one with the largest mean distance to those chosen is added,
    of several the first in lexical order. Of all permutations of nine places the mean distance is 8.00, so that for sets of a
    thousand the mean says little; see `smallest_distance`.

    Args:
        length: at most 9.
        count: at most `length` factorial. What was found is kept.

    Returns an array that cannot be written.
    """
    pool = _every_permutation(length)
    total = np.zeros(pool.shape[1], np.int32)
    newest = int(np.random.default_rng(derive(0, "permutations")).integers(math.factorial(length)))
    chosen = []
    for _ in range(count):
        chosen.append(newest)
        total += (pool != pool[:, newest, None]).view(np.int8).sum(0, dtype=np.int8)  # of at most nine places
        total[chosen] = -1
        newest = int(total.argmax())
    found = pool[:, chosen].T.astype(np.int64)
    found.flags.writeable = False
    return found


def _every_permutation(length: int) -> np.ndarray:
    """All permutations in lexical order, a column each: (length, length!) int8."""
    found = np.zeros((0, 1), np.int8)
    for places in range(1, length + 1):
        starts = [np.vstack([np.full(found.shape[1], first, np.int8), found + (found >= first)]) for first in range(places)]
        found = np.hstack(starts)
    return found


def smallest_distance(permutations: np.ndarray) -> int:
    """In how many places the two rows (K, T) that are most alike differ: their smallest Hamming distance, in [0, T]."""
    rows, places = permutations.shape
    nearest = places
    for number in range(rows - 1):
        nearest = min(nearest, int((permutations[number + 1 :] != permutations[number]).sum(1).min()))
    return nearest

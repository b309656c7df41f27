"""Parts of the training images that runs leave out, so that a network can be asked about images it has never seen."""

import re
from dataclasses import dataclass
from typing import Self

import numpy as np

from rotnet_lib.errors import RotnetError
from rotnet_lib.seeds import derive

_FEWEST = 2
"""Images a part has at least."""


def folds(count: int, parts: int) -> np.ndarray:
    """Which of `parts` parts each of `count` images is in: (count,) int64 in [0, parts).

    At random, for images may stand sorted or interleaved by class, but a function of the two numbers alone, whatever seed a
    run has. The parts' sizes differ by one at most.
    """
    # The bit stream of a numpy generator never changes, while what its methods make of it may from version to version: runs
    # made years apart must agree on who left out what.
    drawn = np.random.PCG64(derive(0, "folds", count, parts)).random_raw(count)
    found = np.empty(count, np.int64)
    found[np.argsort(drawn, kind="stable")] = np.arange(count) % parts
    return found


@dataclass(frozen=True)
class Fold:
    """Part `number`, counted from 1, of `parts`; written `1/2`."""

    number: int
    parts: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `1/2`. Raises ValueError for what is no part."""
        found = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
        number, parts = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= parts or parts < 2:
            raise ValueError(f"'{text}' is no part: write k/K, K at least 2 and k from 1 to K, such as 1/2")
        return cls(number, parts)

    def __str__(self) -> str:
        return f"{self.number}/{self.parts}"

    @property
    def others(self) -> tuple[Self, ...]:
        """The other parts of the same whole."""
        return tuple(type(self)(number, self.parts) for number in range(1, self.parts + 1) if number != self.number)

    def within(self, count: int) -> np.ndarray:
        """Places of the part's images among `count`, ascending: (n,) int64. Raises RotnetError if a part would be too small."""
        return np.flatnonzero(self._has(count))

    def without(self, count: int) -> np.ndarray:
        """Places of all other images among `count`, ascending: (count - n,) int64. Raises RotnetError as `within`."""
        return np.flatnonzero(~self._has(count))

    def _has(self, count: int) -> np.ndarray:
        if count < _FEWEST * self.parts:
            raise RotnetError(
                f"fold: {self.parts} parts of {count} training images would have fewer than {_FEWEST} each. "
                f"Take at most {max(2, count // _FEWEST)} parts, or a larger train_size."
            )
        found: np.ndarray = folds(count, self.parts) == self.number - 1
        return found

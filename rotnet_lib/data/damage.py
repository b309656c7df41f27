"""Image files that cannot be read: named, counted, left out, and more than a few of them too many."""

import math
import os
from collections.abc import Sequence

from rotnet_lib.data.listing import Listing
from rotnet_lib.data.opening import shown
from rotnet_lib.errors import RotnetError

MAX_DAMAGED = 0.001
"""Share of a split's files above which a run stops, unless it says otherwise."""


def name_of(files: Listing, index: int) -> str:
    """A file's name relative to the parent of the split's folder, as `shown` writes it: `train/cat/1.jpg`."""
    return shown(f"{os.path.basename(files.root)}/{files.name(index)}")


class Damage:
    """The damaged files of a split, as they turn up.

    Args:
        what: the split's files, as an error calls them.
        files: how many files the split has.
        max_damaged: share of them in [0, 1] above which a run stops.

    Attributes:
        names: unique names of the damaged files; see `name_of`.
    """

    def __init__(self, what: str, files: int, max_damaged: float = MAX_DAMAGED) -> None:
        self.what = what
        self.files = files
        self.max_damaged = max_damaged
        self.names: list[str] = []
        self._paths: list[str] = []
        self._reasons: list[str] = []

    def add(self, files: Listing, index: int, reason: str) -> None:
        """Name a damaged file, once. Raises RotnetError if that makes too many of them."""
        path = shown(files.path(index))
        if path in self._paths:
            return
        self._paths.append(path)
        self._reasons.append(reason)
        name = name_of(files, index)
        if name not in self.names:  # as it is where the whole of the split was read before its part
            self.names.append(name)
        self.check(self._paths, self._reasons)
        print(f"damaged image {path}: {reason}. It is left out: {len(self._paths)} so far, {self.most} may be.", flush=True)

    def part(self, files: int) -> "Damage":
        """To count the damage of a part of the split, of that many files; the names go on."""
        part = Damage(self.what, files, self.max_damaged)
        part.names = list(self.names)
        return part

    @property
    def most(self) -> int:
        """How many files may be damaged."""
        return math.floor(self.max_damaged * self.files)

    def check(self, names: Sequence[str], reasons: Sequence[str] = ()) -> None:
        """Raises RotnetError, naming the first few, if these damaged files are too many.

        Args:
            names: of the files.
            reasons: what is wrong with each; none where nobody knows, as of files that were left out of a cache.
        """
        if len(names) <= self.most:
            return
        described = [f"damaged image {name}" for name in names]
        if reasons:
            described = [f"{image}: {reason}" for image, reason in zip(described, reasons, strict=True)]
        raise RotnetError(
            "; ".join((*described[:-1][:4], described[-1])) + f". {len(names)} of the {self.files} files of {self.what} "
            f"cannot be read, {100 * len(names) / self.files:.2g} %; max_damaged {self.max_damaged:g} allows {self.most}. "
            f"Replace or remove {'that file' if len(names) == 1 else 'those files'}, or raise max_damaged."
        )

"""Whether two of our own figures differ by more than their errors: those of the test images, and of the seeds."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rotnet_lib.report.cells import Cell

Known = Literal["seeds and images", "images", "seeds"]
"""Which errors of both figures are known: `images`, the sampling error; `seeds`, by their spread."""

_CALLED: dict[Known, str] = {"seeds and images": "error", "images": "sampling error", "seeds": "seeds' spread"}


@dataclass(frozen=True)
class Comparison:
    """Two figures of one kind beside each other.

    Attributes:
        clear: whether they differ by more than two standard errors of their difference.
        known: what these errors are of.
    """

    clear: bool
    known: Known

    @property
    def level(self) -> bool:
        """Whether they differ by no more than the error. False where it is not known of how many images they are.

        It does not say that they are alike: both are taken for figures of independent images, and as a rule they are of the
        same ones. A comparison image by image could tell more.
        """
        return not self.clear and self.known != "seeds"

    @property
    def words(self) -> str:
        """`more than the error`, `within the sampling error`."""
        return f"{'more than' if self.clear else 'within'} the {_CALLED[self.known]}"


def compare(a: Cell, b: Cell) -> Comparison | None:
    """Two measured figures of one kind beside each other; None where no error of both is known.

    The variance of the difference is the sum of that of both means, std^2/s of s seeds, and that of both shares, p(1-p)/n of n
    test images. As a rule both are of the same images, and what is easy for one is easy for the other: then their difference is
    more exact than that, and figures that are called level here may still differ. Of a figure of one seed the first term is
    not known, and left out.
    """
    seeds = a.std is not None and b.std is not None
    images = a.sampling is not None and b.sampling is not None
    if a.mean is None or b.mean is None or not (seeds or images):
        return None
    variance = sum(cell.std**2 / cell.n for cell in (a, b) if cell.std is not None)
    variance += sum(cell.sampling**2 for cell in (a, b) if images and cell.sampling is not None)
    known: Known = "images" if not seeds else "seeds and images" if images else "seeds"
    return Comparison(abs(a.mean - b.mean) > 2 * math.sqrt(variance), known)


def called(found: Iterable[Comparison]) -> str:
    """What the error of all of some comparisons is called, by the one of which the least is known: `sampling error`."""
    known = {comparison.known for comparison in found}
    return _CALLED["images" if "images" in known else "seeds" if known == {"seeds"} else "seeds and images"]

"""The figures of a suite's table, measured and published."""

import math
import statistics
from dataclasses import dataclass, field

from rotnet_lib.report.units import in_words, signed
from rotnet_lib.runs.metrics import PERCENT, Better, decimals
from rotnet_lib.runs.sampling import sampling_error

Kind = tuple[str, Better]
"""What figures must have in common to stand beside each other: unit and direction."""


@dataclass(frozen=True)
class Cell:
    """A figure of the table, in its metric's unit; None where there is none.

    Attributes:
        published: the published figure.
        values: that of every finished run of the cell, a run a seed.
        bests: the same at the best epoch on the test split, where that was kept.
        states: state of every planned run; empty for a figure of another method.
        x: what the column counts (epochs, labels), where it counts something.
        images: of how many test images each value is the share of right answers; None: not known, or it is no such share.
        unit, better, tested, chance: as its `Metric` has them.
        link: where the page of its run is, or the list of its runs, relative to the suite's page; None: there is none yet.
    """

    published: float | None
    values: list[float] = field(default_factory=list)
    bests: list[float] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    x: float | None = None
    unit: str = PERCENT
    better: Better = "higher"
    tested: bool = True
    images: int | None = None
    chance: float | None = None
    link: str | None = None

    @property
    def kind(self) -> Kind:
        return self.unit, self.better

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def planned(self) -> int:
        return len(self.states)

    @property
    def mean(self) -> float | None:
        return statistics.mean(self.values) if self.values else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation over seeds; None for fewer than two."""
        return statistics.stdev(self.values) if self.n > 1 else None

    @property
    def sampling(self) -> float | None:
        """Sampling error of the mean, in points (see `sampling_error`); None where `images` is.

        More seeds do not lower it: all stand on the same test images.
        """
        return None if self.mean is None or self.images is None else sampling_error(self.mean, self.images)

    @property
    def error(self) -> float | None:
        """Standard error of the mean over s seeds on n images, sqrt(std^2/s + p(1-p)/n) in points; None where `images` is.

        Of one seed it is the sampling error alone: what other seeds would give is not known. Of several it is a little too
        large, since which images a seed happens to get wrong is in both terms.
        """
        if self.sampling is None or self.std is None:
            return self.sampling
        return math.sqrt(self.std**2 / self.n + self.sampling**2)

    @property
    def error_text(self) -> str:
        """`error`, or nothing."""
        return "" if self.error is None else f"{self.error:.2f}"

    @property
    def best(self) -> float | None:
        return statistics.mean(self.bests) if self.bests else None

    @property
    def difference(self) -> float | None:
        return None if self.mean is None or self.published is None else self.mean - self.published

    @property
    def standing(self) -> str:
        """Where the measured figure stands to the published one.

        `match` (they differ by at most two standard deviations of what a run gives: sqrt(std^2 + p(1-p)/n), of the seeds and
        the test images, as far as these are known), `above`, `below`, with `(one seed)` behind where the seeds' part is not
        known; where lower is better, `below (better)` and `above (worse)`; `not run`, `not published`.

        The published figure is taken for one run. That its test images are a sample too is left out: how many they are is not
        known here, and where they are ours the sampling error is rather too large already.
        """
        if self.mean is None:
            return "not run"
        if self.difference is None:
            return "not published"
        known = [part for part in (self.std, self.sampling) if part is not None]
        one = "one seed" if self.std is None else ""
        if known and abs(self.difference) <= 2 * math.hypot(*known):
            return "match" + (f" ({one})" if one else "")
        above = self.difference > 0
        behind = ", ".join(filter(None, [("worse" if above else "better") if self.better == "lower" else "", one]))
        return ("above" if above else "below") + (f" ({behind})" if behind else "")

    @property
    def unfinished(self) -> str:
        """What keeps a cell from being measured: `"failed"`, or `"2 missing, 1 running"`."""
        odd = [state for state in self.states if state != "finished"]
        return ", ".join(f"{odd.count(state)} {state}" if len(odd) > 1 else state for state in dict.fromkeys(odd))

    def __str__(self) -> str:
        """`"69.43 ± 0.83"`, `"69.43"`, or nothing; without the unit."""
        if self.mean is None:
            return ""
        digits = decimals(self.mean, self.unit)
        return f"{self.mean:.{digits}f}" + (f" ± {self.std:.{digits}f}" if self.std is not None else "")

    @property
    def with_unit(self) -> str:
        """As `str`, with the unit where that is not percent, of which sentences and tables speak unless they say another."""
        return f"{self} {'' if self.unit == PERCENT else self.unit}".rstrip()

    @property
    def in_full(self) -> str:
        """As `str`, with the unit and which direction is better, for a table whose figures have several."""
        return f"{self} {in_words(self.unit, self.better)}" if self.mean is not None else ""

    @property
    def brief(self) -> str:
        """The mean in a sentence: `"69.4"`, `"21.50 dB"`."""
        if self.mean is None:
            return ""
        return (
            f"{self.mean:.1f}"
            if self.unit == PERCENT
            else f"{self.mean:.{decimals(self.mean, self.unit)}f} {self.unit}".rstrip()
        )

    @property
    def spread(self) -> str:
        """As `brief`, with the standard deviation over seeds where there are several, and without the unit: `83.0 ± 3.6`."""
        if self.mean is None:
            return ""
        digits = 1 if self.unit == PERCENT else decimals(self.mean, self.unit)
        return f"{self.mean:.{digits}f}" + (f" ± {self.std:.{digits}f}" if self.std is not None else "")

    @property
    def mean_text(self) -> str:
        """`mean`, or nothing."""
        return "" if self.mean is None else f"{self.mean:.{decimals(self.mean, self.unit)}f}"

    @property
    def published_text(self) -> str:
        """`published` with the decimals that it was published with, or nothing."""
        return "" if self.published is None else f"{self.published:g}"

    @property
    def best_text(self) -> str:
        """`best`, or nothing."""
        return "" if self.best is None else f"{self.best:.{decimals(self.best, self.unit)}f}"

    @property
    def difference_text(self) -> str:
        """`difference`, with its sign and the decimals of the mean, or nothing."""
        if self.mean is None or self.difference is None:
            return ""
        return signed(self.difference, self.mean, self.unit)

    def beats(self, other: "Cell") -> bool:
        """Whether its mean is better than that of another figure of its kind."""
        mine, theirs = self.mean or 0.0, other.mean or 0.0
        return mine > theirs if self.better == "higher" else mine < theirs

    @property
    def rank(self) -> float:
        """Sorts measured figures of one kind, the best first."""
        return -(self.mean or 0.0) if self.better == "higher" else (self.mean or 0.0)


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        label: its label.
        cells: its figures by column.
        overall: of a row whose columns are right answers (classes): the figure of all of them together.
    """

    label: str
    cells: dict[str, Cell]
    overall: Cell | None = None

    @property
    def measured(self) -> dict[str, Cell]:
        """The cells that some run has a figure for."""
        return {column: cell for column, cell in self.cells.items() if cell.mean is not None}

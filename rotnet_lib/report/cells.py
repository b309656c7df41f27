"""The figures of a suite's table, measured and published."""

import math
import statistics
from dataclasses import dataclass, field

from rotnet_lib.report.units import in_words, signed
from rotnet_lib.runs.metrics import PERCENT, Better, decimals

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
        unit, better, tested: as its `Metric` has them.
    """

    published: float | None
    values: list[float] = field(default_factory=list)
    bests: list[float] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    x: float | None = None
    unit: str = PERCENT
    better: Better = "higher"
    tested: bool = True

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
    def best(self) -> float | None:
        return statistics.mean(self.bests) if self.bests else None

    @property
    def difference(self) -> float | None:
        return None if self.mean is None or self.published is None else self.mean - self.published

    @property
    def standing(self) -> str:
        """Where the measured figure stands to the published one.

        `match` (they differ by at most two standard deviations of the seeds), `above`, `below`, with `(one seed)` behind
        where no spread is known; where lower is better, `below (better)` and `above (worse)`; `not run`, `not published`.
        """
        if self.mean is None:
            return "not run"
        if self.difference is None:
            return "not published"
        if self.std is not None and abs(self.difference) <= 2 * self.std:
            return "match"
        above = self.difference > 0
        said = [("worse" if above else "better") if self.better == "lower" else "", "one seed" if self.std is None else ""]
        behind = ", ".join(filter(None, said))
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
    """A row of the table: its label and, by column, its figures."""

    label: str
    cells: dict[str, Cell]

    @property
    def measured(self) -> dict[str, Cell]:
        """The cells that some run has a figure for."""
        return {column: cell for column, cell in self.cells.items() if cell.mean is not None}


def beyond_spread(a: Cell, b: Cell) -> bool | None:
    """Whether two measured means differ by more than two standard errors of their difference; None if no spread is known."""
    if a.mean is None or b.mean is None or a.std is None or b.std is None:
        return None
    return abs(a.mean - b.mean) > 2 * math.sqrt(a.std**2 / a.n + b.std**2 / b.n)

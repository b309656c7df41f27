"""What guessing gives, for the figures of a suite."""

from collections.abc import Mapping
from typing import NamedTuple

from rotnet_lib.report.reported_run import ReportedRun
from rotnet_lib.report.suite_report import SuiteReport
from rotnet_lib.report.units import axis_label


class Chance(NamedTuple):
    """What guessing gives, in its unit."""

    value: float
    unit: str

    def __str__(self) -> str:
        """`10 %`, `14.3 %`."""
        return f"{self.value:.3g} {self.unit}".rstrip()


Chances = Mapping[str, Mapping[str, Chance]]
"""Row's label -> what a panel's axis says -> what guessing gives there."""


def cell_chances(report: SuiteReport) -> Chances:
    """What guessing gives in a suite's rows, where their results say it.

    A row whose columns have several of one unit, or some of which it is not known, is left out: no line across a panel would
    hold for it.
    """
    by_key: dict[str, list[ReportedRun]] = {}
    for run in report.runs:
        by_key.setdefault(run.key, []).append(run)
    found: dict[str, dict[str, Chance]] = {}
    for row in report.suite["rows"]:
        values: dict[str, set[Chance | None]] = {}
        for cell in row["cells"].values():
            for run in by_key[cell["run"]]:
                metric = run.result.metrics.get(cell["metric"]) if run.result else None
                if metric:
                    axis = axis_label(report.suite["measure"], metric.unit, metric.better)
                    chance = None if metric.chance is None else Chance(metric.chance, metric.unit)
                    values.setdefault(axis, set()).add(chance)
        single = {axis: chance for axis, chances in values.items() if len(chances) == 1 and (chance := next(iter(chances)))}
        if single:
            found[row["label"]] = single
    return found


def row_chances(chances: Chances, axis: str) -> dict[str, Chance]:
    """Row's label -> what guessing gives, of the rows in the panel of that axis."""
    return {label: by_axis[axis] for label, by_axis in chances.items() if axis in by_axis}


def chance_lines(chances: Chances, axis: str) -> dict[str, float]:
    """What the legend says of a line -> where it is drawn across the panel of that axis: one for each thing that is guessed."""
    return {said: chance.value for chance, said in chances_in_words(row_chances(chances, axis)).items()}


def chances_in_words(chances: Mapping[str, Chance]) -> dict[Chance, str]:
    """What guessing gives -> in words: `chance: 10 %`; where rows have different ones, `chance, RotNet and others: 25 %`.

    Args:
        chances: row's label -> what guessing gives.
    """
    rows: dict[Chance, list[str]] = {}
    for label, chance in chances.items():
        rows.setdefault(chance, []).append(label)
    if len(rows) < 2:
        return {chance: f"chance: {chance}" for chance in rows}
    return {
        chance: f"chance, {labels[0]}{' and others' if len(labels) > 1 else ''}: {chance}" for chance, labels in rows.items()
    }

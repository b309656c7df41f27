"""What the columns of a suite may count: the x of its curves, and the sentence such curves come down to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rotnet_lib.report.cells import Row
from rotnet_lib.report.comparison import called, compare
from rotnet_lib.runs.schema import RunResult
from rotnet_lib.training.schedules import epochs_after


@dataclass(frozen=True)
class Axis:
    """What a column counts.

    Attributes:
        title: its name on the axis and in the table.
        logarithmic: how it is drawn.
        place: (run's parameters, those of the run it builds on or None, the fraction of the run's epochs or None, the run's
            result or None) -> the cell's place on the axis; None where only a result could tell.
        verdict: rows with figures at two columns or more -> what they show, in a sentence drawn from them.
    """

    title: str
    logarithmic: bool
    place: Callable[[dict[str, Any], dict[str, Any] | None, float | None, RunResult | None], float | None]
    verdict: Callable[[list[Row]], str]


def _epoch(
    parameters: dict[str, Any], upstream: dict[str, Any] | None, share: float | None, result: RunResult | None
) -> float | None:
    pretext = upstream or parameters
    share = parameters.get("checkpoint") if upstream else share
    return float(pretext["epochs"] if share is None else epochs_after(share, pretext["epochs"]))


def _labels(
    parameters: dict[str, Any], upstream: dict[str, Any] | None, share: float | None, result: RunResult | None
) -> float | None:
    if parameters["labels_per_class"] is not None:
        return float(parameters["labels_per_class"])
    return float(round(result.data.train_images / len(result.data.classes))) if result else None


def _course(rows: list[Row]) -> str:
    """How each row goes from its first column to its last."""
    parts = []
    for row in rows:
        first, *_, last = row.measured.values()
        change = (last.mean or 0) - (first.mean or 0)
        verb = "rises" if change > 0 else "falls" if change < 0 else "goes"
        verb += ", which is better," if change < 0 and first.better == "lower" else ""
        size = f", {found.words}" if (found := compare(first, last)) and found.level else ""
        parts.append(f"{row.label} {verb} from {first.brief} at {first.x:g} to {last.brief} at {last.x:g}{size}")
    return "; ".join(parts) + "."


def _crossing(rows: list[Row]) -> str:
    """Where the first row stands above each other one, or below where that is better, where not, and where nobody can tell.

    Rows of another unit are left out.
    """
    first, *others = rows
    parts = []
    for other in others:
        shared = [c for c in first.measured if c in other.measured and first.cells[c].kind == other.cells[c].kind]
        good = "above" if all(first.cells[c].better == "higher" for c in shared) else "below"
        found = {c: compare(first.cells[c], other.cells[c]) for c in shared}
        level = {c: comparison for c, comparison in found.items() if comparison and comparison.level}
        ahead = [c for c in shared if c not in level and first.cells[c].beats(other.cells[c])]
        behind = [c for c in shared if c not in level and c not in ahead]
        for columns, said in (
            (ahead, f"{first.label} is {good} {other.label}"),
            (behind, f"{first.label} is not {good} {other.label}"),
            (list(level), f"{first.label} and {other.label} are within the {called(level.values())} of each other"),
        ):
            cells = [(first.cells[c], other.cells[c]) for c in columns]
            places = ", ".join(f"{cell.x:g} ({cell.brief} against {rival.brief})" for cell, rival in cells)
            parts += [f"{said} at {places}"] if columns else []
    return "; ".join(parts) + " labelled images per class." if parts else "Nothing to compare yet."


AXES = {
    "epochs": Axis("pretext epochs", False, _epoch, _course),
    "labels": Axis("labelled images per class", True, _labels, _crossing),
}

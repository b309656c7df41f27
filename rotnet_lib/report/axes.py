"""What the columns of a suite may count: the x of its curves, and the sentence such curves come down to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rotnet_lib.report.cells import Row
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
        parts.append(f"{row.label} {verb} from {first.mean:.1f} at {first.x:g} to {last.mean:.1f} at {last.x:g}")
    return "; ".join(parts) + "."


def _crossing(rows: list[Row]) -> str:
    """Where the first row stands above each other one."""
    first, *others = rows
    parts = []
    for other in others:
        shared = [column for column in first.measured if column in other.measured]
        above = [c for c in shared if (first.cells[c].mean or 0) > (other.cells[c].mean or 0)]
        words: dict[bool, list[str]] = {True: [], False: []}
        for column in shared:
            cell, rival = first.cells[column], other.cells[column]
            words[column in above].append(f"{cell.x:g} ({cell.mean:.1f} against {rival.mean:.1f})")
        parts += [f"{first.label} stands above {other.label} at {', '.join(words[True])}"] if words[True] else []
        parts += [f"{first.label} does not stand above {other.label} at {', '.join(words[False])}"] if words[False] else []
    return "; ".join(parts) + " labelled images a class." if parts else "nothing to compare yet."


AXES = {
    "epochs": Axis("pretext epochs", False, _epoch, _course),
    "labels": Axis("labelled images a class", True, _labels, _crossing),
}

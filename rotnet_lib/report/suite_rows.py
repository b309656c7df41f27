"""The rows of a suite's table, from the results of its runs and the published figures."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rotnet_lib.pretext import TASKS
from rotnet_lib.report.axes import Axis
from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.published import published_table
from rotnet_lib.report.reported_run import ReportedRun
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.runs.schema import MetricValue
from rotnet_lib.training.schedules import epochs_after


class SuiteRows:
    """The rows of a suite's table.

    Args:
        suite: what its plan says of it (`suite_of`), in the words of the data that it was measured on.
        runs: of the plan.
        renamed: a row's label in the published table -> its label here.
        axis: what the columns count, if they count something.
    """

    def __init__(
        self, suite: Mapping[str, Any], runs: Sequence[ReportedRun], renamed: Mapping[str, str], axis: Axis | None
    ) -> None:
        self._rows: list[dict[str, Any]] = suite["rows"]
        self._runs = runs
        self._axis = axis
        table = published_table(suite["published"]) if suite["published"] else {}
        self._published = {renamed.get(label, label): _shown(figures, suite["columns"]) for label, figures in table.items()}

    def all(self) -> list[Row]:
        """The published table's rows in their order, then the suite's own."""
        measured = {row["label"]: row for row in self._rows}
        published = [label for label, figures in self._published.items() if figures or label in measured]
        return [
            self._row(label, measured.get(label), self._published.get(label, {}))
            for label in dict.fromkeys([*published, *measured])
        ]

    def _row(self, label: str, entry: dict[str, Any] | None, published: dict[str, float | None]) -> Row:
        if entry is None:
            return Row(label, {column: Cell(figure) for column, figure in published.items()})
        if entry["by_target"]:
            [cell] = entry["cells"].values()
            found, states = self._by_target(entry), [_state(run, cell["metric"]) for run in self._of(cell)]
            metrics = [run.result.metrics.get(cell["metric"]) for run in self._of(cell) if run.result]
            counts = [metric.target_images for metric in metrics if metric]
            # What is not measured yet is shown in the columns of the rows that are.
            others = [targets for row in self._rows if row["by_target"] for targets in self._by_target(row)]
            measured = dict.fromkeys(name for targets in found or others for name in targets)
            columns = dict.fromkeys(column for figures in self._published.values() for column in figures)
            names = measured or published or columns or entry["cells"]
            return Row(
                label,
                {
                    name: Cell(
                        published.get(name),
                        [targets[name] for targets in found if name in targets],
                        states=states,
                        images=_least(images.get(name) for images in counts),
                        link=_link(self._of(cell)),
                    )
                    for name in names
                },
                overall=self._cell(cell, None),
            )
        return Row(label, {column: self._cell(cell, published.get(column)) for column, cell in entry["cells"].items()})

    def _cell(self, cell: dict[str, Any], published: float | None) -> Cell:
        metric, share, runs = cell["metric"], cell["at"], self._of(cell)
        states, x = [_state(run, metric) for run in runs], self._place(cell)
        found = [run.result.metrics[metric] for run in runs if run.result and metric in run.result.metrics]
        meant = found[0] if found else self._declared(runs[0], metric)
        if share is None:
            values, bests = [m.last for m in found], [m.best for m in found if m.best is not None]
        else:
            column, bests = _history_column(metric, meant), []
            histories = [run.history[column] for run in runs if column in run.history]
            values = [float(history.iloc[epochs_after(share, len(history)) - 1]) for history in histories]
        kind: dict[str, Any] = {"unit": meant.unit, "better": meant.better, "tested": meant.tested, "chance": meant.chance}
        return Cell(published, values, bests, states, x, images=_least(m.images for m in found), link=_link(runs), **kind)

    def _declared(self, run: ReportedRun, metric: str) -> Metric:
        """What a metric will be, of the run's task or of that of a run it builds on; an accuracy of classes if of neither."""
        upstream = [other for other in self._runs if other.directory.name in run.upstream]
        tasks = [TASKS[task] for one in (run, *upstream) if (task := str(one.parameters.get("task"))) in TASKS]
        return next((task.metrics[metric] for task in tasks if metric in task.metrics), Metric())

    def _by_target(self, entry: dict[str, Any]) -> list[dict[str, float]]:
        """Right answer -> percent, for every finished run of a row's one cell."""
        [cell] = entry["cells"].values()
        found = [run.result.by_target.get(cell["metric"]) for run in self._of(cell) if run.result]
        return [targets for targets in found if targets is not None]

    def _of(self, cell: dict[str, Any]) -> list[ReportedRun]:
        return [run for run in self._runs if run.key == cell["run"]]

    def _place(self, cell: dict[str, Any]) -> float | None:
        if self._axis is None:
            return None
        runs = self._of(cell)
        by_name = {run.directory.name: run.parameters for run in self._runs}
        upstream = next((by_name[name] for name in runs[0].upstream), None)
        result = next((run.result for run in runs if run.result), None)
        return self._axis.place(runs[0].parameters, upstream, cell["at"], result)


def _link(runs: list[ReportedRun]) -> str | None:
    """The page of a cell's run; of several, their place in the list of runs."""
    return runs[0].link if len(runs) == 1 else f"#run-{runs[0].key}"


def _shown(figures: Mapping[str, float | None], columns: Sequence[str]) -> dict[str, float | None]:
    """A published row's figures in these columns, in all if none is named; empty if it has none there."""
    if not columns:
        return dict(figures)
    return {name: figure for name, figure in figures.items() if name in columns and figure is not None}


def _state(run: ReportedRun, metric: str) -> str:
    """The run's state; of a finished run without the metric (another task was asked for), that it has none."""
    return run.state if not run.result or metric in run.result.metrics else f"finished without {metric}"


def _least(images: Iterable[int | None]) -> int | None:
    """Of how many images the figures of all seeds are, the fewest; None where one does not say."""
    known = list(images)
    return min((count for count in known if count is not None), default=None) if None not in known else None


def _history_column(metric: str, meant: Metric | MetricValue) -> str:
    """Where a history has the figures of a metric."""
    return f"{'test' if meant.tested else 'train'}_{metric}"

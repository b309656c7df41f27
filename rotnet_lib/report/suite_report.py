"""The report stage: a suite's table, published beside measured, from whatever of its runs is finished."""

from functools import cached_property
from typing import Any

import pandas as pd

from rotnet_lib.data.titles import bare_title
from rotnet_lib.files import write_text
from rotnet_lib.paths import from_project
from rotnet_lib.report.axes import AXES, Axis
from rotnet_lib.report.cells import Row
from rotnet_lib.report.claims import claims
from rotnet_lib.report.code_differences import CodeDifference, code_differences
from rotnet_lib.report.data_kinds import kind_of_data
from rotnet_lib.report.data_words import DataWords
from rotnet_lib.report.error_notes import note_on_table
from rotnet_lib.report.parameter_words import plain
from rotnet_lib.report.rank_agreement import rank_agreement
from rotnet_lib.report.report_config import ReportConfig
from rotnet_lib.report.reported_run import ReportedRun, suite_of
from rotnet_lib.report.suite_rows import SuiteRows
from rotnet_lib.report.units import axis_label
from rotnet_lib.report.verdicts import still_missing, verdict
from rotnet_lib.runs.directory import TABLE
from rotnet_lib.runs.metrics import PERCENT, Metric
from rotnet_lib.runs.plan_file import read_plan
from rotnet_lib.runs.schema import MetricValue, RunResult


class SuiteReport:
    """A suite's finished runs, read from the plan that made them.

    Raises:
        RotnetError: no plan of that suite, or a damaged one.
    """

    def __init__(self, config: ReportConfig) -> None:
        root = from_project(config.runs)
        self.path = config.plan_file()
        plan = read_plan(self.path)
        self.plan: dict[str, Any] = plan.model_dump()
        as_published = suite_of(plan, self.path)
        self.runs = [ReportedRun.of(entry, root) for entry in plan.runs]
        words = DataWords(self.runs)
        self.suite = words.suite(as_published)
        self._renamed = {row["label"]: words.label(row["label"]) for row in as_published["rows"]}

    @cached_property
    def results(self) -> list[RunResult]:
        return [run.result for run in self.runs if run.result is not None]

    @cached_property
    def rows(self) -> list[Row]:
        """The published table's rows in their order, then the suite's own."""
        return SuiteRows(self.suite, self.runs, self._renamed, self.axis).all()

    @property
    def axis(self) -> Axis | None:
        """What the columns count, if they count something."""
        return AXES[self.suite["axis"]] if self.suite["axis"] else None

    @cached_property
    def columns(self) -> dict[str, str]:
        """Column -> its heading."""
        cells = [(column, cell) for row in self.rows for column, cell in row.cells.items()]
        places = {column: f"{cell.x:g}" for column, cell in cells if cell.x is not None}
        return {column: places.get(column, self.suite["headings"].get(column, column)) for column, _ in cells}

    @property
    def separate(self) -> bool:
        """True if columns come from different runs (VOC tasks); plots then draw bars, not lines."""
        return any(len({cell["run"] for cell in row["cells"].values()}) > 1 for row in self.suite["rows"])

    @property
    def comparable(self) -> bool:
        """Whether the measured figures may be held against the published ones."""
        return bool(self.results) and not self.differences

    @property
    def measuring(self) -> list[ReportedRun]:
        """The runs whose figures stand in the table."""
        keys = {cell["run"] for row in self.suite["rows"] for cell in row["cells"].values()}
        return [run for run in self.runs if run.key in keys]

    @property
    def unverified(self) -> list[str]:
        """Files from before files carried a checksum that the figures depend on, each once."""
        return list(dict.fromkeys(file for run in self.runs for file in run.unverified))

    @property
    def differences(self) -> list[dict[str, str]]:
        """Parameter, protocol, here, and which runs, for every way the runs depart from the protocol."""
        found: dict[tuple[str, str, str], list[str]] = {}
        for run in self.runs:
            if run.result is None:
                continue
            changed = run.departures | run.result.protocol_differences
            changed.pop("dataset", None)  # the suite, not the stage's protocol, says which
            title = bare_title(run.result.data.title)
            asked = kind_of_data(run.dataset).published_title
            if run.parameters["dataset"] != run.dataset:
                changed["dataset"] = [run.dataset, run.parameters["dataset"]]
            elif title != asked:
                changed["data"] = [asked, title]
            for name, (asked, value) in changed.items():
                protocol, here = (plain(each, name, run.result.stage) for each in (asked, value))
                keys = found.setdefault((name, protocol, here), [])
                if run.key not in keys:
                    keys.append(run.key)
        for sweep, (asked, value) in self.suite["changed_sweeps"].items():
            found[sweep, plain(asked), plain(value)] = ["all"]
        return [
            {"name": name, "protocol": asked, "here": here, "runs": self._named(keys)}
            for (name, asked, here), keys in sorted(found.items())
        ]

    @property
    def code_differences(self) -> list[tuple[CodeDifference, str]]:
        """Where the implementation differs from the authors' code in what concerns finished runs, and which runs."""
        found = []
        for difference in code_differences():
            keys = [run.key for run in self.runs if run.result and difference.concerns(run.result)]
            if keys:
                found.append((difference, self._named(list(dict.fromkeys(keys)))))
        return found

    @property
    def method_deviations(self) -> list[tuple[str, str]]:
        """A method and a sentence, for each way in which a method that has rows is not as its paper has it."""
        asked = [method for method in self.suite["methods"] if method["asked"]]
        return [(method["title"], deviation) for method in asked for deviation in method["deviations"]]

    def _named(self, keys: list[str]) -> str:
        """Keys of finished runs in a cell of a table."""
        finished = {run.key for run in self.runs if run.result}
        return "all" if set(keys) == finished else ", ".join(keys)

    @property
    def claims(self) -> list[str]:
        """What the table is about, a sentence a claim of the suite: how far a row stands from others."""
        return claims(self.suite["claims"], self.rows, self.columns, separate=self.separate)

    @property
    def observations(self) -> str:
        """What else the table shows, in sentences drawn from its figures."""
        by_target = any(row["by_target"] for row in self.suite["rows"])
        if asked := len(self.suite["questions"]):  # its rows may be of tasks that have nothing in common but the question
            said = f"{asked} question{'' if asked == 1 else 's'}, answered below."
            return " ".join(filter(None, [said, still_missing(self.rows)]))
        found = verdict(self.rows, self.columns, axis=self.axis, by_target=by_target)
        order = "" if by_target or self.axis else rank_agreement(self.rows, self.columns)
        return " ".join(filter(None, [found, order]))

    @property
    def verdict(self) -> str:
        """The claims and the rest."""
        return " ".join([*self.claims, self.observations])

    @property
    def errors(self) -> str:
        """What the standard errors of the figures are of, in sentences; empty where no figure has one."""
        cells = [cell for row in self.rows for cell in row.cells.values()]
        return note_on_table(cells, listed=len(self.columns) == 1)

    @property
    def table(self) -> pd.DataFrame:
        """The table as data, a line a figure: row, column, published, measured, std, n, difference, best_epoch, unit, better,
        images, sampling_error, standard_error (see `Cell`). Without differences where the experiment is not the published one.
        """
        return pd.DataFrame(
            {
                "row": row.label,
                "column": self.columns[column],
                "published": cell.published,
                "measured": cell.mean,
                "std": cell.std,
                "n": cell.n,
                "difference": cell.difference if self.comparable else None,
                "best_epoch": cell.best,
                "unit": cell.unit,
                "better": cell.better,
                "images": cell.images,
                "sampling_error": cell.sampling,
                "standard_error": cell.error,
            }
            for row in self.rows
            for column, cell in row.cells.items()
        ).astype({"images": "Int64"})  # a whole number or nothing

    @property
    def histories(self) -> pd.DataFrame:
        """Test figures by epoch of every finished run that was tested by epoch.

        Columns: run, seed, metric, measure (`accuracy (%)`: what an axis says of the metric), epoch, value.
        """
        frames = [
            pd.DataFrame(
                {
                    "run": run.key,
                    "seed": run.seed,
                    "metric": metric,
                    "measure": axis_label("accuracy" if _is_accuracy(metric, value) else metric, value.unit, value.better),
                    "epoch": run.history["epoch"],
                    "value": run.history[f"test_{metric}"],
                }
            )
            for run in self.runs
            if run.result and not run.history.empty
            for metric, value in run.result.metrics.items()
            if f"test_{metric}" in run.history
        ]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def save(self) -> None:
        """Write the table as `table.csv` beside the plan. The notebook calls it before anything is drawn."""
        path = self.path.parent / TABLE
        write_text(path, self.table.to_csv(index=False))
        print(f"table: {path}")


def _is_accuracy(name: str, metric: Metric | MetricValue) -> bool:
    """Whether a metric is a share of right answers: it is called so."""
    return metric.unit == PERCENT and name.endswith("top1")

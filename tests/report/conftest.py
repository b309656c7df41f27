"""A suite whose runs finished with figures of one's choice, without any of them being run."""

from collections.abc import Iterator
from typing import Any

import matplotlib
import nbformat
import pandas as pd
import pytest
from matplotlib import pyplot

from rotnet_lib.report.suite_report import ReportConfig, SuiteReport
from rotnet_lib.runs import HISTORY, METRICS, NOTEBOOK, DataRecord, Metric, RunResult
from rotnet_lib.suites.plan import Options, Plan, PlannedRun, make_plan

matplotlib.use("agg")  # not by the environment, which kernels inherit: their pictures would be gone


class MadeUp:
    """Table 3 planned with some options, and its runs finished or failed by hand."""

    def __init__(self, **options: Any) -> None:
        self.plan: Plan = make_plan("table3", Options(**({"preset": "quick"} | options)))
        self.path = self.plan.write()

    def run(self, key: str, seed: int = 0) -> PlannedRun:
        return next(run for run in self.plan.runs if (run.key, run.config.seed) == (key, seed))

    def finish(self, key: str, last: float, *, best: float | None = None, seed: int = 0, title: str = "made up") -> RunResult:
        """Write a run's result: `last` at the last of three epochs, `best` at the second."""
        run, best = self.run(key, seed), last if best is None else best
        metric = next(row.metric for row in self.plan.suite.rows if row.run == key) if key != "rotnet" else "rotation_top1"
        result = RunResult(
            run=run.name,
            stage=run.config.stage,
            parameters=run.config.model_dump(mode="json"),
            protocol_differences=run.config.protocol_differences(),
            data=DataRecord(
                name=run.config.dataset,
                title=title,
                fingerprint="0123",
                classes=[f"class {n}" for n in range(10)],
                image_size=32,
                train_images=4000,
                test_images=1000,
            ),
            metrics={metric: Metric(last=last, best=best, best_epoch=2)},
            epochs=3,
            inputs=12000,
            train_seconds=100.0,
            inputs_per_second=120.0,
            wall_seconds=110.0,
            parameters_trained=1234567,
            peak_memory_mib=512,
            environment={
                "rotnet_lib": "0.1.0",
                "commit": "abcdef012345",
                "python": "3.11.2",
                "device": "Some processor",
                "threads": 1,
                "packages": {"torch": "2.15.0"},
            },
            finished_at="2026-11-22 13:19:44 UTC",
        )
        run.directory.path.mkdir(parents=True, exist_ok=True)
        history = {"epoch": [1, 2, 3], f"test_{metric}": [last / 2, best, last], f"train_{metric}": [1.0, 2.0, 3.0]}
        losses = {"train_loss": [3.0, 2.0, 1.0], "test_loss": [3.5, 2.5, 1.5]}
        pd.DataFrame(history | losses).to_csv(run.directory.path / HISTORY, index=False)
        (run.directory.path / METRICS).write_text(result.model_dump_json())
        (run.directory.path / "parameters.yaml").write_text("{}")
        (run.directory.path / "report.html").write_text("the run's report")
        return result

    def fail(self, key: str, seed: int = 0) -> None:
        """What a failed run leaves: its notebook, marked, and the report."""
        directory = self.run(key, seed).directory.path
        directory.mkdir(parents=True)
        notebook = nbformat.v4.new_notebook(metadata={"papermill": {"exception": True}})
        nbformat.write(notebook, directory / NOTEBOOK)
        (directory / "parameters.yaml").write_text("{}")
        (directory / "report.html").write_text("the failed run's report")

    def finish_all(self, title: str = "made up") -> None:
        for run in self.plan.runs:
            self.finish(run.key, 50.0, seed=run.config.seed, title=title)

    def report(self) -> SuiteReport:
        return SuiteReport(ReportConfig(plan=str(self.path)))


@pytest.fixture
def made_up() -> type[MadeUp]:
    """`suite = made_up(seeds=3)`, `suite.finish("rotnet-conv", 80.0)`, `suite.report()`."""
    return MadeUp


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    pyplot.close("all")

"""A suite whose runs finished with figures of one's choice, without any of them being run."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import nbformat
import pandas as pd
import pytest
from matplotlib import pyplot

from rotnet_lib.data.source import DATASETS
from rotnet_lib.report.report_config import ReportConfig
from rotnet_lib.report.suite_report import SuiteReport
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.directory import HISTORY, NOTEBOOK
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.runs.schema import DataRecord, Environment, MetricValue, RunResult, TrainingRecord
from rotnet_lib.suites.plan import Options, Plan, PlannedRun, fingerprint_of, plan_suite

matplotlib.use("agg")  # not by the environment, which kernels inherit: their pictures would be gone


class MadeUp:
    """A suite planned with some options, and its runs finished or failed by hand."""

    def __init__(self, name: str = "table3", fingerprint: Callable[[RunConfig], str] = fingerprint_of, **options: Any) -> None:
        self.plan: Plan = plan_suite(name, Options(**({"preset": "quick"} | options)), fingerprint)
        self.path = self.plan.write()
        self.fingerprint = fingerprint

    @property
    def directory(self) -> Path:
        """Where the suite's report goes."""
        return self.plan.directory

    def run(self, key: str, seed: int = 0) -> PlannedRun:
        return next(run for run in self.plan.runs if (run.key, run.config.seed) == (key, seed))

    def finish(
        self,
        key: str,
        last: float | Mapping[str, float],
        *,
        best: float | None = None,
        seed: int = 0,
        title: str | None = "made up",
        by_target: Mapping[str, float] | None = None,
        course: Sequence[float] | None = None,
        train_images: int = 4000,
        trained: bool = True,
        like: Metric | None = None,
        images: int | None = None,
    ) -> RunResult:
        """Write a run's result.

        Args:
            key, seed: which run.
            last: at the last epoch, in the metrics' unit, of every metric or by metric.
            best: percent at the best epoch, the second of three; None: as at the last.
            title: of the data; None: the one that published figures are of.
            by_target: percent by right answer, of every metric.
            course: percent at every epoch; None: three epochs that start at half of `last`.
            train_images: trained on, of 10 classes.
            trained: whether the run trains anything.
            like: what the metrics are; None: percent on the test split.
            images: of how many test images they are shares, a tenth of them by right answer; None: the result does not say.
        """
        run = self.run(key, seed)
        lasts = dict(last) if isinstance(last, Mapping) else dict.fromkeys(metrics_of(run), last)
        courses = {name: list(course or (end / 2, end if best is None else best, end)) for name, end in lasts.items()}
        epochs = len(next(iter(courses.values())))
        result = RunResult(
            run=run.name,
            stage=run.config.stage,
            parameters=run.config.model_dump(mode="json"),
            protocol_differences=run.config.protocol_differences(),
            data=DataRecord(
                name=run.config.dataset,
                title=title or DATASETS[run.config.dataset].published_title or "",
                fingerprint=self.fingerprint(run.config),
                classes=[f"class {n}" for n in range(10)],
                image_size=32,
                train_images=train_images,
                test_images=1000,
                validation=getattr(run.config, "validate", None) is not None,
            ),
            metrics={
                name: measured_like(like or Metric(), end, end if best is None else best, images, by_target or ())
                for name, end in lasts.items()
            },
            by_target={name: dict(by_target or {}) for name in lasts},
            training=TrainingRecord(epochs=epochs, inputs=12000, seconds=100.0, inputs_per_second=120.0, parameters=1234567)
            if trained
            else None,
            wall_seconds=110.0,
            peak_memory_mib=512,
            environment=Environment(
                rotnet_lib="0.1.0",
                commit="abcdef012345",
                python="3.11.2",
                device="Some processor",
                threads=1,
                packages={"torch": "2.15.0"},
            ),
            finished_at="2026-11-22 13:19:44 UTC",
            version=run.config.version,
            execution=[name for name in type(run.config).model_fields if run.config.role(name) == "execution"],
            later=run.config.later_parameters(),
        )
        run.directory.path.mkdir(parents=True, exist_ok=True)
        if trained:
            numbers = range(1, epochs + 1)
            history: dict[str, Any] = {"epoch": numbers}
            for name, values in courses.items():
                tested = like is None or like.tested
                history |= {f"train_{name}": [1.0 * number for number in numbers] if tested else values}
                history |= {f"test_{name}": values} if tested else {}
            losses = {"train_loss": [3.0 / n for n in numbers], "test_loss": [3.5 / n for n in numbers]}
            pd.DataFrame(history | losses).to_csv(run.directory.path / HISTORY, index=False)
        run.directory.open(run.config)
        run.directory.save(result)
        run.directory.close()
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

    def finish_all(self, title: str | None = "made up", **more: Any) -> None:
        for run in self.plan.runs:
            self.finish(run.key, 50.0, seed=run.config.seed, title=title, **more)

    def report(self) -> SuiteReport:
        return SuiteReport(ReportConfig(suite=self.plan.suite.name, plan=str(self.path)))


def measured_like(metric: Metric, last: float, best: float, images: int | None, targets: Iterable[str]) -> MetricValue:
    """A figure of such a metric."""
    value = MetricValue(last=last, unit=metric.unit, better=metric.better, chance=metric.chance, tested=metric.tested)
    value = value if images is None else value.of_images(images, dict.fromkeys(targets, images // 10))
    return value.model_copy(update={"best": best, "best_epoch": 2}) if metric.tested else value


def metrics_of(run: PlannedRun) -> list[str]:
    """The metrics a run of that stage has."""
    values = run.config.model_dump()
    if run.config.stage == "pretrain":
        return ["top1" if values["task"] == "labels" else "rotation_top1"]
    if run.config.stage == "inspect":
        return ["rotation_top1"]
    if run.config.stage == "pu_weights":
        return ["rotation_top1", "upright", "plausible"]
    return [f"{layer}_top1" for layer in run.config.layers]  # type: ignore[attr-defined]


@pytest.fixture
def made_up() -> type[MadeUp]:
    """`suite = made_up("table3", seeds=3)`, `suite.finish("rotnet-conv", 80.0)`, `suite.report()`."""
    return MadeUp


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    pyplot.close("all")

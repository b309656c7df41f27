"""The report stage: a suite's table, published beside measured, from whatever of its runs is finished."""

import itertools
import json
import statistics
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from IPython.display import HTML
from pydantic import Field

from rotnet_lib.config import EXECUTION, StageConfig
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import write_text
from rotnet_lib.paths import from_project
from rotnet_lib.report.fragments import fragment
from rotnet_lib.report.published import published_rows, source
from rotnet_lib.report.run_report import plain
from rotnet_lib.runs import HISTORY, REPORT, RunDirectory, RunResult


class ReportConfig(StageConfig):
    """Which suite to report on."""

    stage: ClassVar[str] = "report"

    suite: str = Field("table3", description="the suite's name")
    plan: str | None = Field(
        None, description="plan.json of the suite's runs; None: the newest below `runs`", json_schema_extra=EXECUTION
    )


@dataclass(frozen=True)
class Row:
    """A row of the table. Accuracies in percent; None where there is none.

    Attributes:
        label: as published.
        published: the published figure.
        values, bests: last and best test epoch of every finished run of the row, a run a seed.
        states: state of every planned run of the row; empty for a row of another method.
    """

    label: str
    published: float | None
    values: list[float]
    bests: list[float]
    states: list[str]

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
    def unfinished(self) -> str:
        """What keeps a row from being measured: `"failed"`, or `"2 missing, 1 running"`."""
        odd = [state for state in self.states if state != "finished"]
        return ", ".join(f"{odd.count(state)} {state}" if len(odd) > 1 else state for state in dict.fromkeys(odd))


@dataclass(frozen=True)
class ReportedRun:
    """A run of the plan as the report sees it."""

    key: str
    seed: int
    directory: RunDirectory
    departures: dict[str, list[Any]]

    @cached_property
    def state(self) -> str:
        return self.directory.state

    @cached_property
    def result(self) -> RunResult | None:
        return self.directory.result() if self.state == "finished" else None


class SuiteReport:
    """A suite's finished runs, read from the plan that made them.

    Raises:
        RotnetError: no plan of that suite, or a damaged one.
    """

    def __init__(self, config: ReportConfig) -> None:
        root = from_project(config.runs)
        self.path = from_project(config.plan) if config.plan else _newest_plan(root, config.suite)
        try:
            self.plan: dict[str, Any] = json.loads(self.path.read_text())
            self.suite: dict[str, Any] = self.plan["suite"]
            self.runs = [
                ReportedRun(run["key"], run["parameters"]["seed"], RunDirectory(root / run["name"]), run["departures"])
                for run in self.plan["runs"]
            ]
        except (OSError, ValueError, KeyError) as error:
            raise RotnetError(
                f"cannot read the plan {self.path}: {error!r}. Make it again: make reproduce-{config.suite}."
            ) from None

    @cached_property
    def results(self) -> list[RunResult]:
        return [run.result for run in self.runs if run.result is not None]

    @cached_property
    def rows(self) -> list[Row]:
        """The published table's rows in their order."""
        measured = {row["label"]: row for row in self.suite["rows"]}
        rows = []
        for label, published in published_rows(self.suite["published"]).items():
            entry = measured.get(label)
            runs = [run for run in self.runs if entry and run.key == entry["run"]]
            metrics = [run.result.metrics[entry["metric"]] for run in runs if entry and run.result]
            rows.append(Row(label, published, [m.last for m in metrics], [m.best for m in metrics], [r.state for r in runs]))
        return rows

    @property
    def differences(self) -> list[dict[str, str]]:
        """Parameter, protocol, here, and which runs, for every way the runs depart from the protocol."""
        found: dict[tuple[str, str, str], list[str]] = {}
        for run in self.runs:
            if run.result is None:
                continue
            changed = run.departures | run.result.protocol_differences
            if run.result.data.title != self.suite["data"] and "dataset" not in changed:
                changed["data"] = [self.suite["data"], run.result.data.title]
            for name, (asked, value) in changed.items():
                keys = found.setdefault((name, plain(asked), plain(value)), [])
                if run.key not in keys:
                    keys.append(run.key)
        finished = {run.key for run in self.runs if run.result}
        return [
            {"name": name, "protocol": asked, "here": here, "runs": "all" if set(keys) == finished else ", ".join(keys)}
            for (name, asked, here), keys in sorted(found.items())
        ]

    @property
    def verdict(self) -> str:
        """What the table shows, in a sentence drawn from its figures."""
        trained = [row for row in self.rows if row.planned]
        measured = [row for row in trained if row.mean is not None]
        if len(measured) < 2:
            return f"{len(measured)} of {len(trained)} rows measured: nothing to compare yet."
        pairs = [(a, b) for a, b in itertools.combinations(measured, 2) if a.published != b.published]
        agree = sum(((a.mean or 0) > (b.mean or 0)) == ((a.published or 0) > (b.published or 0)) for a, b in pairs)
        order = sorted(measured, key=lambda row: -(row.mean or 0))
        extremes = f"highest {order[0].label} ({order[0].mean:.1f}), lowest {order[-1].label} ({order[-1].mean:.1f})"
        return (
            f"{len(measured)} of {len(trained)} trained rows measured: {extremes}. Of {len(pairs)} pairs of rows, "
            f"{agree} stand in the published order."
        )

    @property
    def summary(self) -> HTML:
        """The table with what it was measured on and how, for a notebook cell."""
        titles = list(dict.fromkeys(result.data.title for result in self.results)) or ["no data yet"]
        return HTML(
            fragment(
                "suite.html.j2",
                title=self.suite["title"],
                verdict=self.verdict,
                data_title=", ".join(titles),
                plan=self.plan,
                measured=bool(self.results),
                comparable=bool(self.results) and not self.differences,
                metric="top1",
                rows=self.rows,
                seeds=len({run.seed for run in self.runs}),
                source=source(self.suite["source"]),
                differences=self.differences,
                facts=self._facts(),
                runs=[self._run_line(run) for run in self.runs],
            )
        )

    @property
    def table(self) -> pd.DataFrame:
        """The table as data: label, published, measured, std, n, difference, best."""
        return pd.DataFrame(
            {
                "row": row.label,
                "published": row.published,
                "measured": row.mean,
                "std": row.std,
                "n": row.n,
                "difference": row.difference,
                "best_epoch": row.best,
            }
            for row in self.rows
        )

    @property
    def histories(self) -> pd.DataFrame:
        """Test accuracy by epoch of every finished run: columns run, seed, metric, epoch, top1."""
        frames = []
        for run in self.runs:
            if run.result is None:
                continue
            history = pd.read_csv(run.directory.path / HISTORY)
            for metric in run.result.metrics:
                frames.append(
                    pd.DataFrame(
                        {
                            "run": run.key,
                            "seed": run.seed,
                            "metric": metric,
                            "epoch": history["epoch"],
                            "top1": history[f"test_{metric}"],
                        }
                    )
                )
        return (
            pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["run", "seed", "metric", "epoch", "top1"])
        )

    def save(self) -> None:
        """Write the table as `table.csv` beside the plan. The notebook's last line."""
        write_text(self.path.parent / "table.csv", self.table.to_csv(index=False))
        print(f"table: {self.path.parent / 'table.csv'}")

    def _facts(self) -> dict[str, str]:
        if not self.results:
            return {"runs": "none finished"}
        data = {
            f"{r.data.title}: {r.data.train_images} training and {r.data.test_images} test images of "
            f"{r.data.image_size} pixels, fingerprint {r.data.fingerprint}"
            for r in self.results
        }
        machines = {f"{r.environment['device']}, {r.environment['threads']} threads a run" for r in self.results}
        versions = {
            f"rotnet-lib {r.environment['rotnet_lib']} at {r.environment['commit'] or 'no commit'}, "
            f"Python {r.environment['python']}, "
            + ", ".join(f"{name} {version}" for name, version in r.environment["packages"].items())
            for r in self.results
        }
        stamps = [r.finished_at for r in self.results]
        return {
            "data": "; ".join(sorted(data)),
            "machine": "; ".join(sorted(machines)),
            "versions": "; ".join(sorted(versions)),
            "memory": f"at most {max(r.peak_memory_mib for r in self.results)} MiB a run",
            "time": f"{sum(r.train_seconds for r in self.results):,.0f} s of training steps in all runs together; with "
            f"loading and evaluation {sum(r.wall_seconds for r in self.results):,.0f} s, not counting interrupted attempts",
            "finished": min(stamps) if min(stamps) == max(stamps) else f"{min(stamps)} to {max(stamps)}",
        }

    def _run_line(self, run: ReportedRun) -> dict[str, Any]:
        report = run.directory.path / REPORT
        result = run.result
        return {
            "key": run.key,
            "seed": run.seed,
            "state": run.state,
            "link": f"../{run.directory.name}/{REPORT}" if report.exists() else None,
            "inputs": f"{result.inputs:,}" if result else "",
            "rate": f"{result.inputs_per_second:,.0f}" if result else "",
            "seconds": f"{result.wall_seconds:,.0f}" if result else "",
        }


def _newest_plan(root: Path, suite: str) -> Path:
    plans = sorted(root.glob(f"{suite}-*/plan.json"), key=lambda path: -path.stat().st_mtime)
    if not plans:
        raise RotnetError(f"no plan of suite '{suite}' in {root}. Make one: make reproduce-{suite}.")
    return plans[0]

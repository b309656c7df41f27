"""What lies in a run's directory and in a suite's: results, parameters, histories, plans."""

import csv
import io
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from campaigns.inputs.kinds.files import FileKind, json_in
from campaigns.inputs.kinds.made import make_run, run_of_seed
from campaigns.inputs.trial import Input
from campaigns.inputs.values import alike
from rotnet_lib.report.report_config import ReportConfig
from rotnet_lib.report.suite_page import details, summary
from rotnet_lib.report.suite_report import SuiteReport
from rotnet_lib.runs.directory import HISTORY, METRICS, PARAMETERS, PLAN, RunDirectory
from rotnet_lib.runs.history import history_of
from rotnet_lib.runs.plan_file import read_plan
from rotnet_lib.runs.unverified import noted, noting
from rotnet_lib.suites.plan import Options, plan_suite

_YAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml, which takes tabs in some places where PyYAML's own reader does not."""


class _RunFile(FileKind):
    """A file of a finished run; beside it lies another run."""

    def prepare(self, folder: Path) -> None:
        for seed in (0, 1):
            make_run(folder, seed=seed)

    def run(self, folder: Path) -> RunDirectory:
        return run_of_seed(folder, 0)

    def donors(self, folder: Path) -> Iterable[Path]:
        name = self.file(folder).name
        return (run_of_seed(folder, 1).path / name, self.run(folder).path / (METRICS if name != METRICS else PARAMETERS))


class Metrics(_RunFile):
    name = "metrics"
    right = "the good result, where the file holds the same JSON; a file of any other content is named as damaged"
    form = "json"

    def file(self, folder: Path) -> Path:
        return self.run(folder).path / METRICS

    def read(self, given: Input) -> Any:
        run = self.run(given.folder)
        run.check()
        result = run.result()
        return result.model_dump(mode="json"), run.state, run.damage

    def problem(self, given: Input, found: Any) -> str | None:
        result, state, damage = found
        good = json_in(self.file(given.good))
        if json_in(self.file(given.folder)) != good:
            return "another result was not found damaged"
        if (state, damage) != ("finished", None):
            return f"the run is {state} ({damage})"
        return None if alike(result, good) else "another result than the file's"


class Parameters(_RunFile):
    name = "parameters-yaml"
    right = "the values in the file, which but for those of the execution are the result's"
    form = "yaml"

    def file(self, folder: Path) -> Path:
        return self.run(folder).path / PARAMETERS

    def read(self, given: Input) -> Any:
        return self.run(given.folder).parameters()

    def problem(self, given: Input, found: Any) -> str | None:
        result = json_in(self.run(given.good).path / METRICS)
        if not alike(found, yaml.load(self.file(given.folder).read_bytes(), _YAML)):
            return "other values than the file's"
        said = result["parameters"]
        differ = {name for name in {*found, *said} if name not in found or name not in said or found[name] != said[name]}
        odd = differ.difference(result["execution"])
        return f"another {', '.join(sorted(odd))} than the result's" if odd else None


_SINCE_CHECKSUMS = ("version", "execution", "unverified", "files", "checksum")
"""Fields of a result that those from before checksums lack."""


class History(_RunFile):
    name = "history"
    right = (
        "the good table, where not a byte is another; of a run from before checksums the numbers in the file, NaN for those "
        "that are missing, and the file noted as unverified"
    )
    form = "text"

    def file(self, folder: Path) -> Path:
        return self.run(folder).path / HISTORY

    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        given = super().change(folder, good, rng)
        before = rng.random() < 0.5
        if before:
            path = self.run(folder).path / METRICS
            document = {name: value for name, value in json_in(path).items() if name not in _SINCE_CHECKSUMS}
            path.write_text(json.dumps(document | {"schema_version": 2}))
        run = "of a run from before checksums" if before else "of a run"
        return Input(folder, good, f"{given.what}, {run}", given.culprits, value=before)

    def read(self, given: Input) -> Any:
        with noting():
            table = history_of(self.run(given.folder))
            unverified = noted()
        return {str(name): list(map(float, table[name])) for name in table}, unverified

    def problem(self, given: Input, found: Any) -> str | None:
        table, unverified = found
        content = self.file(given.folder).read_bytes()
        if bool(unverified) != bool(given.value):
            return f"unverified are said to be {unverified}"
        if not given.value and content != self.file(given.good).read_bytes():
            return "another file was not found damaged"
        head, *rows = (row for row in csv.reader(io.StringIO(content.decode("utf-8-sig"))) if row)
        if any(len(row) > len(head) for row in rows):
            return "a row that is longer than the head was read"
        whole = [[*row, *[""] * (len(head) - len(row))] for row in rows]
        expected = {
            name or f"Unnamed: {place}": [float(row[place] or "nan") for row in whole] for place, name in enumerate(head)
        }
        return None if alike(table, expected) else f"{table} in place of {expected}"


class Plan(FileKind):
    name = "plan"
    right = "each value in the plan as in the file, and the suite's page can be drawn from it"
    form = "json"

    def prepare(self, folder: Path) -> None:
        options = Options(preset="quick", set="train_size=40 test_size=20 epochs=1", runs="runs")
        for suite in ("table3", "table1"):
            plan_suite(suite, options).write()

    def file(self, folder: Path) -> Path:
        return sorted((folder / "runs").glob("table3-*"))[0] / PLAN

    def donors(self, folder: Path) -> Iterable[Path]:
        return (folder / "runs").glob(f"table1-*/{PLAN}")

    def read(self, given: Input) -> Any:
        path = self.file(given.folder)
        plan = read_plan(path).model_dump()
        report = SuiteReport(ReportConfig.build({"suite": "table3", "plan": str(path)}))
        return plan, summary(report).data + details(report).data

    def problem(self, given: Input, found: Any) -> str | None:
        plan, page = found
        document = json_in(self.file(given.folder))
        for name, value in plan.items():
            if name != "runs" and not alike(value, document.get(name)):
                return f"another {name} than the file's"
        for read, written in zip(plan["runs"], document["runs"], strict=True):
            for name, value in read.items():
                if not alike(value, written[name]):
                    return f"another {name} of a run than the file's"
        return None if page else "an empty page"

"""`runs/index.html`: one page that links every report: suites with their runs, and the runs by stage."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import lock_file, write_text
from rotnet_lib.report.data_words import DataWords
from rotnet_lib.report.fragments import page
from rotnet_lib.report.run_lines import KnownRun, RunLine, run_line
from rotnet_lib.runs.directory import PLAN, REPORT, RunDirectory, all_runs, now
from rotnet_lib.runs.plan_file import PlanFile, PlannedEntry, read_plan
from rotnet_lib.runs.renamed import names_now
from rotnet_lib.runs.schema import RunResult

_STAGES = {
    "pretrain": "Pretraining",
    "probe": "Probes of frozen layers",
    "finetune": "Fine-tuning",
    "knn": "Nearest neighbours",
    "inspect": "What networks look at",
    "pu_weights": "Weights of rotated copies",
    "voc_classification": "PASCAL VOC, classification",
    "voc_detection": "PASCAL VOC, detection",
    "voc_segmentation": "PASCAL VOC, segmentation",
}
"""Stage -> the heading above its runs; another stage goes by its name."""

_COLUMNS = {"arch": "arch", "data": "data", "seed": "seed", "length": "epochs", "chance": "chance"}
"""Field of a run's line -> the heading of its column, of columns in which runs may have the same."""

_SORTABLE = 10
"""Rows of a table from which, beyond, it can be sorted."""


def write_index(root: Path) -> Path:
    """Write `index.html` below `root` from the plans and runs there; returns its path.

    Of two processes that write it, the one that looked last writes last.
    """
    with lock_file(root / ".index.lock"):
        return _write_index(root)


def _write_index(root: Path) -> Path:
    paths = sorted(root.glob(f"*/{PLAN}"), key=lambda path: -path.stat().st_mtime)
    plans = {path: _plan(path) for path in paths}
    runs = all_runs(root)
    renamed = names_now(run.result() for run in runs if run.finished)
    known: dict[str, KnownRun] = {}
    used: dict[str, dict[str, None]] = {}
    for plan in plans.values():
        for entry in plan.runs if isinstance(plan, PlanFile) else ():
            name = renamed.get(entry.name, entry.name)
            known[name] = KnownRun(entry.notebook, entry.parameters)
            if isinstance(plan, PlanFile) and plan.suite:
                used.setdefault(name, {})[str(plan.suite.get("name"))] = None
    for run in runs:
        if run.finished and run.name not in known:
            known[run.name] = KnownRun(run.result().stage, run.result().parameters)
    known |= {old: known[name] for old, name in renamed.items() if name in known}  # parameters of other runs may say those
    lines = [run_line(run, known, list(used.get(run.name, {}))) for run in runs]
    text = page(
        "index.html.j2",
        title=f"Runs: {root.name}",
        root=root.name,
        time=now(),
        suites=[_suite_line(path, plan, renamed, {line.name: line for line in lines}) for path, plan in plans.items()],
        stages=[(heading, of_stage, _shared(of_stage)) for heading, of_stage in _by_stage(lines).items()],
        sortable=_SORTABLE,
    )
    write_text(root / "index.html", text)
    return root / "index.html"


def _plan(path: Path) -> PlanFile | RotnetError:
    try:
        return read_plan(path)
    except RotnetError as error:
        return error


def _by_stage(lines: list[RunLine]) -> dict[str, list[RunLine]]:
    """Heading -> the runs below it, in the order of the stages; runs of which nothing tells the stage come last."""
    order = dict.fromkeys([*_STAGES, *sorted(line.stage for line in lines if line.stage), ""])
    headings = {stage: _STAGES.get(stage, stage or "Of an unknown stage") for stage in order}
    found = {headings[stage]: [line for line in lines if line.stage == stage] for stage in order}
    return {heading: of_stage for heading, of_stage in found.items() if of_stage}


def _shared(lines: Sequence[RunLine]) -> dict[str, str]:
    """Column -> what all of several runs have in it: said once, above their table."""
    found = {heading: {str(getattr(line, field)) for line in lines} for field, heading in _COLUMNS.items()}
    return {heading: one for heading, values in found.items() if len(lines) > 1 and len(values) == 1 and (one := values.pop())}


class _Planned:
    """A run of a plan, as `DataWords` looks at it."""

    def __init__(self, entry: PlannedEntry, root: Path) -> None:
        run = RunDirectory(root / entry.name)
        self.dataset: str = entry.dataset
        self.parameters: Mapping[str, Any] = entry.parameters
        self.result: RunResult | None = run.result() if run.finished else None


def _suite_line(
    path: Path, plan: PlanFile | RotnetError, renamed: Mapping[str, str], lines: Mapping[str, RunLine]
) -> dict[str, Any]:
    link = f"{path.parent.name}/{REPORT}" if (path.parent / REPORT).exists() else None
    line = {"name": path.parent.name, "link": link}
    if isinstance(plan, RotnetError):
        return line | {"title": f"damaged {path.name}: {plan}", "preset": "", "options": "", "runs": [], "finished": 0}
    said = {name: plan.options.get(name) for name in ("methods", "dataset", "seeds", "set")}
    asked = [f"{name.upper()}={value}" for name, value in said.items() if value not in (None, "", 1)]
    root = path.parent.parent
    runs = [
        {"key": run.key, "seed": run.parameters.get("seed"), "line": lines.get(renamed.get(run.name, run.name))}
        for run in plan.runs
    ]
    return line | {
        "title": DataWords(_Planned(run, root) for run in plan.runs).text(plan.title),
        "preset": plan.preset,
        "options": " ".join(asked),
        "runs": runs,
        "finished": sum(run.name in renamed or RunDirectory(root / run.name).finished for run in plan.runs),
    }

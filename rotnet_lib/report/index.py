"""`runs/index.html`: one page that links every report."""

from collections.abc import Container
from pathlib import Path
from typing import Any

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import lock_file, write_text
from rotnet_lib.report.fragments import fragment, style
from rotnet_lib.runs.directory import PLAN, REPORT, RunDirectory, all_runs, now
from rotnet_lib.runs.plan_file import read_plan
from rotnet_lib.runs.renamed import names_now


def write_index(root: Path) -> Path:
    """Write `index.html` below `root` from the plans and runs there; returns its path.

    Of two processes that write it, the one that looked last writes last.
    """
    with lock_file(root / ".index.lock"):
        return _write_index(root)


def _write_index(root: Path) -> Path:
    plans = sorted(root.glob(f"*/{PLAN}"), key=lambda path: -path.stat().st_mtime)
    runs = all_runs(root)
    renamed = names_now(run.result() for run in runs if run.finished)
    page = fragment(
        "index.html.j2",
        style=style(),
        root=root.name,
        time=now(),
        suites=[_suite_line(root, path, renamed) for path in plans],
        runs=[_run_line(run) for run in runs],
    )
    write_text(root / "index.html", page)
    return root / "index.html"


def _suite_line(root: Path, path: Path, renamed: Container[str]) -> dict[str, Any]:
    try:
        plan = read_plan(path)
    except RotnetError as error:
        damaged = {"title": f"damaged {path.name}: {error}", "preset": "", "options": "", "runs": 0, "finished": 0}
        return damaged | {"name": path.parent.name, "link": _link(path.parent)}
    said = {name: plan.options.get(name) for name in ("methods", "dataset", "seeds", "set")}
    asked = [f"{name.upper()}={value}" for name, value in said.items() if value not in (None, "", 1)]
    return {
        "name": path.parent.name,
        "title": plan.title,
        "preset": plan.preset,
        "options": " ".join(asked),
        "runs": len(plan.runs),
        "finished": sum(run.name in renamed or RunDirectory(root / run.name).finished for run in plan.runs),
        "link": _link(path.parent),
    }


def _run_line(run: RunDirectory) -> dict[str, Any]:
    state = run.state
    line: dict[str, Any] = {"name": run.name, "state": state, "link": _link(run.path)}
    if state != "finished":
        return line | {"metrics": run.damage or "", "data": "", "finished_at": ""}
    result = run.result()
    metrics = ", ".join(f"{name} {metric.text}" for name, metric in result.metrics.items())
    return line | {"metrics": metrics, "data": result.data.title, "finished_at": result.finished_at}


def _link(directory: Path) -> str | None:
    return f"{directory.name}/{REPORT}" if (directory / REPORT).exists() else None

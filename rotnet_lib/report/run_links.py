"""Links from a run's page: to the runs it builds on, the suites it serves, and its files."""

from pathlib import Path

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import read_text
from rotnet_lib.report.data_words import DataWords
from rotnet_lib.report.fragments import fragment
from rotnet_lib.report.made_by import MadeBy
from rotnet_lib.report.reported_run import ReportedRun
from rotnet_lib.runs.ancestors import upstream_names
from rotnet_lib.runs.directory import HISTORY, METRICS, MODEL, NOTEBOOK, PARAMETERS, PLAN, PU, REPORT, RunDirectory
from rotnet_lib.runs.plan_file import read_plan

_FILES = {
    METRICS: "result (metrics.json)",
    HISTORY: "history of the training (history.csv)",
    MODEL: "weights (model.safetensors)",
    PU: "probabilities of being upright (pu.safetensors)",
    PARAMETERS: "parameters (parameters.yaml)",
    NOTEBOOK: "executed notebook (notebook.ipynb)",
}


def run_links(run: RunDirectory, made_by: MadeBy | None = None) -> str:
    """HTML with links that are relative to the run's directory, to what there is when the page is drawn.

    Whether a suite's page is there is not asked: it is made when its runs are.

    Args:
        run: a finished one.
        made_by: the command that makes it; None: it is not known.
    """
    root, pages, damaged = run.path.parent, [], []
    for name in upstream_names(run.parameters()):
        if (root / name).is_dir() and not Path(name).is_absolute():
            pages.append(("Builds on the run", name, f"../{name}/{REPORT}" if (root / name / REPORT).is_file() else ""))
    for plan in sorted(root.glob(f"*/{PLAN}")):
        try:
            title = _serves(plan, run.name)
        except RotnetError as error:
            damaged.append(str(error))
        else:
            pages += [("Serves the suite", title, f"../{plan.parent.name}/{REPORT}")] if title else []
    kept = sorted(path.name for path in run.path.glob("model-epoch*.safetensors"))
    files = [(said, name) for name, said in _FILES.items() if (run.path / name).is_file()]
    files += [(f"weights on the way ({name})", name) for name in kept]
    command = made_by.command if made_by else ""
    return fragment("run_links.html.j2", pages=pages, files=files, command=command, damaged=damaged)


def _serves(plan: Path, run: str) -> str:
    """The title of the suite whose plan names a run; empty if it does not. Raises RotnetError if that plan is damaged."""
    try:
        if run not in read_text(plan, ""):  # most do not, and it takes longer to read it as a plan
            return ""
    except FileNotFoundError:
        return ""  # it has just been removed
    found = read_plan(plan)
    if all(run != entry.name for entry in found.runs):
        return ""
    runs = [ReportedRun.of(entry, plan.parent.parent) for entry in found.runs]
    return f"{DataWords(runs).text(found.title)} ({found.preset})"

"""One run: its notebook executed by papermill, then rendered."""

import json
import sys
from pathlib import Path
from typing import Any, TextIO

import papermill
from papermill.exceptions import PapermillExecutionError

from rotnet_lib.errors import RotnetError, StorageError
from rotnet_lib.files import LockTimeout, lock_file, read_bytes, remove_left_files
from rotnet_lib.paths import NOTEBOOKS
from rotnet_lib.report.html import NOTEBOOK_ONLY, render
from rotnet_lib.runs.directory import METRICS, NOTEBOOK, NOTEBOOK_LOCK, REPORT, RunDirectory
from rotnet_lib.stages import STAGES
from rotnet_lib.suites import papermill_engine
from rotnet_lib.suites.line_printer import LinePrinter
from rotnet_lib.suites.single_run import made_by

_WAIT_SECONDS = 20.0
"""As long as a kernel waits for its run."""

_BRACES = str.maketrans({"{": "{{", "}": "}}"})
"""papermill takes a path for a format string."""


def execute(notebook: str, parameters: dict[str, Any], directory: Path, *, label: str = "") -> None:
    """Run a notebook into `directory`: `notebook.ipynb` and, whether it worked or not, `report.html`.

    Of a run that is finished, only the page is made, if it lacks one: from the notebook there if that shows the result, else
    the notebook is run again, which finds the result and draws it.

    Args:
        notebook: the stage's name.
        parameters: the whole effective config, plain JSON values.
        directory: the run's directory.
        label: what to put before every line shown; empty: the progress bar is shown as it is, for a run on its own.

    Raises:
        RotnetError: the notebook failed, its last line says why; or another process is about it.
    """
    source = NOTEBOOKS / f"{notebook}.ipynb"
    if not source.exists():
        raise RotnetError(f"no notebook {source}: rotnet runs from its checkout (pip install -e).")
    run = RunDirectory(directory)
    with _locked(directory):
        remove_left_files(directory, lambda name: name == REPORT)  # of a process that was killed while it wrote the page
        if not run.finished:
            _execute(source, parameters, run, label)
        elif run.lacks_page:  # else it was made while this process waited
            if _shows_result(run, parameters):
                made = made_by(notebook, parameters)
                render(directory / NOTEBOOK, directory / REPORT, shown=run.result_mark, made_by=made)
            else:
                _execute(source, parameters, run, label)


def _locked(directory: Path) -> TextIO:
    try:
        return lock_file(directory / NOTEBOOK_LOCK, wait_seconds=_WAIT_SECONDS)
    except LockTimeout as held:
        raise RotnetError(
            f"the notebook of {directory} is being run by process {held.owner or 'unknown'}. Wait for it to end, or stop it."
        ) from None


def _execute(source: Path, parameters: dict[str, Any], run: RunDirectory, label: str) -> None:
    target, page = run.path / NOTEBOOK, run.path / REPORT
    stream: TextIO | LinePrinter = LinePrinter(label, sys.stdout) if label else sys.stdout
    failure: RotnetError | None = None
    try:
        papermill.execute_notebook(
            *(Path(str(path).translate(_BRACES)) for path in (source, target)),
            parameters,
            engine_name=papermill_engine.NAME,
            kernel_name="python3",
            progress_bar=False,
            page=False,  # it says which result it shows: see below
            stdout_file=stream,
            stderr_file=stream,
            coalesce_streams=True,
            # Nobody reads along while a suite is made: no look at the data, no steps that are timed before the training.
            **({"skip_cells_with_tag": NOTEBOOK_ONLY} if label else {}),
        )
    except PapermillExecutionError as error:
        # The library's own errors are written for the user; of others the type says what they are.
        kind = "" if error.ename in (RotnetError.__name__, StorageError.__name__) else f"{error.ename}: "
        failure = RotnetError(f"{kind}{error.evalue}\n  {page} shows where.")
    except RuntimeError as error:  # nbclient's DeadKernelError among them; papermill lets them pass
        failure = RotnetError(f"the notebook's kernel did not start or died, for lack of memory perhaps: {error}")
    if target.exists():
        made = made_by(source.stem, parameters) if source.stem in STAGES else None  # the report's notebook makes no run
        render(target, page, shown="" if failure else run.result_mark, made_by=made)
    if failure:
        raise failure


def _shows_result(run: RunDirectory, parameters: dict[str, Any]) -> bool:
    """Whether the notebook in a finished run's directory was run to its end with these parameters, and its result is the run's.

    Not if its kernel may have died in the end, which it does not tell: it has a page then, which was written after it.
    """
    path, page = run.path / NOTEBOOK, run.path / REPORT
    try:
        document = json.loads(read_bytes(path, ""))
        cells = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
        complete = (
            _without_preset(document["metadata"]["papermill"]["parameters"]) == _without_preset(parameters)
            and all(cell["metadata"]["papermill"]["status"] == "completed" for cell in cells)
            and not any(output["output_type"] == "error" for cell in cells for output in cell["outputs"])
        )
    except (FileNotFoundError, RotnetError, ValueError, RecursionError, LookupError, TypeError):
        return False  # there is none, or it was cut off
    before = [file for file in (run.path / METRICS, page) if file.exists()]
    return complete and max(file.stat().st_mtime_ns for file in before) <= path.stat().st_mtime_ns


def _without_preset(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters but for the preset that they were asked for by: another may say the same."""
    return {name: value for name, value in parameters.items() if name != "preset"}

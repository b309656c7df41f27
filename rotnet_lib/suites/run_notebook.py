"""One run: its notebook executed by papermill, then rendered."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import papermill
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from rotnet_lib.errors import RotnetError, StorageError
from rotnet_lib.files import make_folder
from rotnet_lib.paths import NOTEBOOKS
from rotnet_lib.report.html import render
from rotnet_lib.runs.directory import NOTEBOOK, REPORT
from rotnet_lib.suites.line_printer import LinePrinter

_BRACES = str.maketrans({"{": "{{", "}": "}}"})
"""papermill takes a path for a format string."""


def execute(notebook: str, parameters: dict[str, Any], directory: Path, *, label: str = "") -> None:
    """Run a notebook into `directory`: `notebook.ipynb` and, whether it worked or not, `report.html`.

    Args:
        notebook: the stage's name.
        parameters: the whole effective config, plain JSON values.
        directory: the run's directory.
        label: what to put before every line shown; empty: the progress bar is shown as it is, for a run on its own.

    Raises:
        RotnetError: the notebook failed; its last line says why.
    """
    source = NOTEBOOKS / f"{notebook}.ipynb"
    if not source.exists():
        raise RotnetError(f"no notebook {source}: rotnet runs from its checkout (pip install -e).")
    make_folder(directory)
    target = directory / NOTEBOOK
    stream: TextIO | LinePrinter = LinePrinter(label, sys.stdout) if label else sys.stdout
    failure: RotnetError | None = None
    with _kernel_environment() as config:
        try:
            papermill.execute_notebook(
                *(Path(str(path).translate(_BRACES)) for path in (source, target)),
                parameters,
                kernel_name="python3",
                progress_bar=False,
                stdout_file=stream,
                stderr_file=stream,
                coalesce_streams=True,
                config=config,
            )
        except PapermillExecutionError as error:
            # The library's own errors are written for the user; of others the type says what they are.
            kind = "" if error.ename in (RotnetError.__name__, StorageError.__name__) else f"{error.ename}: "
            failure = RotnetError(f"{kind}{error.evalue}\n  {directory / REPORT} shows where.")
        except RuntimeError as error:  # nbclient's DeadKernelError among them; papermill lets them pass
            failure = RotnetError(f"the notebook's kernel did not start or died, for lack of memory perhaps: {error}")
    if target.exists():
        render(target, directory / REPORT)
    if failure:
        raise failure


@contextmanager
def _kernel_environment() -> Iterator[Config]:
    """Settings under which notebooks can run side by side; yields the kernel manager's."""
    # Kernels talk over sockets that are files, not ports: two that start at once can be given the same port (papermill
    # issue 511). The sockets lie beside the connection file, in a folder of this process, whose path is short because a
    # socket's name may not pass about 100 characters.
    with tempfile.TemporaryDirectory(prefix="rotnet-", dir="/tmp" if Path("/tmp").is_dir() else None) as runtime:
        os.environ.pop("MPLBACKEND", None)  # a backend the user set for programs without a screen: pictures would be gone
        os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # the kernel of this environment, not one in the user's home
        os.environ.setdefault("TQDM_NCOLS", "100")  # in a kernel there is no terminal to ask
        os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # silences a debugger's warning in every report
        yield Config({"KernelManager": {"transport": "ipc", "connection_file": f"{runtime}/kernel.json"}})

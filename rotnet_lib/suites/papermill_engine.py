"""How papermill runs a notebook here: its usual engine, with a kernel that has sockets of its own and ends in peace.

pyproject.toml names it to papermill, which imports this file whenever it is started. So `papermill notebooks/probe.ipynb
out.ipynb` takes it too, without being asked: from here on papermill's default engine is one that runs this project's notebooks
by it, and all others as before.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
from jupyter_client.utils import ensure_async, run_sync
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NBClientEngine, NotebookExecutionManager, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.log import logger
from traitlets.config import Config

from rotnet_lib.paths import NOTEBOOKS
from rotnet_lib.temporary import temporary_folder

NAME = "rotnet"
"""What papermill knows the engine by."""

_IDLE_SECONDS = 5.0
"""How long a kernel may take to become idle; then it is shut down all the same."""


class RotnetEngine(Engine):
    """papermill's engine, in the environment of `_kernel_environment`."""

    @classmethod
    def execute_notebook(
        cls,
        nb: nbformat.NotebookNode,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool | dict[str, Any] = True,
        *,
        page: bool = True,
        **options: Any,
    ) -> nbformat.NotebookNode:
        """Run a notebook, and write its page beside it: `out.html` beside `out.ipynb`, whether it worked or not.

        Args:
            nb: the notebook.
            kernel_name: the kernel's.
            output_path: where the notebook is written; None: it is not, and there is no page.
            progress_bar: whether to show, on stderr, what the notebook prints while it runs, such as the progress of its
                training: of more use than a bar that counts cells. Not where `options` send it elsewhere.
            page: whether to write the page.
            options: those of papermill's engine.

        Raises PapermillExecutionError if a cell fails.
        """
        elsewhere = options.get("log_output") or options.get("stdout_file") or options.get("stderr_file")
        if progress_bar and not elsewhere:
            options |= {"stdout_file": sys.stderr, "stderr_file": sys.stderr}
        # Of a bar the notebook keeps its last frame, not hundreds of outputs.
        options = {"coalesce_streams": True} | options
        done = super().execute_notebook(nb, kernel_name, output_path, progress_bar=False, **options)
        if page and output_path and Path(output_path).suffix == ".ipynb" and Path(output_path).is_file():
            _write_page(done, Path(output_path))
        return done

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,
        *,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        input_path: str = "",
        **options: Any,
    ) -> None:
        """Run a notebook's cells.

        Args:
            nb_man: the notebook, as papermill hands it over.
            kernel_name: the kernel's.
            start_timeout: seconds that the kernel may take to start.
            execution_timeout: seconds that a cell may take; None: any.
            input_path: not needed.
            options: those of papermill's client.
        """
        with _kernel_environment() as config:
            _Client(
                nb_man,
                kernel_name=kernel_name,
                startup_timeout=start_timeout,
                timeout=execution_timeout,
                log=logger,
                config=config,
                **options,
            ).execute()


class DefaultEngine(Engine):
    """What papermill takes where no engine is named: for this project's notebooks `RotnetEngine`, for others its own."""

    @classmethod
    def execute_notebook(
        cls, nb: nbformat.NotebookNode, kernel_name: str, *arguments: Any, **options: Any
    ) -> nbformat.NotebookNode:
        """See `RotnetEngine.execute_notebook`; `input_path` among the options tells which it is."""
        own = Path(str(options.get("input_path") or "")).resolve().parent == NOTEBOOKS
        engine = RotnetEngine if own else NBClientEngine
        return engine.execute_notebook(nb, kernel_name, *arguments, **options)


def _write_page(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write the page of a notebook that was run and lies at `path`.

    Raises PapermillExecutionError, as papermill would next, if a cell failed: its mark belongs on the page.
    """
    from papermill.execute import raise_for_execution_errors

    from rotnet_lib.report.html import render  # takes a second to import

    page = path.with_suffix(".html")
    try:
        raise_for_execution_errors(notebook, str(path))
    except PapermillExecutionError:
        render(path, page)
        raise
    else:
        render(path, page)
    finally:
        print(f"page: {page}", file=sys.stderr, flush=True)


class _Client(PapermillNotebookClient):
    async def async_wait_for_reply(self, msg_id: str, cell: Any = None) -> Any:
        """The answer to a request, which papermill asks for behind the last cell; returns when the kernel is idle again.

        jupyter_client interrupts a kernel before it shuts it down, and papermill has it shut down as soon as this answer is
        there. A kernel that is not through with the request prints `KeyboardInterrupt caught in kernel` then, under a run
        that ended well.
        """
        reply = await super().async_wait_for_reply(msg_id, cell)
        assert self.kc is not None
        idle = False
        while not idle:
            try:
                message = await ensure_async(self.kc.iopub_channel.get_msg(timeout=_IDLE_SECONDS))
            except Empty:
                break
            own = message["parent_header"].get("msg_id") == msg_id
            idle = own and message["content"].get("execution_state") == "idle"
        return reply

    wait_for_reply = run_sync(async_wait_for_reply)


@contextmanager
def _kernel_environment() -> Iterator[Config]:
    """Settings under which notebooks can run side by side; yields the kernel manager's."""
    # Kernels talk over sockets that are files, not ports: two that start at once can be given the same port (papermill
    # issue 511), and what goes over ports others on this machine can read. The sockets lie beside the connection file, in a
    # folder whose path is short because a socket's name may not pass about 100 characters.
    short = Path("/tmp")
    with temporary_folder(short if short.is_dir() else Path(tempfile.gettempdir())) as runtime:
        os.environ.pop("MPLBACKEND", None)  # a backend the user set for programs without a screen: pictures would be gone
        os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # the kernel of this environment, not one in the user's home
        os.environ.setdefault("TQDM_NCOLS", "100")  # in a kernel there is no terminal to ask
        os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # silences a debugger's warning in every report
        yield Config({"KernelManager": {"transport": "ipc", "connection_file": f"{runtime}/kernel.json"}})


papermill_engines.register(NAME, RotnetEngine)
papermill_engines.register(None, DefaultEngine)

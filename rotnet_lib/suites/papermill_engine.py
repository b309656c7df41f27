"""papermill's usual engine, but that a kernel which has done its work is left in peace until it is idle.

jupyter_client interrupts a kernel before it shuts it down, and papermill has it shut down as soon as the last answer is there.
Where the kernel is not through with that request, it prints `KeyboardInterrupt caught in kernel`, under a run that ended well.
"""

from queue import Empty
from typing import Any

from jupyter_client.utils import ensure_async, run_sync
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
from papermill.log import logger

NAME = "rotnet"
"""What `papermill.execute_notebook` knows the engine by."""

_IDLE_SECONDS = 5.0
"""How long a kernel may take to become idle; jupyter_client then goes on as it would have."""


class _Client(PapermillNotebookClient):
    async def async_wait_for_reply(self, msg_id: str, cell: Any = None) -> Any:
        """The answer to a request, once the kernel is idle again. papermill asks for one behind the last cell."""
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


class _Engine(Engine):
    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, *, start_timeout: int, input_path: str, **options: Any
    ) -> None:
        """Run a notebook's cells, as papermill's own engine does."""
        _Client(nb_man, kernel_name=kernel_name, startup_timeout=start_timeout, log=logger, **options).execute()


papermill_engines.register(NAME, _Engine)

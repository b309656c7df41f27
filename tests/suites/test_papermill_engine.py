"""What a kernel prints that ends well, and where papermill finds the engine."""

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import nbformat
import papermill
import pytest

from rotnet_lib.paths import NOTEBOOKS
from rotnet_lib.suites.papermill_engine import NAME, RotnetEngine

SLOW_TO_END = """
import time
kernel = get_ipython().kernel
answer = kernel.kernel_info_request

async def answer_and_linger(*message):
    await answer(*message)
    time.sleep(0.5)

kernel.shell_handlers["kernel_info_request"] = answer_and_linger
print("the end")
"""
"""papermill asks for the kernel's information last. This kernel is not through with that request when it has answered."""


@pytest.mark.slow
def test_a_kernel_that_is_about_its_last_request_is_not_interrupted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SLOW_TO_END)])
    nbformat.write(notebook, tmp_path / "notebook.ipynb")
    done = papermill.execute_notebook(
        tmp_path / "notebook.ipynb", tmp_path / "out.ipynb", engine_name=NAME, kernel_name="python3", progress_bar=False
    )
    assert done.cells[0].outputs[0].text == "the end\n"
    assert done.metadata["language_info"]["name"] == "python"
    printed = "".join(capfd.readouterr())
    assert "KeyboardInterrupt" not in printed
    assert "ERROR" not in printed
    assert "TCP" not in printed


def test_papermills_own_command_finds_the_engine() -> None:
    """`papermill --engine rotnet`; papermill reads entry points, which an installation makes from this file."""
    project = tomllib.loads((NOTEBOOKS.parent / "pyproject.toml").read_text())["project"]
    [(name, value)] = project["entry-points"]["papermill.engine"].items()
    assert name == NAME
    assert EntryPoint(name, value, "papermill.engine").load() is RotnetEngine

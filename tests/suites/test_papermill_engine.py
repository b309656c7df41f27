"""What a kernel prints that ends well, and where papermill finds the engine."""

import os
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import nbformat
import papermill
import pytest
from papermill.engines import papermill_engines

from rotnet_lib.paths import NOTEBOOKS
from rotnet_lib.suites.papermill_engine import NAME, DefaultEngine, RotnetEngine

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


# --- papermill by itself ---

PARAMETERS = {"backbone": "random", "arch": "nin3", "dataset": "shapes", "train_size": 40, "test_size": 20, "width": 0.05}
PARAMETERS |= {"batch_size": 16, "layer": "conv1", "device": "cpu", "epochs": 3, "lr": "1e30"}
PROBE = [word for name, value in PARAMETERS.items() for word in ("-p", name, str(value))]
OTHER = "import sys; print('one'); print('two', file=sys.stderr); print('three')"


def papermill_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What its own command does, in a process of its own."""
    command = [sys.executable, "-m", "papermill", *arguments]
    environment = os.environ | {"PYTHONPATH": str(NOTEBOOKS.parent)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def default_engine() -> None:
    if papermill_engines.get_engine(None) is not DefaultEngine:
        pytest.skip("rotnet-lib is not installed here, so papermill does not know the engine")


@pytest.mark.slow
@pytest.mark.usefixtures("default_engine")
def test_papermill_alone_writes_the_page_of_a_run_that_failed(tmp_path: Path) -> None:
    done = papermill_command(str(NOTEBOOKS / "probe.ipynb"), "out.ipynb", *PROBE)
    assert done.returncode != 0
    assert "training diverged" in done.stderr
    page = Path("out.html").read_text()
    assert "training diverged" in page
    assert 'id="papermill-error-cell"' in page


@pytest.mark.slow
@pytest.mark.usefixtures("default_engine")
def test_other_notebooks_are_papermills_own(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(OTHER)])
    nbformat.write(notebook, tmp_path / "notebook.ipynb")
    done = papermill_command("notebook.ipynb", "out.ipynb", "-k", "python3")
    assert done.returncode == 0, done.stderr
    assert "cell" in done.stderr
    assert not Path("out.html").exists()

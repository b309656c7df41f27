"""The lines of the README, from a checkout: `rotnet run`, then papermill on the notebooks, wherever it is started."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
import yaml
from papermill.engines import papermill_engines

from rotnet_lib.paths import NOTEBOOKS
from rotnet_lib.runs.directory import METRICS, NOTEBOOK, REPORT, RunDirectory, all_runs
from rotnet_lib.suites.papermill_engine import DefaultEngine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Checkout:
    """A copy of what a user has, so that paths that count from the checkout end in it and not in the real one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        root = NOTEBOOKS.parent
        for name in ("notebooks", "rotnet_lib"):
            shutil.copytree(root / name, path / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))

    def call(self, *words: str, folder: str = ".") -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROTNET_")}
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.path / folder,
            env=environment | {"PYTHONPATH": str(self.path)},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def runs(self) -> list[RunDirectory]:
        """Newest first."""
        return all_runs(self.path / "runs")


def given(**parameters: object) -> list[str]:
    return [word for name, value in parameters.items() for word in ("-p", name, str(value))]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which `rotnet run pretrain --preset quick` was run, smaller still."""
    made = Checkout(tmp_path_factory.mktemp("a checkout"))
    small = given(width=0.05, epochs=1, train_size=40, test_size=20, batch_size=16, device="cpu")
    done = made.call("rotnet_lib.cli", "run", "pretrain", "--preset", "quick", *small)
    assert done.returncode == 0, done.stderr + done.stdout
    (made.path / "pretrain.log").write_text(done.stdout)
    return made


def test_rotnet_run_leaves_a_finished_run_and_its_page(checkout: Checkout) -> None:
    run = next(run for run in checkout.runs if run.name.startswith("rotation-"))
    assert run.state == "finished"
    assert run.result().parameters["width"] == 0.05
    report, following = (checkout.path / "pretrain.log").read_text().splitlines()[-2:]
    assert report == f"report: {run.path / REPORT}"
    assert following.startswith(f"next: rotnet run probe --preset quick -p backbone {run.name} -p layer all")
    page = (run.path / REPORT).read_text()
    assert f"{run.result().metrics['rotation_top1'].last:.2f}" in page
    assert f"{run.name}/{REPORT}" in (checkout.path / "runs" / "index.html").read_text()


def test_a_run_notebook_holds_the_parameters_it_ran_with(checkout: Checkout) -> None:
    run = next(run for run in checkout.runs if run.name.startswith("rotation-"))
    cells = json.loads((run.path / NOTEBOOK).read_text())["cells"]
    [injected] = [cell for cell in cells if "injected-parameters" in cell["metadata"].get("tags", [])]
    assert "width = 0.05" in "".join(injected["source"])
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert "error" not in {output["output_type"] for output in outputs}
    assert "Traceback" not in str(outputs)


@dataclass
class Probed:
    """What `papermill` left that was called in the notebooks' folder, where JupyterLab starts kernels."""

    run: RunDirectory
    printed: str
    new: set[str]
    """Files that lie beside the notebooks after it, and did not before."""


@pytest.fixture(scope="module")
def probed(checkout: Checkout) -> Probed:
    before = {path.name for path in (checkout.path / "notebooks").iterdir()}
    words = given(layer="conv4", epochs=2, device="cpu")
    done = checkout.call("papermill", "probe.ipynb", "../out.ipynb", *words, folder="notebooks")
    assert done.returncode == 0, done.stderr
    new = {path.name for path in (checkout.path / "notebooks").iterdir()} - before
    return Probed(checkout.runs[0], done.stderr, new)


def test_papermill_probes_the_newest_pretext_run(checkout: Checkout, probed: Probed) -> None:
    """Relative paths count from the checkout."""
    result = probed.run.result()
    assert (result.stage, list(result.metrics)) == ("probe", ["conv4_top1"])
    backbone = next(other for other in checkout.runs if other.name == result.parameters["backbone"])
    assert backbone.name.startswith("rotation-")
    for name in ("dataset", "width", "arch", "train_size"):
        assert result.parameters[name] == backbone.parameters()[name]
    assert yaml.safe_load((probed.run.path / "parameters.yaml").read_text()) == result.parameters
    assert (checkout.path / "out.ipynb").exists()
    assert probed.new <= {"__pycache__"}


def test_papermill_alone_shows_the_training_and_writes_the_page_beside_its_notebook(checkout: Checkout, probed: Probed) -> None:
    if papermill_engines.get_engine(None) is not DefaultEngine:
        pytest.skip("rotnet-lib is not installed here, so papermill does not know the engine")
    assert " inputs/s" in probed.printed
    assert "cell" not in probed.printed  # no bar that counts cells beside it
    assert probed.printed.splitlines()[-1] == "page: ../out.html"
    assert f"{probed.run.result().metrics['conv4_top1'].last:.2f}" in (checkout.path / "out.html").read_text()
    outputs = [out for cell in nbformat.read(checkout.path / "out.ipynb", 4).cells for out in cell.get("outputs", [])]
    streams = [output for output in outputs if output.output_type == "stream"]
    assert len(streams) <= 4
    assert not any("\r" in output.text for output in streams)
    assert sum(output.text.count(" inputs/s") for output in streams) == 1  # of the bar its last frame


def test_an_unknown_parameter_fails_at_once(checkout: Checkout) -> None:
    """papermill itself only logs a warning, and the run would go on with the default."""
    before = len(checkout.runs)
    done = checkout.call("papermill", "notebooks/probe.ipynb", "wrong.ipynb", *given(laier="conv4"))
    assert done.returncode != 0
    assert re.search(r"RotnetError: .*'laier'; did you mean 'layer'\?", done.stderr)
    assert len(checkout.runs) == before
    notebook = json.loads((checkout.path / "wrong.ipynb").read_text())
    assert notebook["metadata"]["papermill"]["exception"] is True
    assert not list(checkout.path.glob(f"wrong*/{METRICS}"))

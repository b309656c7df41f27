"""The page that a finished run lacks: from the notebook in its folder, or by running that again, once it is asked for."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import papermill
import psutil
import pytest
from click.testing import CliRunner, Result

from rotnet_lib.cli import main
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import file_checksum, lock_file
from rotnet_lib.paths import NOTEBOOKS
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.directory import METRICS, MODEL, NOTEBOOK, REPORT, RunDirectory, all_runs, directory_of
from rotnet_lib.suites.engine import reproduce
from rotnet_lib.suites.plan import Options, Plan, plan_suite
from rotnet_lib.suites.resolve import configure
from rotnet_lib.suites.run_notebook import execute
from tests.results import finish, finish_planned

QUICK = ("run", "pretrain", "--preset", "quick")
FEW = "train_size=40 test_size=20"


def rotnet(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def write_notebook(run: RunDirectory, config: RunConfig, shown: str = "drawn") -> Path:
    """The notebook as papermill leaves it when it was run to its end; it prints `shown`."""
    document = nbformat.read(NOTEBOOKS / f"{config.stage}.ipynb", as_version=4)
    document.metadata["papermill"] = {"parameters": config.model_dump(mode="json"), "exception": None}
    for cell in document.cells:
        cell.metadata["papermill"] = {"status": "completed", "exception": False}
    document.cells[-1].outputs = [nbformat.v4.new_output("stream", text=shown)]
    nbformat.write(document, run.path / NOTEBOOK)
    return run.path / NOTEBOOK


@pytest.fixture
def config() -> RunConfig:
    return configure("pretrain", {}, "quick")


@pytest.fixture
def run(config: RunConfig) -> RunDirectory:
    """A finished run that was killed before its page was written."""
    directory = directory_of(config, config.fingerprint())
    finish(directory, config, config.fingerprint())
    (directory.path / REPORT).unlink()
    write_notebook(directory, config)
    return directory


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch, config: RunConfig) -> list[Path]:
    """The notebooks that papermill is told to run; in its place they are written at once."""
    paths: list[Path] = []

    def stand_in(source: Path, target: Path, *_: Any, **__: Any) -> None:
        paths.append(Path(target))
        write_notebook(RunDirectory(Path(target).parent), config, "drawn again")

    monkeypatch.setattr(papermill, "execute_notebook", stand_in)
    return paths


def make_page(run: RunDirectory, config: RunConfig) -> str:
    """Ask for the run once more; returns its page. Its result must stay as it is."""
    before = (run.path / METRICS).read_bytes()
    execute(config.stage, config.model_dump(mode="json"), run.path)
    assert (run.path / METRICS).read_bytes() == before
    assert not run.lacks_page
    return (run.path / REPORT).read_text()


# --- From the notebook that is there ---


def test_the_notebook_is_rendered_if_it_shows_the_result(run: RunDirectory, config: RunConfig, executed: list[Path]) -> None:
    assert run.lacks_page
    assert "drawn" in make_page(run, config)
    assert executed == []


def test_a_page_that_is_there_stays(run: RunDirectory, config: RunConfig, executed: list[Path]) -> None:
    make_page(run, config)
    before = (run.path / REPORT).stat().st_mtime_ns
    make_page(run, config)
    assert (run.path / REPORT).stat().st_mtime_ns == before
    assert executed == []


def test_a_page_of_an_execution_that_failed_before_is_replaced(
    run: RunDirectory, config: RunConfig, executed: list[Path]
) -> None:
    """It failed, then it was run again, and killed between notebook and page."""
    page = run.path / REPORT
    page.write_text('<html data-result="">the error')
    os.utime(page, (1000, 1000))
    assert "the error" not in make_page(run, config)
    assert executed == []


def test_half_a_page_of_a_killed_process_goes(run: RunDirectory, config: RunConfig, executed: list[Path]) -> None:
    left = run.path / ".report.html.abcd1234.html"
    left.write_text("<html")
    make_page(run, config)
    assert not left.exists()


# --- From the notebook, run again ---


def cut_off(path: Path) -> None:
    path.write_text(path.read_text()[:-200])


def remove(path: Path) -> None:
    path.unlink()


def unfinished(path: Path) -> None:
    change(path, lambda document: document["cells"][-1]["metadata"]["papermill"].update(status="pending"))


def failed(path: Path) -> None:
    error = {"output_type": "error", "ename": "E", "evalue": "", "traceback": []}
    change(path, lambda document: document["cells"][-1]["outputs"].append(error))


def of_other_parameters(path: Path) -> None:
    change(path, lambda document: document["metadata"]["papermill"]["parameters"].update(seed=7))


def of_no_papermill(path: Path) -> None:
    change(path, lambda document: document["metadata"].pop("papermill"))


def of_an_earlier_result(path: Path) -> None:
    os.utime(path, (1000, 1000))


def no_notebook(path: Path) -> None:
    path.write_text("[]")


def died_in_the_end(path: Path) -> None:
    """papermill does not tell; the page was written after the notebook."""
    (path.parent / REPORT).write_text('<html data-result="">')


def change(path: Path, how: Callable[[dict[str, Any]], Any]) -> None:
    document = json.loads(path.read_text())
    how(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    "damage",
    [
        cut_off,
        remove,
        unfinished,
        failed,
        of_other_parameters,
        of_no_papermill,
        of_an_earlier_result,
        no_notebook,
        died_in_the_end,
    ],
)
def test_a_notebook_that_does_not_show_the_result_is_run_again(
    damage: Callable[[Path], None], run: RunDirectory, config: RunConfig, executed: list[Path]
) -> None:
    damage(run.path / NOTEBOOK)
    assert "drawn again" in make_page(run, config)
    assert executed == [run.path / NOTEBOOK]


def test_a_run_whose_drawing_failed_is_drawn_when_it_is_asked_for_again(
    run: RunDirectory, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after the fault in a picture was mended: the result is there."""
    failed(run.path / NOTEBOOK)
    with monkeypatch.context() as patch:

        def die(*_: Any, **__: Any) -> None:
            raise RuntimeError("Kernel died")

        patch.setattr(papermill, "execute_notebook", die)
        with pytest.raises(RotnetError, match="Kernel died"):
            execute(config.stage, config.model_dump(mode="json"), run.path)
    assert run.lacks_page
    monkeypatch.setattr(papermill, "execute_notebook", lambda *_, **__: write_notebook(run, config, "mended"))
    assert "mended" in make_page(run, config)


def test_only_one_process_writes_notebook_and_page(run: RunDirectory, config: RunConfig, executed: list[Path]) -> None:
    before = (run.path / NOTEBOOK).read_bytes()
    told = rf"the notebook of {run.path} is being run by process {os.getpid()}\."
    with pytest.MonkeyPatch.context() as patch, lock_file(run.path / ".notebook.lock"):
        patch.setattr(time, "monotonic", iter(range(0, 10**6, 30)).__next__)
        with pytest.raises(RotnetError, match=told):
            execute(config.stage, config.model_dump(mode="json"), run.path)
    assert (run.path / NOTEBOOK).read_bytes() == before
    assert executed == []


# --- The commands ---


def test_rotnet_run_says_that_the_page_is_made(run: RunDirectory, executed: list[Path]) -> None:
    result = rotnet(*QUICK)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()[1:]
    assert lines[0] == f"{run.path} is finished already, but its page is missing: it is made now."
    assert lines[1] == f"report: {run.path / REPORT}"
    assert lines[2].startswith("next: ")
    assert executed == []
    assert f"{run.name}/{REPORT}" in (run.path.parent / "index.html").read_text()
    lines = rotnet(*QUICK).output.splitlines()[1:]
    assert lines[0] == f"{run.path} is finished already; delete it to make the run again."
    assert lines[1:3] == [run.result().headline, f"report: {run.path / REPORT}"]
    assert lines[3].startswith("next: ")


@pytest.fixture
def plan() -> Plan:
    """Of table 3, on few images: finished, the second without its page."""
    plan = plan_suite("table3", Options(preset="quick", set=FEW))
    for run in plan.runs:
        finish_planned(run)
    (plan.runs[1].directory.path / REPORT).unlink()
    return plan


def test_status_and_a_dry_run_say_that_a_page_is_missing(plan: Plan) -> None:
    run = plan.runs[1]
    first, *lines = rotnet("status", "table3", "--preset", "quick", "--set", FEW).output.splitlines()
    assert first == "table3 (preset quick): 7 finished; 1 finished, page missing"
    assert lines[1] == f"  finished     {run.key}, seed 0: runs/{run.name}, page missing"
    assert not any("missing" in line for line in (lines[0], *lines[2:]))
    told = rotnet("reproduce", "table3", "--preset", "quick", "--set", FEW, "--dry-run").output
    assert f"{run.key}, seed 0: is finished, page missing: it would be made: {run.directory.path}" in told
    assert told.count("missing") == 1


def test_the_engine_makes_the_page_and_trains_nothing(plan: Plan, started: Callable[[], list[str]], capfd: Any) -> None:
    """Snakemake is started for it; a script stands in for it here, so the page stays missing, which is said."""
    run = plan.runs[1]
    with pytest.raises(RotnetError, match="1 of 7 runs finished, but their pages could not be drawn") as error:
        reproduce(plan, cores=1, executor=None, run_notebook=lambda *_: None)
    assert f"  {run.key}, seed 0: {run.directory.path / REPORT}" in str(error.value)
    assert "snakemake" in started()
    assert "0 of 7 runs to make; pages to draw of finished runs: 1 " in capfd.readouterr().out
    assert not Path("data").exists()
    assert not Path("cache").exists()  # no images are decoded for it


def test_where_all_pages_are_there_nothing_is_started(plan: Plan, started: Callable[[], list[str]]) -> None:
    (plan.runs[1].directory.path / REPORT).write_text("<p>")
    reproduce(plan, cores=1, executor=None, run_notebook=lambda *_: None)
    assert started() == []


def test_a_run_does_not_wait_for_the_page_of_one_that_it_builds_on(plan: Plan, capfd: pytest.CaptureFixture[str]) -> None:
    """A page that cannot be drawn would keep it from being made."""
    upstream = next(run for run in plan.runs if run.key == "rotnet")
    above = next(run for run in plan.runs if upstream in run.upstream)
    assert upstream.directory.lacks_page
    (above.directory.path / METRICS).unlink()
    with pytest.raises(RotnetError, match="1 of 7 runs did not finish"):
        reproduce(
            plan, cores=2, executor=None, snakemake_arguments=("--dry-run", "--quiet", "host"), run_notebook=lambda *_: None
        )
    jobs = re.findall(r"rule run:\n((?: +.+\n)+)", capfd.readouterr().out)
    made = {name: job for job in jobs for name in re.findall(r"wildcards: name=(\S+)", job)}
    assert set(made) == {upstream.name, above.name}
    assert upstream.name not in made[above.name]


# --- A real kill ---


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_killed_between_its_result_and_its_page_gets_the_page(tmp_path: Path) -> None:
    small = {"width": 0.05, "epochs": 1, "train_size": 40, "test_size": 20, "batch_size": 16, "device": "cpu"}
    words = [*QUICK, *(word for name, value in small.items() for word in ("-p", name, str(value)))]
    command = [sys.executable, "-m", "rotnet_lib.cli", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            while not list(tmp_path.glob(f"runs/*/{METRICS}")):
                assert process.poll() is None
                time.sleep(0.005)
            kernels = psutil.Process(process.pid).children(recursive=True)
        finally:
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(kernels, timeout=20)
    [run] = all_runs(tmp_path / "runs")
    assert run.state == "finished"
    assert not (run.path / REPORT).exists()
    before = {name: file_checksum(run.path / name) for name in (METRICS, MODEL, "history.csv")}
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "inputs/s" not in done.stdout  # no epoch was trained
    assert not run.lacks_page
    assert f"{run.result().metrics['rotation_top1'].last:.2f}" in (run.path / REPORT).read_text()
    assert {name: file_checksum(run.path / name) for name in before} == before
    assert not list(run.path.glob(".*.*.*"))

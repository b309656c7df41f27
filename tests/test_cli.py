"""The `rotnet` command: what it says, and what it does not do when something is wrong."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import papermill
import pytest
import yaml
from click.testing import CliRunner, Result
from safetensors.numpy import save_file

from rotnet_lib.cli import main
from rotnet_lib.runs.directory import METRICS, NOTEBOOK, PARAMETERS, REPORT, RESUME
from rotnet_lib.stages import STAGES
from rotnet_lib.suites.plan import Options, make_plan
from rotnet_lib.suites.presets import preset_named
from rotnet_lib.suites.suite import load_collection, suite_names
from tests.results import finish_planned

COMMANDS = ["reproduce", "status", "run", "clean", "migrate", "data", "features", "import-weights", "doctor", "bench"]
TINY = "width=0.05 epochs=1 train_size=40 test_size=20 batch_size=16"
ROOT = str(Path(__file__).parents[1])


def rotnet(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@dataclass
class Notebook:
    """A notebook that papermill was given to run."""

    name: str
    parameters: dict[str, Any]
    directory: Path


@pytest.fixture
def notebooks(monkeypatch: pytest.MonkeyPatch) -> list[Notebook]:
    """The notebooks that papermill was given to run. None is run."""
    asked: list[Notebook] = []

    def note(source: Path, target: Path, parameters: dict[str, Any], **_: Any) -> None:
        asked.append(Notebook(source.stem, parameters, target.parent))

    monkeypatch.setattr(papermill, "execute_notebook", note)
    return asked


@pytest.fixture
def no_kernel(notebooks: list[Notebook], started: Callable[[], list[str]]) -> Iterator[None]:
    """Nothing may start a notebook or Snakemake."""
    yield
    assert notebooks == []
    assert started() == []


# --- Errors ---


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["run", "probe", "-p", "laier", "conv4"], ["'laier'", "did you mean 'layer'?"]),
        (["run", "pretrain", "-p", "epohcs", "4"], ["'epohcs'", "did you mean 'epochs'?"]),
        (["run", "pretrain", "-p", "epochs", "many"], ["epochs", "'many'"]),
        (["run", "pretrain", "-p", "epochs", "[1"], ["cannot be read as YAML"]),
        (["run", "pretrain", "-p", "dataset", "shape"], ["unknown dataset 'shape'", "did you mean 'shapes'?"]),
        (["run", "pretrain", "--preset", "quik"], ["unknown preset 'quik'", "did you mean 'quick'?"]),
        (
            ["run", "prob"],
            ["unknown notebook 'prob'", "did you mean 'probe'?", *(f" {name}" for name in STAGES)],
        ),
        (["run", "probe"], ["no finished pretext run", "rotnet run pretrain"]),
        (["run", "probe", "-p", "backbone", "random"], ["so arch must be given"]),
        (["run", "probe", "--preset", "quick", "-p", "backbone", "random-rescaled"], ["so arch must be given"]),
        (["run", "probe", "-p", "lr", "0.1", "-p", "lr", "0.2"], ["-p lr stands 2 times. Leave one."]),
        (["run", "pretrain", "-p", "arch", "7"], ["unknown arch '7'"]),
        (["reproduce", "tabel3"], ["unknown suite 'tabel3'", "did you mean 'table3'?"]),
        (["reproduce", "table3", "--preset", "quik"], ["unknown preset 'quik'", "did you mean 'quick'?"]),
        (["reproduce", "table3", "--preset", "quick", "--set", "epohcs=1"], ["'epohcs'", "did you mean 'epochs'?"]),
        (["reproduce", "table3", "--preset", "quick", "--dataset", "imagefolder:/no/photos"], ["no folder /no/photos/train"]),
        (["reproduce", "table3", "--seeds", "0"], ["seeds: at least 1"]),
        (["reproduce", "cifar1"], ["unknown suite 'cifar1'", "did you mean 'cifar10'?"]),
        (["reproduce", "cifar10", "--preset", "quick", "--set", "rotnt.lr=1"], ["'rotnt'", "did you mean 'rotnet'?"]),
        (["reproduce", "table5", "--preset", "paper"], ["imagenet", "train"]),
        (["status", "tabel3"], ["unknown suite 'tabel3'"]),
        (["status", "table5", "--preset", "paper"], ["imagenet", "train"]),
        (["status", "--preset", "quik"], ["unknown preset 'quik'", "did you mean 'quick'?"]),
        (["data", "shape"], ["unknown dataset 'shape'", "did you mean 'shapes'?"]),
        (["data", "imagefolder:/no/photos"], ["no folder /no/photos/train", "<class>"]),
        (["import-weights", "net", "out", "--arch", "nin5"], ["'nin5'; did you mean 'nin4'?", "alexnet, nin4"]),
        (["import-weights", "net", "out", "--arch", "nin4"], ["no checkpoint net: no such file"]),
    ],
    ids=" ".join,
)
def test_errors_are_for_people_and_come_before_anything_starts(arguments: list[str], parts: list[str], tmp_path: Path) -> None:
    result = rotnet(*arguments)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)  # not the exception itself, which would be a traceback
    said, _, error = result.output.partition("Error: ")
    assert not said or said.startswith("preset ")
    for part in parts:
        assert part in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["reproduce"], ["Missing argument 'SUITE'"]),
        (["reproduce", "table3", "--cores", "0"], ["--cores", "0"]),
        (["reproduce", "table3", "--sead", "1"], ["--sead", "--seed"]),
        (["run", "probe", "-p", "layer"], ["-p", "2 arguments"]),
        (["reporduce"], ["reporduce"]),
        (["bench", "--plan", "table3", "--width", "0.5"], ["--width changes nothing with --plan. Leave it out."]),
        (["bench", "--loader", "--compile"], ["--compile changes nothing with --loader. Leave it out."]),
        (["bench", "--methods", "all"], ["--methods changes nothing without --plan. Leave it out."]),
        (["bench", "--workers", "2"], ["--workers changes nothing without --loader. Leave it out."]),
    ],
)
def test_a_wrong_use_of_the_command_line_is_named(arguments: list[str], parts: list[str]) -> None:
    result = rotnet(*arguments)
    assert result.exit_code == 2
    for part in parts:
        assert part in result.output


# --- What would run, what has run ---


@pytest.mark.usefixtures("no_kernel")
def test_a_dry_run_says_what_would_run_and_creates_nothing(tmp_path: Path) -> None:
    result = rotnet("reproduce", "table3", "--preset", "quick", "--seeds", "2", "--dry-run")
    assert result.exit_code == 0
    lines = [line for line in result.output.splitlines() if not line.startswith("    ")]
    assert lines[0] == "preset quick: as given."
    plan = make_plan("table3", Options(preset="quick", seeds=2))
    expected = [f"{run.key}, seed {run.config.seed}: would run (missing): {run.directory.path}" for run in plan.runs]
    assert lines[2].startswith("methods: rotnet")
    assert lines[3] == "  rotnet needs images that have an upright"
    assert lines[4:-1] == expected
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize("name", ["-x", "--seeds", "  a #b"])
def test_a_folder_of_runs_may_be_called_like_an_option(name: str, tmp_path: Path) -> None:
    output = rotnet("reproduce", "table3", "--preset", "quick", "--dry-run", "--runs", name).output
    assert output.count(f"would run (missing): {tmp_path / name}/") == 7


@pytest.mark.usefixtures("no_kernel")
def test_a_dry_run_says_that_what_builds_on_a_damaged_run_would_not_run() -> None:
    plan = make_plan("table3", Options(preset="quick"))
    damaged = next(run for run in plan.runs if run.key == "rotnet")
    damaged.directory.path.mkdir(parents=True)
    (damaged.directory.path / METRICS).write_text("null")
    lines = rotnet("reproduce", "table3", "--preset", "quick", "--dry-run").output.splitlines()
    above = [run for run in plan.runs if damaged in run.upstream]
    for run in above:
        said = "would not run (missing), since rotnet, which it builds on, is damaged"
        assert f"{run.key}, seed 0: {said}: {run.directory.path}" in lines
    assert sum(": would run" in line for line in lines) == 6 - len(above)


@pytest.mark.usefixtures("no_kernel")
def test_a_dry_run_says_what_is_finished() -> None:
    run = make_plan("table3", Options(preset="quick")).runs[0]
    finish_planned(run)
    lines = rotnet("reproduce", "table3", "--preset", "quick", "--dry-run").output.splitlines()
    assert f"{run.key}, seed 0: is finished: {run.directory.path}" in lines
    assert sum("would run" in line for line in lines) == 6


@pytest.mark.usefixtures("no_kernel")
def test_the_preset_taken_and_why_is_said(gpus: Callable[..., None]) -> None:
    gpus(0)
    output = rotnet("reproduce", "table3", "--dry-run").output
    assert output.startswith("preset quick: there is no GPU here; the preset paper asks for the published schedule")
    assert "drawn shapes" in output.splitlines()[1]


def test_status_counts_and_lists_runs() -> None:
    runs = make_plan("table3", Options(preset="quick", set=TINY)).runs
    finish_planned(runs[0])
    runs[1].directory.path.mkdir()
    (runs[1].directory.path / PARAMETERS).touch()
    result = rotnet("status", "table3", "--preset", "quick", "--set", TINY)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0] == "table3 (preset quick): 1 finished, 1 interrupted, 5 missing"
    assert lines[1].split() == ["finished", f"{runs[0].key},", "seed", "0:", f"runs/{runs[0].name}"]
    assert [line.split()[0] for line in lines[1:]] == ["finished", "interrupted", *["missing"] * 5]


def test_status_names_a_damaged_run_and_goes_on() -> None:
    runs = make_plan("table3", Options(preset="quick", set=TINY)).runs
    for run in runs[:2]:
        finish_planned(run)
    (runs[0].directory.path / METRICS).write_bytes(b"\xff")
    result = rotnet("status", "table3", "--preset", "quick", "--set", TINY)
    assert result.exit_code == 0
    assert result.output.splitlines()[0] == "table3 (preset quick): 1 damaged, 1 finished, 5 missing"
    assert f"{runs[0].directory.path / METRICS} is damaged: it is no text in UTF-8" in result.output.splitlines()[1]


@pytest.mark.usefixtures("no_kernel")
def test_a_damaged_run_is_not_run_again() -> None:
    run = make_plan("table3", Options(preset="quick")).runs[0]
    finish_planned(run)
    (run.directory.path / METRICS).write_text("null")
    result = rotnet("run", "pretrain", "--preset", "quick", "-p", "task", "labels", "-p", "arch", "nin3")
    assert result.exit_code == 1
    assert f"Delete {run.directory.path} and run again" in result.output
    lines = rotnet("reproduce", "table3", "--preset", "quick", "--dry-run").output.splitlines()
    assert f"{run.key}, seed 0: is damaged: {run.directory.path}" in lines


@pytest.mark.usefixtures("no_kernel")
def test_a_dry_run_of_a_collection_names_every_run_of_its_suites_once() -> None:
    output = rotnet("reproduce", "cifar10", "--preset", "quick", "--dry-run").output
    lines = [line for line in output.splitlines() if not line.startswith("    ")]
    plan = make_plan("cifar10", Options(preset="quick"))
    expected = [f"{run.key}, seed {run.config.seed}: would run (missing): {run.directory.path}" for run in plan.runs]
    assert lines[4:-1] == expected


def test_status_of_a_collection_counts_its_runs_once() -> None:
    plan = make_plan("cifar10", Options(preset="quick"))
    run = next(run for run in plan.runs if run.key == "supervised")
    finish_planned(run)
    output = rotnet("status", "cifar10", "--preset", "quick").output
    assert output.splitlines()[0] == f"cifar10 (preset quick): 1 finished, {len(plan.runs) - 1} missing"


def test_status_without_a_suite_is_a_line_a_suite() -> None:
    runs = make_plan("table3", Options(preset="quick")).runs
    for run in runs[:2]:
        finish_planned(run)
    runs[2].directory.path.mkdir()
    (runs[2].directory.path / PARAMETERS).touch()
    runs[3].directory.path.mkdir()
    (runs[3].directory.path / NOTEBOOK).write_text('{"metadata": {"papermill": {"exception": true}}}')
    heading, *lines, hint = rotnet("status", "--preset", "quick").output.splitlines()
    assert heading.split() == ["suite", "finished", "failed", "preset"]
    told = {line.split()[0]: line.split()[1:] for line in lines}
    assert list(told) == suite_names()
    assert told["table3"] == ["2", "of", "7", "1", "quick", "1", "interrupted"]
    assert told["table8"] == ["0", "of", "4", "-", "quick"]
    assert "make status SUITE=" in hint


def test_status_says_how_far_a_run_is_trained() -> None:
    run = make_plan("table3", Options(preset="quick", set="epochs=4")).runs[0]
    run.directory.path.mkdir(parents=True)
    (run.directory.path / PARAMETERS).touch()
    header = json.dumps({"history": [{"epoch": 1.0}]})
    save_file({"x": np.zeros(1)}, run.directory.path / RESUME, metadata={"header": header})
    lines = rotnet("status", "table3", "--preset", "quick", "--set", "epochs=4").output.splitlines()
    assert lines[1].split() == ["interrupted", f"{run.key},", "seed", "0:", f"runs/{run.name}", "(25%", "trained)"]


def test_status_of_all_suites_asks_those_for_methods_that_have_rows_for_them() -> None:
    assert rotnet("status", "--preset", "quick", "--methods", "core").output == rotnet("status", "--preset", "quick").output
    refused = rotnet("status", "--preset", "quick", "--methods", "rotne")
    assert refused.exit_code == 1
    assert "unknown method in METHODS, 'rotne'; did you mean 'rotnet'?" in refused.output


def test_status_goes_on_past_a_suite_whose_data_is_not_here() -> None:
    result = rotnet("status", "--preset", "paper")
    assert result.exit_code == 0
    told = {line.split()[0]: line for line in result.output.splitlines()[1:-1]}
    collections = ("imagenet", "voc", "decoupling-imagenet")
    alone = ("detection", "knn-imagenet", "segmentation", "shortcuts")
    missing = [*(suite for name in collections for suite in load_collection(name).suites), *alone]
    assert list(told) == suite_names()
    for name in told:
        assert ("cannot be made: no folder data/imagenet" in told[name]) == (name in missing), name
        assert len(told[name]) < 120
    assert told["table3"].split() == ["table3", "0", "of", "7", "-", "paper"]


def test_arguments_behind_the_dashes_go_to_snakemake(notebooks: list[Notebook], started: Callable[[], list[str]]) -> None:
    arguments = ["--executor", "slurm", "--cores", "8", "--", "--default-resources", "mem_mb=4000"]
    result = rotnet("reproduce", "table3", "--preset", "quick", "--set", TINY, *arguments)
    words = started()
    assert words[:2] == ["-m", "snakemake"]
    assert " --executor slurm --jobs 8 " in " ".join(words)
    assert words[-2:] == ["--default-resources", "mem_mb=4000"]
    assert result.exit_code == 1  # what stands in for Snakemake has made no run
    assert [notebook.name for notebook in notebooks] == ["report"]


def test_reproduce_ends_with_the_path_of_the_report(notebooks: list[Notebook], started: Callable[[], list[str]]) -> None:
    plan = make_plan("table3", Options(preset="quick", set=TINY))
    for run in plan.runs:
        finish_planned(run)
    result = rotnet("reproduce", "table3", "--preset", "quick", "--set", TINY)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == f"report: {plan.directory / REPORT}"
    assert [(notebook.name, notebook.directory) for notebook in notebooks] == [("report", plan.directory)]
    assert started() == []  # every run is finished


def test_run_hands_the_whole_config_to_the_notebook(notebooks: list[Notebook]) -> None:
    result = rotnet("run", "pretrain", "--preset", "quick", "-p", "epochs", "2", "-p", "task_options", "{angles: [0, 180]}")
    assert result.exit_code == 0, result.output
    [notebook] = notebooks
    parameters, directory = notebook.parameters, notebook.directory
    assert notebook.name == "pretrain"
    assert parameters["dataset"] == "shapes"  # the preset's
    assert parameters["batch_size"] == preset_named("quick").set["cifar10"]["pretrain"]["batch_size"]
    assert parameters["epochs"] == 2
    assert parameters["task_options"]["angles"] == [0, 180]
    assert directory.name.startswith("rotation-nin4-")
    assert f"report: {directory}/report.html" in result.output


def test_run_takes_the_presets_values_for_the_task_asked_for(notebooks: list[Notebook]) -> None:
    rotnet("run", "pretrain", "--preset", "quick", "-p", "task", "labels")
    suite = {run.key: run.config.model_dump() for run in make_plan("table3", Options(preset="quick")).runs}
    [notebook] = notebooks
    assert notebook.parameters["epochs"] == suite["supervised"]["epochs"]
    assert notebook.parameters["batch_size"] == suite["supervised"]["batch_size"]


LINEAR = ["-p", "classifier", "linear", "-p", "layer", "conv1,conv2,conv3,conv4,conv5"]


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["pretrain", "-p", "arch", "alexnet"], "rotnet"),
        (["pretrain", "-p", "arch", "alexnet", "-p", "task", "labels"], "supervised"),
        (["probe", "-p", "arch", "alexnet", "-p", "backbone", "random", *LINEAR], "linear-random"),
        (["probe", "-p", "backbone", "ROTNET", *LINEAR], "linear-rotnet"),
    ],
    ids=["rotation", "labels", "random", "followed"],
)
def test_run_takes_the_presets_values_for_an_alexnet(arguments: list[str], key: str, notebooks: list[Notebook]) -> None:
    """Of the benchmark of the arch, which is told or that of the backbone's run: the same run as the suite's."""
    runs = {run.key: run for run in make_plan("table5", Options(preset="quick")).runs}
    rotnet_run = runs["rotnet"].directory.path
    rotnet_run.mkdir(parents=True)
    (rotnet_run / PARAMETERS).write_text(yaml.safe_dump(runs["rotnet"].config.model_dump(mode="json")))
    result = rotnet("run", *(rotnet_run.name if word == "ROTNET" else word for word in arguments), "--preset", "quick")
    assert result.exit_code == 0, result.output
    [notebook] = notebooks
    assert notebook.parameters == runs[key].config.model_dump(mode="json") | {"preset": "quick"}
    assert notebook.directory == runs[key].directory.path


@pytest.mark.usefixtures("no_kernel")
def test_a_finished_run_is_not_run_again() -> None:
    run = make_plan("table3", Options(preset="quick")).runs[0]
    finish_planned(run)
    result = rotnet("run", "pretrain", "--preset", "quick", "-p", "task", "labels", "-p", "arch", "nin3")
    assert result.exit_code == 0, result.output
    assert f"{run.directory.path} is finished already" in result.output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no plan", "cannot read the plan {plan}: it is damaged"),
        (b"\xff", "{plan} is damaged: it is no text in UTF-8"),
        (None, "cannot read the plan {plan}: no such file"),
        ("another", "unknown run of {plan} 'gone-s0'"),
    ],
    ids=["no JSON", "no text", "no file", "another plan"],
)
def test_a_job_says_what_is_wrong_with_its_plan(content: bytes | str | None, said: str) -> None:
    plan = make_plan("table3", Options(preset="quick")).write()
    if isinstance(content, bytes):
        plan.write_bytes(content)
    elif content is None:
        plan.unlink()
    command = [sys.executable, "-m", "rotnet_lib.cli", "execute", str(plan), "gone-s0", str(os.getpid())]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": ROOT}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("gone-s0 | failed: " + said.format(plan=plan))
    assert done.stderr == ""

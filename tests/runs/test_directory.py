"""Run directories: a run is finished or is not, and has one writer. (Their names: test_run_names.py)"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
import yaml

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import file_checksum
from rotnet_lib.runs.directory import (
    METRICS,
    MODEL,
    NOTEBOOK,
    PARAMETERS,
    REPORT,
    RESUME,
    RunDirectory,
    all_runs,
    checkpoint_name,
    checkpoint_of,
)
from rotnet_lib.stages.probe import ProbeConfig
from tests.runs.run_folder import CONFIG, NAME, open_run, result

# --- States ---


def write_notebook(path: Path, exception: bool | None) -> None:
    """What papermill leaves: `exception` is None while it runs."""
    nbformat.write(nbformat.v4.new_notebook(metadata={"papermill": {"exception": exception}}), path)


@contextmanager
def held_by_another_process(lock: Path, seconds: float = 60) -> Iterator[subprocess.Popen[str]]:
    """The file locked by a process that has written its number into it."""
    code = (
        "import fcntl, os, sys, time; f = open(sys.argv[1], 'a+'); fcntl.flock(f, fcntl.LOCK_EX); f.truncate(0);"
        "f.write(str(os.getpid())); f.flush(); print('held', flush=True); time.sleep(float(sys.argv[2]))"
    )
    lock.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-S", "-c", code, str(lock), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_states_in_the_order_a_run_goes_through_them(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / NAME)
    assert directory.state == "missing"
    directory.open(CONFIG)
    directory.close()
    assert directory.state == "interrupted"
    write_notebook(directory.path / NOTEBOOK, exception=None)
    assert directory.state == "interrupted"
    write_notebook(directory.path / NOTEBOOK, exception=True)
    assert directory.state == "failed"
    with held_by_another_process(directory.path / ".lock"):
        assert directory.state == "running"  # again, after it failed
    assert directory.state == "failed"
    write_notebook(directory.path / NOTEBOOK, exception=False)
    directory.save(result())
    assert directory.state == "finished"


def test_a_notebook_that_a_kill_cut_off_is_no_obstacle(tmp_path: Path) -> None:
    directory = open_run(tmp_path / NAME)
    directory.close()
    (directory.path / NOTEBOOK).write_text('{"cells": [')
    assert directory.state == "interrupted"


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_no_lock(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / NAME)
    with held_by_another_process(directory.path / ".lock") as holder:
        assert directory.state == "running"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert directory.state == "missing"
        directory.open(CONFIG, wait_seconds=0)
        directory.close()


def test_a_second_writer_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with held_by_another_process(path / ".lock") as holder:
        with pytest.raises(RotnetError, match=rf"run {re.escape(str(path))} is being written by process {holder.pid}\."):
            open_run(path, wait_seconds=0.3)
        assert not (path / PARAMETERS).exists()
        assert (path / ".lock").read_text() == str(holder.pid)


def test_a_second_writer_waits_for_one_that_is_about_to_end(tmp_path: Path) -> None:
    """An orphan of a killed suite needs a second or two to notice."""
    with held_by_another_process(tmp_path / NAME / ".lock", seconds=0.5):
        begin = time.monotonic()
        directory = open_run(tmp_path / NAME)
    assert 0.2 < time.monotonic() - begin < 10
    assert (directory.path / ".lock").read_text() == str(os.getpid())
    directory.close()


def test_the_lock_is_given_back(tmp_path: Path) -> None:
    directory = open_run(tmp_path / NAME)
    assert directory.state == "running"
    directory.close()
    assert directory.state == "interrupted"


def test_a_notebook_cell_that_is_run_again_takes_the_lock_it_has(tmp_path: Path) -> None:
    open_run(tmp_path / NAME)
    again = open_run(tmp_path / NAME, wait_seconds=0)
    again.close()
    assert again.state == "interrupted"


# --- The page of a finished run ---


PAGES: list[tuple[str | None, bool]] = [
    (None, True),
    ("", False),  # as a program of one's own may make it
    ("<html><body>drawn by a version before</body></html>", False),
    ('<html><body><a href="#papermill-error-cell">In [3]</a></body></html>', True),  # by a version before, of a failure
    ('<html data-result="" lang="en">', True),  # of an execution that failed
    ('<html data-result="0123456789abcdef" lang="en">', True),  # of a result that was deleted
    ('<!DOCTYPE html>\n<html lang="en" data-result="RESULT">', False),
    ('<html data-result="RESULT"><a href="#papermill-error-cell">quoted</a>', False),
]


@pytest.mark.parametrize(("page", "lacks"), PAGES)
def test_a_finished_run_lacks_a_page_that_shows_its_result(page: str | None, lacks: bool, tmp_path: Path) -> None:
    directory = open_run(tmp_path / NAME)
    assert not directory.lacks_page  # it is not finished
    directory.save(result())
    directory.close()
    if page is not None:
        (directory.path / REPORT).write_text(page.replace("RESULT", file_checksum(directory.path / METRICS)))
    assert directory.lacks_page is lacks
    assert directory.state == "finished"
    (directory.path / METRICS).write_text("null")
    assert not directory.lacks_page  # it is damaged


@pytest.mark.timeout(10)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_no_page(make: Callable[[Path], None], tmp_path: Path) -> None:
    directory = open_run(tmp_path / NAME)
    directory.save(result())
    directory.close()
    make(directory.path / REPORT)
    assert directory.lacks_page


# --- Files ---


@pytest.mark.timeout(10)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("nowhere/lock", path)])
def test_a_run_that_cannot_be_locked_is_named_at_once(make: Callable[[Path], None], tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / NAME)
    directory.path.mkdir()
    make(directory.path / ".lock")
    assert directory.state == "damaged"
    assert str(directory.damage).startswith(f"{directory.path}/.lock is ")
    with pytest.raises(RotnetError, match=r"/\.lock is .*Remove it"):
        directory.open(CONFIG)


def test_a_run_that_was_removed_while_this_process_waited_for_it_begins_anew(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / NAME)
    with held_by_another_process(directory.path / ".lock", seconds=1):
        remove = threading.Timer(0.3, shutil.rmtree, [directory.path])
        remove.start()
        directory.open(CONFIG)
    remove.join()
    assert (directory.path / PARAMETERS).exists()
    assert directory.running
    directory.close()


def test_a_cell_that_is_run_again_after_its_run_was_removed_locks_the_new_folder(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / NAME)
    directory.open(CONFIG)
    shutil.rmtree(directory.path)
    directory.open(CONFIG)
    assert directory.running
    directory.close()


def test_parameters_are_the_whole_effective_config(tmp_path: Path) -> None:
    config = ProbeConfig.build({"backbone": "random", "arch": "nin4", "dataset": "cifar10", "layer": "conv1,conv2"})
    directory = RunDirectory(tmp_path / NAME)
    directory.open(config)
    directory.close()
    values = directory.parameters()
    assert values == config.model_dump(mode="json")
    assert list(values) == list(ProbeConfig.model_fields)  # in the order of the config, for a reader
    assert ProbeConfig.build(values) == config


def test_a_result_comes_back_as_it_was_and_ends_the_resume_state(tmp_path: Path) -> None:
    directory = open_run(tmp_path / NAME)
    (directory.path / RESUME).touch()
    directory.save(result())
    directory.close()
    found = directory.result()
    assert found.model_copy(update={"files": None, "checksum": None}) == result()
    assert found.files == {}
    assert directory.result().by_target["top1"] == {"a": 25.0, "b": 75.0}
    assert not (directory.path / RESUME).exists()
    assert {path.name for path in directory.path.iterdir()} == {PARAMETERS, METRICS, ".lock"}  # no temporary file


def test_a_run_that_trains_nothing_has_a_result_too(tmp_path: Path) -> None:
    directory = open_run(tmp_path / NAME)
    directory.save(result(training=None))
    directory.close()
    assert directory.result().training is None


def saved(root: Path) -> RunDirectory:
    """A finished run."""
    directory = open_run(root / NAME)
    directory.save(result())
    directory.close()
    return directory


def without_inputs(text: str) -> str:
    document = json.loads(text)
    del document["training"]["inputs"]
    return json.dumps(document)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda text: text[: len(text) // 2], "EOF"),
        (lambda text: "", "EOF"),
        (lambda text: "null", "the file"),
        (lambda text: "[]", "the file"),
        (lambda text: "{}", "run: Field required"),
        (lambda text: "\udcff", "no text in UTF-8"),
        (without_inputs, "training.inputs: Field required"),
        (lambda text: json.dumps(json.loads(text) | {"surprise": 1}), "surprise"),
        (lambda text: text.replace("50.0", '"half"'), "metrics.top1.last"),
        (lambda text: text.replace("50.0", "58.0"), "not what the run wrote"),
        (lambda text: text.replace('"checksum"', '"chfcksum"'), "chfcksum"),
        (lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "checksum"}), "no checksum"),
        (lambda text: text.replace('"schema_version": 3', '"schema_version": 4'), "schema_version is 4"),
    ],
    ids="cut empty null list object binary missing-field unknown-field wrong-type figure key unsigned later".split(),  # noqa: SIM905
)
def test_a_damaged_result_is_named(damage: Callable[[str], str], what: str, tmp_path: Path) -> None:
    directory = saved(tmp_path)
    path = directory.path / METRICS
    path.write_bytes(damage(path.read_text()).encode(errors="surrogateescape"))
    assert (directory.state, directory.finished) == ("damaged", False)
    with pytest.raises(RotnetError) as error:
        RunDirectory(path.parent).result()
    assert str(path) in str(error.value)
    assert what in str(error.value)
    assert f"Delete {path.parent}" in str(error.value)


def test_a_result_that_is_not_there_is_an_unfinished_run(tmp_path: Path) -> None:
    with pytest.raises(RotnetError, match=rf"run .*/{NAME} is not finished"):
        RunDirectory(tmp_path / NAME).result()


@pytest.mark.parametrize("text", [None, "", "seed: [", "- 1\n- 2\n", "\x00"], ids=["missing", "empty", "cut", "list", "binary"])
def test_damaged_parameters_are_named(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / NAME / PARAMETERS
    path.parent.mkdir()
    if text is not None:
        path.write_text(text)
    with pytest.raises(RotnetError, match=re.escape(str(path))):
        RunDirectory(path.parent).parameters()


def test_parameters_are_plain_yaml(tmp_path: Path) -> None:
    directory = open_run(tmp_path / NAME)
    directory.close()
    assert "!!" not in (directory.path / PARAMETERS).read_text()
    assert yaml.safe_load((directory.path / PARAMETERS).read_text())["lr_milestones"] == [0.3, 0.6, 0.8]


def test_a_runs_weights_are_found_by_name_folder_or_file(tmp_path: Path) -> None:
    weights = tmp_path / "runs" / "run" / MODEL
    weights.parent.mkdir(parents=True)
    early = weights.with_name(checkpoint_name(20))
    for file in (weights, early):
        file.touch()
    for name in ("run", "runs/run", str(weights.parent), str(weights), f"run/{MODEL}"):
        assert checkpoint_of(name, "runs") == weights, name
    assert checkpoint_of(f"run/{checkpoint_name(20)}", "runs") == early
    assert early.name == "model-epoch20.safetensors"


def test_a_run_of_the_folder_of_runs_is_not_taken_for_another_folder_of_that_name(tmp_path: Path) -> None:
    for folder in (tmp_path / "runs" / "run", tmp_path / NAME):
        folder.mkdir(parents=True)
    assert checkpoint_of("run", "runs") == tmp_path / "runs" / "run" / MODEL


# --- All of them ---


def test_all_runs_newest_result_first(tmp_path: Path) -> None:
    def make(name: str, started: float, finished: float | None) -> None:
        directory = tmp_path / name
        directory.mkdir()
        for file, stamp in ((PARAMETERS, started), (METRICS, finished)):
            if stamp is not None:
                (directory / file).touch()
                os.utime(directory / file, (stamp, stamp))

    make("started-early-finished-late", 1000, 5000)
    make("started-late-finished-early", 3000, 3500)
    make("unfinished", 4000, None)
    (tmp_path / "table3-quick-0123").mkdir()
    (tmp_path / "table3-quick-0123" / "plan.json").touch()
    assert [run.name for run in all_runs(tmp_path)] == [
        "started-early-finished-late",
        "unfinished",
        "started-late-finished-early",
    ]


def test_no_folder_holds_no_runs(tmp_path: Path) -> None:
    assert all_runs(tmp_path / "nowhere") == []

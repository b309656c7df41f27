"""Whoever is killed, and however: nothing of a suite stays at work. tests/suites/test_engine.py has what follows on a kill.

Of the suite's seven runs all but one are made before, in this process. The one that is left is killed again and again.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from rotnet_lib.files import is_locked
from rotnet_lib.runs.directory import LOCK, RESUME, RunDirectory
from tests.suites.engine_folder import TINY, Folder, epochs_done, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

LONG = f"{TINY} supervised.epochs=200"
"""Overrides under which one run goes on for long enough to be killed."""

SECONDS = 15
"""After a kill all processes have ended."""


@pytest.fixture(scope="module", autouse=True)
def ctrl_c_is_heeded() -> Iterator[None]:
    """What a script puts into the background ignores SIGINT, and so does all that it starts: the tests may be run like that."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    made = Folder(tmp_path_factory.mktemp("suite"))
    made.make_here(LONG, {run.key for run in made.plan(LONG).runs} - {"supervised"})
    return made


def unmade(folder: Folder, text: str = LONG) -> RunDirectory:
    """The run that is left, which nothing has begun."""
    run = next(run.directory for run in folder.plan(text).runs if run.key == "supervised")
    shutil.rmtree(run.path, ignore_errors=True)
    return run


def kernels(folder: Folder) -> list[psutil.Process]:
    return [process for process in folder.processes() if "ipykernel_launcher" in " ".join(process.cmdline())]


@contextmanager
def none_left(folder: Folder, process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """The block kills something. All processes of the folder then end in time, and their locks with them."""
    try:
        yield
        deadline = time.monotonic() + SECONDS
        locks = [folder.path / folder.runs / LOCK, *(folder.path / folder.runs).glob(f"*/{LOCK}")]
        while (left := folder.processes()) or any(is_locked(lock) for lock in locks):
            assert time.monotonic() < deadline, [other.cmdline() for other in left]
            time.sleep(0.1)
        process.wait(timeout=1)
    finally:
        for left_process in folder.processes():
            left_process.kill()
        process.wait()


# --- While a run trains ---


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGTERM, 128 + 15, id="SIGTERM"),
        pytest.param(signal.SIGINT, 1, id="SIGINT", marks=pytest.mark.kills),
    ],
)
def test_nothing_is_left_of_a_suite_whose_rotnet_is_killed(number: signal.Signals, code: int, folder: Folder) -> None:
    run = unmade(folder)
    process = folder.start(LONG, "log")
    with none_left(folder, process):
        wait_for(lambda: epochs_done(run) >= 2, process)
        process.send_signal(number)
    assert process.returncode == code, (folder.path / "log").read_text()
    assert run.state == "interrupted"


@needs_make
def test_nothing_is_left_after_ctrl_c(folder: Folder) -> None:
    """It reaches all processes of the terminal's foreground, which are a group."""
    run = unmade(folder)
    process = folder.make("reproduce-table3", LONG, "log", group=True)
    with none_left(folder, process):
        wait_for(lambda: epochs_done(run) >= 2, process)
        os.killpg(process.pid, signal.SIGINT)
    assert process.returncode in (-signal.SIGINT, 2)
    assert run.state == "interrupted"


@pytest.mark.kills
def test_no_job_is_left_of_a_snakemake_that_is_told_to_end(folder: Folder) -> None:
    run = unmade(folder)
    process = folder.start(LONG, "log")
    with none_left(folder, process):
        wait_for(lambda: epochs_done(run) >= 2, process)
        [snakemake] = psutil.Process(process.pid).children()
        jobs = snakemake.children(recursive=True)
        snakemake.terminate()
        assert psutil.wait_procs([snakemake, *jobs], timeout=SECONDS)[1] == []
        process.terminate()
    assert run.state == "interrupted"


@pytest.mark.kills
@needs_make
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_of_a_suite_whose_make_is_killed(number: signal.Signals, folder: Folder) -> None:
    run = unmade(folder)
    process = folder.make("reproduce-table3", LONG, "log")
    with none_left(folder, process):
        wait_for(lambda: epochs_done(run) >= 2, process)
        process.send_signal(number)
    assert process.returncode in (-number, 2)
    assert run.state == "interrupted"


@pytest.mark.kills
@needs_make
def test_a_suite_under_nohup_outlives_its_terminal_but_not_its_make(folder: Folder) -> None:
    """A terminal that is closed sends SIGHUP to all processes of its foreground, which `nohup` lets them ignore."""
    run = unmade(folder)
    handler = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = folder.make("reproduce-table3", LONG, "log", group=True)
    finally:
        signal.signal(signal.SIGHUP, handler)
    with none_left(folder, process):
        wait_for(lambda: epochs_done(run) >= 2, process)
        everyone = folder.processes()
        os.killpg(process.pid, signal.SIGHUP)
        time.sleep(3)
        assert {each.pid for each in everyone} <= {each.pid for each in folder.processes()}
        process.kill()
    assert run.state == "interrupted"


@pytest.mark.kills
def test_rotnet_outlives_the_shell_that_it_was_started_from(folder: Folder) -> None:
    run = unmade(folder)
    words = ["reproduce", "table3", "--preset", "quick", "--set", LONG, "--runs", str(folder.path / "runs")]
    shell = folder.command(["sh", "-c", '"$@" & sleep 600', "sh", sys.executable, "-m", "rotnet_lib.cli", *words], "log")
    with none_left(folder, shell):
        wait_for(lambda: epochs_done(run) >= 2, shell)
        rotnet, sleep = sorted(psutil.Process(shell.pid).children(), key=lambda child: child.name() == "sleep")
        shell.kill()
        sleep.kill()
        time.sleep(3)
        assert rotnet.is_running()
        assert kernels(folder)
        rotnet.send_signal(signal.SIGTERM)


# --- While other processes are at work ---


@pytest.mark.kills
def test_a_kernel_that_draws_a_report_ends_with_rotnet(tmp_path: Path) -> None:
    drawn = Folder(tmp_path)
    drawn.make_here(TINY, {run.key for run in drawn.plan(TINY).runs})
    process = drawn.start(TINY, "log")
    with none_left(drawn, process):
        wait_for(lambda: kernels(drawn), process)
        process.kill()


def test_the_kernel_of_a_single_run_ends_with_rotnet(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    values = {"train_size": 100, "test_size": 50, "width": 0.05, "epochs": 400, "device": "cpu"}
    words = [word for name, value in values.items() for word in ("-p", name, str(value))]
    process = folder.command([sys.executable, "-m", "rotnet_lib.cli", "run", "pretrain", "--preset", "quick", *words], "log")
    with none_left(folder, process):
        wait_for(lambda: list((tmp_path / "runs").glob(f"*/{RESUME}")), process)
        process.terminate()
    assert process.returncode == 128 + signal.SIGTERM

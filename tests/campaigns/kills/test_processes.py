"""Processes of a making are found by their mark, whoever their parent is; others are left alone."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from campaigns.kills.processes import MARK, described, end, marked, role_in, role_of, wait_for

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process with a mark, or without one."""
    started = []

    def run(mark: str | None, *words: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(words or ("sleep", "60"), env=os.environ | ({MARK: mark} if mark else {}))
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def test_a_process_left_running_is_found_and_ended_though_its_parent_is_gone(start: Start) -> None:
    mark = f"test-{os.getpid()}-orphan"
    parent = start(mark, "sh", "-c", "setsid sleep 60 & exit 0")
    assert parent.wait() == 0
    assert wait_for(lambda: [process.name() for process in marked(mark)] == ["sleep"], 10) is not None
    [left] = marked(mark)
    assert "sleep 60" in described(left)
    end(mark)
    assert marked(mark) == []
    assert not psutil.pid_exists(left.pid) or left.status() == psutil.STATUS_ZOMBIE


def test_processes_without_the_mark_are_left_alone(start: Start) -> None:
    mine, another, unmarked = start("test-mine"), start("test-another"), start(None)
    time.sleep(0.1)
    assert [process.pid for process in marked("test-mine")] == [mine.pid]
    end("test-mine")
    assert another.poll() is None
    assert unmarked.poll() is None


def test_a_process_that_only_waits_to_be_reaped_does_not_run(start: Start) -> None:
    process = start("test-zombie", "true")
    assert wait_for(lambda: not marked("test-zombie"), 10) is not None
    assert process.wait() == 0


ROLES = {
    "make reproduce-table3 RUNS=runs": "make",
    "/usr/bin/make reproduce-table3": "make",
    "/a/.venv/bin/python .venv/bin/rotnet reproduce table3 --runs runs": "rotnet",
    "/a/.venv/bin/python -m snakemake --snakefile /a/rotnet_lib/suites/Snakefile": "Snakemake",
    "/a/.venv/bin/python -m rotnet_lib.cli execute /a/runs/x/plan.json name 17": "job",
    "/a/.venv/bin/python -m ipykernel_launcher -f /tmp/rotnet-x/kernel.json": "kernel",
    "/bin/sh -c exec": None,
    "git rev-parse": None,
    "": None,
}


@pytest.mark.parametrize("line", ROLES)
def test_roles(line: str) -> None:
    assert role_in(line.split()) == ROLES[line]


def test_a_process_that_has_ended_has_no_role(start: Start) -> None:
    process = start(None, sys.executable, "-c", "pass")
    found = psutil.Process(process.pid)
    process.wait()
    assert role_of(found) is None
    assert described(found) == str(process.pid)


def test_waiting_says_how_long_it_took_or_that_it_was_in_vain() -> None:
    begin = time.monotonic()
    took = wait_for(lambda: time.monotonic() - begin > 0.3, 10)
    assert took is not None
    assert 0.2 < took < 5
    assert wait_for(lambda: False, 0.2) is None

"""Two suites in one folder of runs: who waits is told for whom, and a finished suite does not wait."""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import lock_file
from rotnet_lib.report.index import write_index
from rotnet_lib.runs.directory import LOCK, METRICS, PLAN, REPORT, RESUME, TABLE
from rotnet_lib.suites.at_work import if_nobody_is, one_at_a_time, said_of_owner
from rotnet_lib.suites.engine import reproduce
from rotnet_lib.suites.plan import Options, Plan, plan_suite
from tests.results import finish_planned, finished

TINY = "train_size=40 test_size=20 image_size=16"


def planned(suite: str = "table3") -> Plan:
    plan = plan_suite(suite, Options(preset="quick", set=TINY))
    plan.write()
    return plan


@contextmanager
def waiting(work: Callable[[], Any], capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    """What `work` prints before it waits, in the block; after the block it must come to its end."""
    said = ""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not said.endswith("\n"):
        assert time.monotonic() < deadline
        said += capsys.readouterr().out
        time.sleep(0.01)
    yield said
    thread.join(20)
    assert not thread.is_alive()


# --- Who is at work ---


def test_who_waits_for_a_suite_is_told_which_since_when_and_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    plan = planned()
    for run in plan.runs[:3]:
        finish_planned(run)
    root = plan.directory.parent
    with one_at_a_time(root, plan) as lock, waiting(lambda: one_at_a_time(root, planned("table2")).close(), capsys) as said:
        clock = r"\d\d:\d\d:\d\d \(\d seconds ago\)"
        suite = rf"table3 \(preset quick\), at work since {clock}, 3 of its 7 runs finished; process {os.getpid()}"
        assert re.fullmatch(
            rf"{re.escape(root.name)} is in use by {suite}\. Waiting for it to end \(Ctrl-C gives up\)\.\n", said
        )
        lock.close()


def test_who_waits_is_told_how_far_the_runs_are_that_are_trained(capsys: pytest.CaptureFixture[str]) -> None:
    plan = planned()
    root, run = plan.directory.parent, plan.runs[0]
    run.directory.open(run.config)
    header = json.dumps({"history": [{"epoch": 2.0}]})
    save_file({"x": np.zeros(1)}, run.directory.path / RESUME, metadata={"header": header})
    with one_at_a_time(root, plan) as lock, waiting(lambda: one_at_a_time(root, planned("table2")).close(), capsys) as said:
        share = 2 / run.config.model_dump()["epochs"]
        assert f"0 of its 7 runs finished, {run.key} {share:.0%} trained; process" in said
        lock.close()
    run.directory.close()


def test_who_does_not_wait_is_given_nothing() -> None:
    plan = planned()
    root = plan.directory.parent
    with one_at_a_time(root, plan):
        assert if_nobody_is(root, planned("table2")) is None
    free = if_nobody_is(root, plan)
    assert free is not None
    free.close()


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (-60, r"\(0 seconds ago\)"),
        (119, r"\(119 seconds ago\)"),
        (300, r"\(5 minutes ago\)"),
        (3 * 3600, r"\(3\.0 hours ago\)"),
        (50 * 3600, r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(50\.0 hours ago\)"),
    ],
)
def test_how_long_a_suite_has_been_at_work(ago: float, said: str, tmp_path: Path) -> None:
    owner = {"name": "table3", "preset": "quick", "directory": "table3-quick-0", "since": time.time() - ago, "process": 7}
    assert re.search(said, said_of_owner(tmp_path, json.dumps(owner)))


@pytest.mark.parametrize(
    "damage",
    [{"name": 7}, {"directory": "../a"}, {"directory": "a/b"}, {"since": -1e300}, {"since": None}, {"name": "a\x1b[2J"}],
)
def test_a_lock_file_that_anybody_has_written_is_read_with_care(damage: dict[str, Any], tmp_path: Path) -> None:
    owner = {"name": "table3", "preset": "quick", "directory": "table3-quick-0", "since": 1.7e9, "process": 7}
    assert "its progress is unknown (its plan cannot be read); process 7" in said_of_owner(tmp_path, json.dumps(owner))
    assert said_of_owner(tmp_path, json.dumps(owner | damage)) == "(unknown)"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"4711", "process 4711"),
        (b"", "(unknown)"),
        (b"\xff\xfe\0", "(unknown)"),
        (b"{}", "(unknown)"),
        (b"[" * 10**6, "(unknown)"),
        ("\u0664".encode(), "(unknown)"),
    ],
)
def test_a_lock_file_may_hold_anything(content: bytes, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    plan = planned()
    root = plan.directory.parent
    with lock_file(root / LOCK) as lock:
        (root / LOCK).write_bytes(content)
        with waiting(lambda: one_at_a_time(root, plan).close(), capsys) as line:
            assert f"{root.name} is in use by {said}. Waiting" in line
            lock.close()


# --- A finished suite ---


def draw(notebook: str, parameters: dict[str, Any], directory: Path) -> None:
    (directory / TABLE).write_text("the table")
    (directory / REPORT).write_text("the page")


def test_the_report_of_a_finished_suite_is_drawn_while_another_suite_is_at_work() -> None:
    plan = planned()
    for run in plan.runs:
        finish_planned(run)
    with one_at_a_time(plan.directory.parent, planned("table2")):
        page = reproduce(plan, cores=1, executor=None, run_notebook=draw)
    assert page.read_text() == "the page"


def test_a_suite_whose_runs_are_damaged_or_build_on_such_does_not_wait() -> None:
    plan = planned()
    for run in plan.runs:
        finish_planned(run)
    (plan.runs[0].directory.path / METRICS).write_text("null")
    with (
        one_at_a_time(plan.directory.parent, planned("table2")),
        pytest.raises(RotnetError, match="1 of 7 runs did not finish"),
    ):
        reproduce(plan, cores=1, executor=None, run_notebook=draw)


def test_a_suite_with_something_to_make_waits(started: Callable[[], list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    plan = planned()

    def work() -> None:
        with pytest.raises(RotnetError, match="7 of 7 runs did not finish"):
            reproduce(plan, cores=1, executor=None, run_notebook=draw)

    with one_at_a_time(plan.directory.parent, planned("table2")) as lock, waiting(work, capsys) as said:
        assert "in use by table2" in said
        assert started() == []
        lock.close()
    assert started()


def test_two_that_want_the_same_report_draw_it_once() -> None:
    plan = planned()
    for run in plan.runs:
        finish_planned(run)
    drawn = []

    def slowly(notebook: str, parameters: dict[str, Any], directory: Path) -> None:
        drawn.append(notebook)
        time.sleep(0.3)
        draw(notebook, parameters, directory)

    with ThreadPoolExecutor() as pool:
        pages = [pool.submit(reproduce, plan, cores=1, executor=None, run_notebook=slowly) for _ in range(3)]
    assert [page.result() for page in pages] == [plan.directory / REPORT] * 3
    assert drawn == ["report"]
    assert (plan.directory / PLAN).is_file()


def test_the_index_is_of_all_runs_however_many_write_it() -> None:
    plan = planned()
    root = plan.directory.parent

    def one(number: int) -> None:
        run = finished(plan.runs[0].config, f"{number:04}")
        (run.path / REPORT).write_text("the page")
        write_index(root)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(24)))
    assert len(re.findall(rf'href="[^"]+/{REPORT}"', (root / "index.html").read_text())) == 24

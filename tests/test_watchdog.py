"""A process ends when the one that it works for has ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from rotnet_lib.watchdog import is_alive, process_token

slow = pytest.mark.slow

LONG = "import time; time.sleep(60)"


def start(code: str, *words: str) -> "subprocess.Popen[bytes]":
    root = str(Path(__file__).parents[1])
    return subprocess.Popen([sys.executable, "-c", code, *words], env=os.environ | {"PYTHONPATH": root}, stdout=subprocess.PIPE)


@slow
def test_a_process_ends_soon_after_it_is_said_to(tmp_path: Path) -> None:
    watching = f"import pathlib, sys, rotnet_lib.watchdog as p; p.end_when(pathlib.Path(sys.argv[1]).exists); print(); {LONG}"
    with start(watching.replace("print()", "print(flush=True)"), str(tmp_path / "stop")) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert process.poll() is None
        (tmp_path / "stop").touch()
        assert process.wait(timeout=10) == -9


@slow
def test_a_process_ends_with_its_parent() -> None:
    child = f"import os, rotnet_lib.watchdog as p; p.end_with_parent(os.getppid()); print(os.getpid(), flush=True); {LONG}"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with start(parent) as process:
        assert process.stdout is not None
        orphan = psutil.Process(int(process.stdout.readline()))
        assert orphan.is_running()
        process.kill()
        process.wait()
        assert psutil.wait_procs([orphan], timeout=10)[1] == []


@slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_process_that_is_told_to_end_does_so_in_order(number: signal.Signals) -> None:
    code = f"""
import rotnet_lib.watchdog as p
with p.ended_in_order():
    try:
        print(flush=True); {LONG}
    finally:
        import os, signal; os.kill(os.getpid(), signal.SIGTERM)  # as from make, which tells it again
        print("ended what it had started")
"""
    with start(code) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        assert process.stdout.read() == b"ended what it had started\n"
        assert process.wait(timeout=10) == 128 + number


@slow
def test_a_signal_that_is_ignored_stays_ignored() -> None:
    code = f"""
import signal, rotnet_lib.watchdog as p
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with p.ended_in_order():
    print(flush=True); {LONG}
"""
    with start(code) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        process.terminate()
        assert process.wait(timeout=10) == 128 + signal.SIGTERM


@slow
def test_a_forked_process_is_ended_by_a_signal_as_usual() -> None:
    code = f"""
import os, signal, time, rotnet_lib.watchdog as p
with p.ended_in_order():
    child = os.fork()
    if not child:
        {LONG}
    time.sleep(0.2)
    os.kill(child, signal.SIGTERM)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    with start(code) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"-15\n"


@slow
def test_a_process_is_asked_before_it_is_killed() -> None:
    """Twice interrupted, as by Ctrl-C and by the one that watches: the second does not break off what the first began."""
    code = """
import os, signal, time, rotnet_lib.watchdog as p
p.interrupted_once(with_children=False)
try:
    p.end_when(lambda: True, ask=p.INTERRUPT, patience=2)
    time.sleep(60)
except KeyboardInterrupt:
    os.kill(os.getpid(), signal.SIGINT)
    print("interrupted", flush=True)
    time.sleep(60)
"""
    with start(code) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"interrupted\n"
        assert process.wait(timeout=10) == -9


@slow
def test_a_process_is_alive_until_it_has_ended() -> None:
    with start(LONG) as process:
        token = process_token(process.pid)
        assert is_alive(token)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
        assert not is_alive(token)  # ended, though its parent has not asked yet
        process.wait()
        assert not is_alive(token)


def test_another_process_of_the_same_number_is_not_taken_for_it() -> None:
    own = process_token(os.getpid())
    assert is_alive(own)
    assert not is_alive(f"{own}1")


@slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_a_process_has_started_is_told_to_end_with_it(number: signal.Signals) -> None:
    code = f"""
import subprocess, sys, rotnet_lib.watchdog as p
child = subprocess.Popen([sys.executable, "-c", {LONG!r}])
try:
    p.interrupted_once(with_children=True)
    print(flush=True); {LONG}
except KeyboardInterrupt:
    print(child.wait())
"""
    with start(code) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        assert process.stdout.read() == b"-15\n"
        assert process.wait(timeout=10) == 0

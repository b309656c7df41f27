"""A folder in which suites are made by processes of their own, as a user does it."""

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import safetensors

from rotnet_lib.runs.directory import REPORT, RESUME, RunDirectory
from rotnet_lib.stages import STAGES
from rotnet_lib.suites.documents import SUITES
from rotnet_lib.suites.plan import Options, Plan, plan_suite
from tests.results import stand_in_page

ROOT = Path(__file__).parents[2]

TINY = "width=0.05 train_size=100 test_size=50 epochs=1 batch_size=32 pretrain.batch_size=16 device=cpu"
"""Overrides under which a run takes a second and learns nothing."""

LONG = f"{TINY} supervised.epochs=40"
"""The same but for one run, which goes on for long enough to be killed."""


@dataclass
class Folder:
    """A folder in which `rotnet reproduce` is run as a process of its own.

    Attributes:
        path: of it.
        runs: the name of the folder of runs in it.
    """

    path: Path
    runs: str = "runs"

    def environment(self) -> dict[str, str]:
        own = {"ROTNET_DATA": str(self.path / "data"), "ROTNET_CACHE": str(self.path / "cache")}
        # A backend such as users without a screen set for all their programs: it must not reach the kernels.
        return os.environ | own | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "MPLBACKEND": "agg"}

    def start(self, text: str, log: str) -> subprocess.Popen[bytes]:
        words = ["reproduce", "table3", "--preset", "quick", "--cores", "2", "--set", text, "--runs", self.runs]
        return self.command([sys.executable, "-m", "rotnet_lib.cli", *words], log)

    def command(self, words: Sequence[str], log: str, *, group: bool = False) -> subprocess.Popen[bytes]:
        """Start a command, as a process group of its own if wanted, as a shell does it for a terminal."""
        with (self.path / log).open("w") as stream:
            return subprocess.Popen(
                words,
                cwd=self.path,
                env=self.environment(),
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=group,
            )

    def make(self, target: str, text: str, log: str, *, group: bool = False) -> subprocess.Popen[bytes]:
        """Start make in a copy of the checkout, in an environment whose `rotnet` is this package's."""
        checkout = self.path / "checkout"
        tools = checkout / ".venv" / "bin"
        if not checkout.exists():
            tools.mkdir(parents=True)
            for name in ("Makefile", "requirements.txt", "pyproject.toml"):
                shutil.copy(ROOT / name, checkout)
            (checkout / "rotnet_lib" / "suites").mkdir(parents=True)
            shutil.copy(SUITES / "table3.yaml", checkout / "rotnet_lib" / "suites")
            (tools / "python").symlink_to(sys.executable)
            (tools / "rotnet").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m rotnet_lib.cli "$@"\n')
            (tools / "rotnet").chmod(0o755)
            (tools.parent / ".ready").write_text(f"{checkout}\n")
        values = ["PRESET=quick", "CORES=2", f"SET={text}", f"RUNS={self.path / self.runs}"]
        return self.command(["make", "-C", str(checkout), target, *values], log, group=group)

    def processes(self) -> list[psutil.Process]:
        """All that run for this folder, whoever started them."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(
                psutil.NoSuchProcess, psutil.AccessDenied
            ):  # it has ended meanwhile, or is of another user
                if (
                    process.environ().get("ROTNET_CACHE") == str(self.path / "cache")
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
        return found

    def reproduce(self, text: str, log: str) -> "Made":
        with ended_after(self.start(text, log)) as process:
            code = process.wait(timeout=240)
        return Made(self.plan(text), code, (self.path / log).read_text())

    def plan(self, text: str) -> Plan:
        return plan_suite("table3", Options(preset="quick", set=text, runs=str(self.path / self.runs)))

    def make_here(self, text: str, keys: Iterable[str]) -> None:
        """Make these runs in this process, without their notebooks."""
        with self.here():
            for run in self.plan(text).runs:
                if run.key in keys:
                    STAGES[run.config.stage].run(run.config).save()
                    stand_in_page(run.directory)

    @contextmanager
    def here(self) -> Iterator[None]:
        """This process has the folder's data and cache."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("ROTNET_DATA", "ROTNET_CACHE"):
                patch.setenv(name, self.environment()[name])
            yield


@dataclass
class Made:
    """What one call of `rotnet reproduce` left."""

    plan: Plan
    code: int
    output: str

    def run(self, key: str) -> RunDirectory:
        return next(run.directory for run in self.plan.runs if run.key == key)

    @property
    def report(self) -> Path:
        return self.plan.directory / REPORT


@contextmanager
def ended_after(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Whatever happens in the block, neither the process nor anything it started is there after it."""
    try:
        yield process
    finally:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()


def epochs_done(run: RunDirectory) -> int:
    """How many epochs the resume state of a run has, while another process may replace it; 0 if there is none."""
    try:
        # The header alone: for tensors the file is opened once more, and may be another one by then.
        with safetensors.safe_open(run.path / RESUME, framework="pt") as file:
            return len(json.loads(file.metadata()["header"])["history"])
    except FileNotFoundError:
        return 0


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    """Until a condition holds; the process must not end before."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the process ended first"
        assert time.monotonic() < deadline, f"nothing of the kind in {seconds} s"
        time.sleep(0.02)

"""The suite that is made: tiny runs of all kinds of Table 3, in a folder of the campaign's own."""

import hashlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors.numpy

from campaigns.kills.processes import MARK
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import is_locked
from rotnet_lib.runs.directory import HISTORY, REPORT, RESUME, TABLE, RunDirectory
from rotnet_lib.suites.plan import Options, Plan, plan_suite

ROOT = Path(__file__).parents[2]
"""The checkout, whose Makefile is called."""

SUITE, PRESET = "table3", "quick"
SET = "width=0.05 train_size=100 test_size=50 epochs=10 batch_size=32 device=cpu"

_OF_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")
"""Variables by which one make tells another what it was asked for: the campaign's is asked for other things."""

_TIMES = ("seconds", "inputs_per_second")
"""Columns of a history that never repeat."""

_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}(\.[a-z]+)?")
"""Names that temporary files have until they take a file's place."""


@dataclass(frozen=True)
class Suite:
    """A folder in which the suite is made.

    Attributes:
        runs: the folder of runs.
        own: folder of the campaign's own data, cache and temporary files.
    """

    runs: Path
    own: Path

    def start(self, mark: str, log: Path) -> subprocess.Popen[bytes]:
        """`make reproduce-table3`, as a user types it in a terminal: in a session and group of its own. It writes to `log`."""
        environment = {name: value for name, value in os.environ.items() if name not in _OF_MAKE}
        own = {"ROTNET_DATA": self.own / "data", "ROTNET_CACHE": self.own / "cache", "TMPDIR": self.own / "tmp"}
        (self.own / "tmp").mkdir(parents=True, exist_ok=True)
        words = (f"PRESET={PRESET}", f"SET={SET}", f"RUNS={self.runs}", "CORES=2")
        with log.open("ab") as stream:
            return subprocess.Popen(
                ["make", f"reproduce-{SUITE}", *words],
                cwd=ROOT,
                env=environment | {name: str(path) for name, path in own.items()} | {MARK: mark, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=heed_signals,
            )

    def plan(self) -> Plan:
        return plan_suite(SUITE, Options(PRESET, set=SET, runs=str(self.runs)))

    def unfinished(self) -> list[str]:
        """The keys of the runs that have no valid result."""
        return [run.key for run in self.plan().runs if not run.directory.finished]

    def figures(self) -> dict[str, Any]:
        """Run -> what it has measured and trained, bit for bit; of what is not finished, nothing."""
        return {run.key: _figures(run.directory) for run in self.plan().runs if run.directory.finished}

    def without_page(self) -> list[str]:
        """The finished runs without a page, and the suite if it has none or lacks its table."""
        plan = self.plan()
        runs = [run.key for run in plan.runs if run.directory.finished and not _is_page(run.directory.path / REPORT)]
        whole = _is_page(plan.directory / REPORT) and (plan.directory / TABLE).is_file() and _is_page(self.runs / "index.html")
        return runs + ([] if whole else [SUITE])

    def leftovers(self, folders: Sequence[Path]) -> list[str]:
        """What killed processes have left: temporary files, resume states of finished runs, those of `folders` that exist."""
        return sorted(str(path) for path in self._left(folders))

    def _left(self, folders: Sequence[Path]) -> Iterator[Path]:
        yield from (path for path in self.runs.rglob(".*") if path.is_file() and _TEMPORARY.fullmatch(path.name))
        yield from (run.directory.path / RESUME for run in self.plan().runs if (run.directory.path / RESUME).exists())
        yield from (path for path in folders if path.exists())
        yield from (path for path in (self.own / "tmp").glob("rotnet-*") if path not in folders)

    @property
    def locked(self) -> bool:
        return is_locked(self.runs / ".lock")


def heed_signals() -> None:
    """Have this process heed signals that it inherited as ignored, as below nohup: from a terminal it would heed them."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def _figures(run: RunDirectory) -> dict[str, Any]:
    result = run.result()
    history = run.path / HISTORY
    table = pd.read_csv(history).drop(columns=list(_TIMES), errors="ignore") if history.exists() else pd.DataFrame()
    weights = {path.name: _tensors(path) for path in sorted(run.path.glob("model*.safetensors"))}
    metrics = {name: metric.model_dump() for name, metric in result.metrics.items()}
    return {"metrics": metrics, "by_target": result.by_target, "history": table.to_csv(), "weights": weights}


def _tensors(path: Path) -> str:
    """A hash of the tensors in a file: the order of what its head says of them is another in each process."""
    digest = hashlib.sha256()
    for name, array in sorted(safetensors.numpy.load_file(path).items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def _is_page(path: Path) -> bool:
    return path.is_file() and path.read_text(errors="replace").rstrip().endswith("</html>")


def check_ready() -> None:
    """Raises RotnetError unless the checkout's environment is set up: else make would begin with that."""
    asked = subprocess.run(
        ["make", "--question", ".venv/.ready"], cwd=ROOT, env=_outside_make(), capture_output=True, check=False
    )
    if asked.returncode:
        raise RotnetError(f"the environment of {ROOT} is not set up, or its pins have changed. Run make setup first.")


def _outside_make() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _OF_MAKE}

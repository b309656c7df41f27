"""Run directories: a run is its parameters.

A run's directory is named from a readable slug and a hash of its stage, its parameters and its data. So a finished run is
reused by everything that needs it, and a changed parameter is a new run. The directory holds

| file | what it is |
| --- | --- |
| `parameters.yaml` | the whole effective config |
| `notebook.ipynb`, `report.html` | the executed notebook and its rendering; a failed run keeps both, with the error |
| `history.csv` | a row an epoch, or every fiftieth of the iterations |
| `seen.json` | what the network saw and answered, for the page (`evaluation.seen`) |
| `model.safetensors` | the weights, where the run trains some |
| `model-epoch20.safetensors`, ... | the weights as they were after some epochs of a pretrain run |
| `pu.safetensors` | of a pu_weights run: how plausible each rotated training image is as an upright one |
| `resume.safetensors` | while it runs: the state to resume from |
| `outcome.json`, `failure.json`, `torchrun.log` | while several processes train: see `stages.launch`; a failure keeps the log |
| `metrics.json` | the result (`RunResult`); written last, atomically: it means "finished" |

These files carry the run's name and a checksum: `metrics.json` of itself and of the files that pages are drawn from later, the
tensors each their own (`training.checkpoints`).
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import yaml

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import (
    LockTimeout,
    check_is_file,
    file_checksum,
    is_file_of,
    is_locked,
    lock_file,
    lock_problem,
    read_bytes,
    remove_left_files,
    write_text,
)
from rotnet_lib.paths import from_project, short_name
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.identity import contradiction, name_ending, parameters_in, result_checksum, result_in
from rotnet_lib.runs.schema import RunResult
from rotnet_lib.runs.stage_config import StageConfig
from rotnet_lib.runs.unverified import called, note

PARAMETERS, METRICS, HISTORY = "parameters.yaml", "metrics.json", "history.csv"
MODEL, RESUME = "model.safetensors", "resume.safetensors"
PU = "pu.safetensors"
NOTEBOOK, REPORT = "notebook.ipynb", "report.html"
PLAN, TABLE = "plan.json", "table.csv"
"""In a suite's directory: its runs, and its table."""
LOCK = ".lock"
"""Locked by the process that writes a run, in the run's directory; by the suite at work, in the folder of runs."""

NOTEBOOK_LOCK = ".notebook.lock"
"""In a run's directory: locked by the process that writes notebook and page there. `LOCK` is the kernel's."""

SHOWN_RESULT = "data-result"
"""The attribute in which a run's page says at its start which result it shows: see `RunDirectory.result_mark`."""

_SHOWN = re.compile(rf'<html [^>]*{SHOWN_RESULT}="([0-9a-f]*)"'.encode())
_HEAD = 2**12
"""Bytes at the start of a page that hold what it says of itself; a page as a whole may have megabytes."""

_FAILED = b'href="#papermill-error-cell"'
"""On a page on which papermill has marked an error."""

_NO_RESULTS = frozenset({PARAMETERS, METRICS, NOTEBOOK, REPORT, "outcome.json", "failure.json", "torchrun.log"})
"""Files of a run that no figure is computed from later, or that are checked otherwise."""


def run_name(config: RunConfig, slug: str, fingerprint: str) -> str:
    """The directory name of a config's run on data with that fingerprint: `probe-shapes-conv2-conv-s0-1a2b3c4d5e`.

    A slug that would make it longer than a name may be is cut; the hash tells such runs apart.

    The upstream run is a parameter, by its own directory name, so a change in any upstream run changes this name.
    """
    ending = name_ending(config.stage, config.version, config.hashed_parameters(), fingerprint)
    readable = re.sub(r"[^a-zA-Z0-9.]+", "-", slug).strip("-").lower()
    return short_name(readable, f"-s{config.seed}-{ending}")


_LOCKS: dict[Path, TextIO] = {}
"""Locks held by this process. Re-running a notebook cell reuses its lock instead of waiting for itself."""


class RunDirectory:
    """A run's directory, and the lock that allows one process at a time to write into it (see `lock_file`)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        return self.path.name

    def open(self, config: StageConfig, *, wait_seconds: float = 20) -> None:
        """Make the directory, take its lock, remove what a killed process left half written, and write `parameters.yaml`.

        If the directory is removed while this process waits for the lock, it is made again.

        Raises:
            RotnetError: the run is damaged; or another process still holds the lock after `wait_seconds`. The default leaves an
                orphaned process time to notice that its parent is gone.
            StorageError: the system refuses to write.
        """
        self.check()
        if self.path in _LOCKS and not is_file_of(_LOCKS[self.path], self.path / LOCK):
            self.close()  # the directory was removed meanwhile
        if self.path not in _LOCKS:
            try:
                _LOCKS[self.path] = lock_file(self.path / LOCK, wait_seconds=wait_seconds)
            except LockTimeout as held:
                raise RotnetError(
                    f"run {self.path} is being written by process {held.owner or 'unknown'}. Wait for it to end, or stop it."
                ) from None
            # The page is written by another process, after the one that held the lock has ended.
            remove_left_files(self.path, lambda name: name != REPORT)
        self.check()  # again: the process that held the lock may have written a result
        write_text(self.path / PARAMETERS, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))

    def close(self) -> None:
        """Release the lock, if this process holds it."""
        if self.path in _LOCKS:
            _LOCKS.pop(self.path).close()

    def check_lock(self) -> None:
        """Raises RotnetError if the directory was removed or replaced since this process locked it.

        Another process may be writing a run of that name by now.
        """
        if self.path in _LOCKS and not is_file_of(_LOCKS[self.path], self.path / LOCK):
            raise RotnetError(f"{self.path} was removed or replaced while the run worked, and its files with it. Run it again.")

    @property
    def lock(self) -> int:
        """The file descriptor of this process's lock. A child process that inherits it keeps the run locked."""
        return _LOCKS[self.path].fileno()

    @property
    def finished(self) -> bool:
        """Whether there is a result, and it is this run's."""
        return isinstance(self._found(), RunResult)

    @property
    def damage(self) -> str | None:
        """Why the run is damaged, and the remedy; None if it is not: finished, or without a result so far."""
        found = self._found()
        return found if isinstance(found, str) else None

    def check(self) -> None:
        """Raises RotnetError if the run is damaged."""
        if damage := self.damage:
            raise RotnetError(damage)

    @property
    def result_mark(self) -> str:
        """What the run's page says that it shows: the checksum of `metrics.json`; empty if there is none."""
        path = self.path / METRICS
        return file_checksum(path) if path.is_file() else ""

    @property
    def lacks_page(self) -> bool:
        """Whether the run is finished, and no page shows that: it is missing, or of an execution that failed.

        A page from before pages said what they show is taken for the run's unless it shows an error.
        """
        if not self.finished:
            return False
        path = self.path / REPORT
        try:
            check_is_file(path, "")
            with path.open("rb") as page:
                head = page.read(_HEAD)
                if found := _SHOWN.search(head):
                    return found[1].decode() != self.result_mark
                return _FAILED in head + page.read()
        except (OSError, RotnetError):
            return True

    @property
    def running(self) -> bool:
        """Whether a process holds one of the run's locks.

        Raises RotnetError if something else than a file lies where a lock file goes.
        """
        return is_locked(self.path / LOCK) or is_locked(self.path / NOTEBOOK_LOCK)

    @property
    def state(self) -> str:
        """`finished`, `damaged` (its result is not valid, or not its own, or it cannot be locked), `running`, `failed` (its
        notebook has an error), `interrupted` or `missing`.
        """
        if found := self._found():
            return "finished" if isinstance(found, RunResult) else "damaged"
        if self.running:
            return "running"
        if self._has_error():
            return "failed"
        return "interrupted" if (self.path / PARAMETERS).exists() else "missing"

    def _has_error(self) -> bool:
        """Whether papermill recorded an exception in the notebook. What is no notebook is no obstacle: it is written anew."""
        try:
            notebook = json.loads(read_bytes(self.path / NOTEBOOK, ""))
            return bool(notebook["metadata"]["papermill"]["exception"])
        except (FileNotFoundError, RotnetError, ValueError, RecursionError):
            return False  # no kernel has started, or it was killed
        except (LookupError, TypeError):  # it has run without papermill, or is no notebook
            return False

    def parameters(self) -> dict[str, Any]:
        """The effective config, as plain values. Raises RotnetError if it is missing or unreadable, or the run is damaged."""
        self.check()
        path = self.path / PARAMETERS
        try:
            content = read_bytes(path, f"Is {self.path} the directory of a run?")
        except FileNotFoundError as error:
            raise RotnetError(f"cannot read {path}: {error.strerror}. Is {self.path} the directory of a run?") from None
        values = parameters_in(content)
        if isinstance(values, str):
            raise RotnetError(f"{path} is damaged: {values}. Delete {self.path} and make the run again.")
        return values

    def result(self) -> RunResult:
        """The finished run's result.

        Raises RotnetError if there is none, or if it is damaged, of another run, of other parameters or of another version.
        """
        found = self._found()
        if found is None:
            raise RotnetError(f"run {self.path} is not finished: it has no {METRICS}. Run it again: it goes on.")
        if isinstance(found, str):
            raise RotnetError(found)
        return found.model_copy(deep=True)

    def _found(self) -> RunResult | str | None:
        """The result; why the run is damaged, for the user; None if there is no result."""
        remedy = f"Delete {self.path} and run again."
        try:
            metrics = read_bytes(self.path / METRICS, remedy)
        except FileNotFoundError:
            return lock_problem(self.path / LOCK)
        except RotnetError as error:
            return str(error)
        try:
            parameters = read_bytes(self.path / PARAMETERS, remedy)
        except FileNotFoundError:
            parameters = None
        except RotnetError as error:
            return str(error)
        found = result_in(metrics, self.name)
        if isinstance(found, str):
            return f"{self.path / METRICS} {found}. {remedy}"
        problem = contradiction(metrics, self.name, parameters) if parameters is not None else ""
        if problem:
            return f"{self.path / PARAMETERS} {problem}. {remedy}"
        if HISTORY in (found.files or {}):  # a table's curves and a report's best epochs are read from it
            try:
                self._check_file(HISTORY, found.files)
            except RotnetError as error:
                return str(error)
        return found

    def save(self, result: RunResult) -> None:
        """Write `metrics.json`, which marks the run finished, and drop the resume state, which nothing needs now.

        The checksums, of the run's files and of the result itself, are entered in `result` first. Raises RotnetError as
        `check_lock`, and StorageError if the system refuses to write.
        """
        self.check_lock()
        result.files = {name: file_checksum(self.path / name) for name in self.result_files()}
        result.checksum = result_checksum(json.loads(result.model_dump_json()))
        write_text(self.path / METRICS, result.model_dump_json(indent=1))
        (self.path / RESUME).unlink(missing_ok=True)

    def result_files(self) -> list[str]:
        """The files that pages are drawn from later, as paths relative to the directory: history, predictions."""
        names = (path.relative_to(self.path) for path in sorted(self.path.rglob("*")) if path.is_file())
        return [
            str(name)
            for name in names
            if str(name) not in _NO_RESULTS and name.suffix != ".safetensors" and not any(p.startswith(".") for p in name.parts)
        ]

    def check_files(self, names: Sequence[str] | None = None) -> None:
        """Check files of the finished run against the checksums in its result; see `result_files`.

        Files of a result that has none are noted as unverified (`unverified.note`).

        Args:
            names: which; None: all.

        Raises:
            RotnetError: a file is missing, or is not what the run wrote; or as `result`.
        """
        recorded = self.result().files
        for name in names if names is not None else self.result_files() if recorded is None else recorded:
            self._check_file(name, recorded)

    def _check_file(self, name: str, recorded: Mapping[str, str] | None) -> None:
        path, remedy = self.path / name, f"Delete {self.path} and run again."
        try:
            check_is_file(path, remedy)
            if recorded is None:
                note(called(path))
            elif recorded.get(name) != file_checksum(path):
                raise RotnetError(f"{path} is damaged: it is not what the run wrote (by its checksum). {remedy}")
        except OSError as error:
            raise RotnetError(f"cannot read {path}, a file of a finished run: {error.strerror}. {remedy}") from None


def directory_of(config: RunConfig, fingerprint: str) -> RunDirectory:
    """The directory of a config's run on data with that fingerprint, whether it exists or not."""
    argument = config.dataset.partition(":")[2]
    data = Path(argument).name if argument and not argument.isdecimal() else config.dataset
    return RunDirectory(from_project(config.runs) / run_name(config, f"{config.slug}-{data}", fingerprint))


def open_run(config: RunConfig) -> RunDirectory:
    """The run's directory: locked, with its parameters written. A finished run's directory is returned as it is, unlocked.

    Raises RotnetError as `RunConfig.fingerprint` and `RunDirectory.open` do: a damaged run is not made again by itself.
    """
    directory = directory_of(config, config.fingerprint())
    if not directory.finished:
        directory.open(config)
    if directory.finished:  # checked again: the process that held the lock may have finished the run
        directory.close()
        print(f"{directory.path} is finished already: its result is shown. Delete that folder to make the run again.")
    return directory


def all_runs(root: Path) -> list[RunDirectory]:
    """Every run directory under `root`, newest result first."""
    found = [RunDirectory(path.parent) for path in root.glob(f"*/{PARAMETERS}")]

    def age(run: RunDirectory) -> float:
        metrics = run.path / METRICS
        return -(metrics if metrics.exists() else run.path / PARAMETERS).stat().st_mtime

    return sorted(found, key=age)


def finished_runs(root: Path) -> list[RunDirectory]:
    """Every finished run under `root`, newest first. A damaged one is named on stdout and passed over."""
    found = []
    for run in all_runs(root):
        if run.finished:
            found.append(run)
        elif damage := run.damage:
            print(f"passed over: {damage}")
    return found


def run_of(file: Path) -> RunDirectory | None:
    """The run whose directory a file lies in; None for a file elsewhere."""
    known = any((file.parent / name).exists() for name in (PARAMETERS, METRICS))
    return RunDirectory(file.parent) if known else None


def own_name(run: str, runs: str) -> str:
    """The name of a run that is given by name or by the path of its directory in `runs`; other text is returned as it is."""
    if not run:
        return run
    path = from_project(run)
    return path.name if path.parent == from_project(runs) else run


def checkpoint_of(run: str, runs: str) -> Path:
    """The file with a run's weights; see `file_of`."""
    return file_of(run, runs, MODEL)


def file_of(run: str, runs: str, name: str) -> Path:
    """The file `name` of a run that is given by directory name, by path of the directory, or by path of the file itself."""
    path = from_project(runs) / run
    if not path.exists():
        path = from_project(run)
    return path / name if path.is_dir() else path


def checkpoint_name(epoch: int) -> str:
    """The name of the file with the weights after an epoch (from 1) other than the last."""
    return f"model-epoch{epoch}.safetensors"


def now() -> str:
    """The time, to the second: `2026-11-22 13:19:44 UTC`."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

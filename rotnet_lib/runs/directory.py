"""Run directories: a run is its parameters.

A run's directory is named from a readable slug and a hash of its stage, its parameters and its data. So a finished run is
reused by everything that needs it, and a changed parameter is a new run. The directory holds

| file | what it is |
| --- | --- |
| `parameters.yaml` | the whole effective config |
| `notebook.ipynb`, `report.html` | the executed notebook and its rendering; a failed run keeps both, with the error |
| `history.csv` | a row an epoch, or every fiftieth of the iterations |
| `model.safetensors` | the weights, where the run trains some |
| `model-epoch20.safetensors`, ... | the weights as they were after some epochs of a pretrain run |
| `pu.safetensors` | of a pu_weights run: how plausible each rotated training image is as an upright one |
| `resume.safetensors` | while it runs: the state to resume from |
| `outcome.json`, `failure.json`, `torchrun.log` | while several processes train: see `stages.launch`; a failure keeps the log |
| `metrics.json` | the result (`RunResult`); written last, atomically: it means "finished" |
"""

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import LockTimeout, is_locked, lock_file, write_text
from rotnet_lib.paths import from_project
from rotnet_lib.runs.config import RunConfig, StageConfig

PARAMETERS, METRICS, HISTORY = "parameters.yaml", "metrics.json", "history.csv"
MODEL, RESUME = "model.safetensors", "resume.safetensors"
PU = "pu.safetensors"
NOTEBOOK, REPORT = "notebook.ipynb", "report.html"
PLAN, TABLE = "plan.json", "table.csv"
"""In a suite's directory: its runs, and its table."""


class Metric(BaseModel):
    """One figure of a run, in percent.

    `last`, the headline, is of the last epoch on the test split. `best` is of the epoch that was chosen on the test split, so
    it is too high; it is shown beside the headline, under that name, because the published figures were chosen so. None if
    the test split was evaluated once, at the end.
    """

    last: float
    best: float | None = None
    best_epoch: int | None = None


class DataRecord(BaseModel):
    """The data a run saw."""

    name: str
    title: str
    fingerprint: str
    classes: list[str]
    image_size: int | None = None
    """Side of the square images in pixels; None where they keep their sizes."""
    train_images: int
    test_images: int
    damaged: list[str] = []
    """Image files that could not be read and were left out, as paths relative to the dataset's folder."""
    skipped: list[str] = []
    """What else lay among the images and was not read, by kind: `".heic files: 3, such as train/cat/a.heic"`."""


class TrainingRecord(BaseModel):
    """What a run trained, and how fast."""

    epochs: int | None = None
    """Epochs trained, including those before an interruption; None if training is counted in iterations."""
    iterations: int | None = None
    """Iterations trained; None if training is counted in epochs."""
    inputs: int
    """Network inputs trained on, rotated copies counted."""
    seconds: float
    """Time of the training steps. Set-up, evaluation and epochs that were interrupted are not counted."""
    inputs_per_second: float
    """The median over the rows of the history (epochs), so that a slow first one does not count."""
    waiting: float | None = None
    """Share of the training time that the device waited for images, in [0, 1]; None if it was not measured."""
    parameters: int
    """How many numbers were trained."""


class RunResult(BaseModel):
    """The schema of `metrics.json`."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int = 2
    run: str
    stage: str
    parameters: dict[str, Any]
    """The whole effective config."""
    protocol_differences: dict[str, list[Any]]
    """Field -> [the protocol's value, this run's value], for every field that differs."""
    data: DataRecord
    metrics: dict[str, Metric]
    by_target: dict[str, dict[str, float]]
    """Metric -> target's name (a class, a rotation) -> percent, at the last epoch on the test split."""
    training: TrainingRecord | None
    """None for a run that trains nothing."""
    wall_seconds: float
    """From the start of the stage to its end, in the process that finished the run."""
    peak_memory_mib: int
    """The largest resident size of the process, of rank 0 if several train. GPU memory is not counted."""
    environment: dict[str, Any]
    finished_at: str


def run_name(config: RunConfig, slug: str, fingerprint: str) -> str:
    """The directory name of a config's run on data with that fingerprint: `probe-shapes-conv2-conv-s0-1a2b3c4d5e`.

    The upstream run is a parameter, by its own directory name, so a change in any upstream run changes this name.
    """
    hashed = json.dumps([config.stage, config.version, config.hashed_parameters(), fingerprint], sort_keys=True)
    digest = hashlib.sha256(hashed.encode()).hexdigest()[:10]
    return f"{re.sub(r'[^a-zA-Z0-9.]+', '-', slug).strip('-').lower()}-s{config.seed}-{digest}"


_LOCK = ".lock"

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
        """Make the directory, take its lock and write `parameters.yaml`.

        Raises:
            RotnetError: another process still holds the lock after `wait_seconds`. The default leaves an orphaned process
                time to notice that its parent is gone.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if self.path not in _LOCKS:
            try:
                _LOCKS[self.path] = lock_file(self.path / _LOCK, wait_seconds=wait_seconds)
            except LockTimeout as held:
                raise RotnetError(
                    f"run {self.path} is being written by process {held.owner or 'unknown'}. Wait for it to end, or stop it."
                ) from None
        write_text(self.path / PARAMETERS, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))

    def close(self) -> None:
        """Release the lock, if this process holds it."""
        if self.path in _LOCKS:
            _LOCKS.pop(self.path).close()

    @property
    def lock(self) -> int:
        """The file descriptor of this process's lock. A child process that inherits it keeps the run locked."""
        return _LOCKS[self.path].fileno()

    @property
    def finished(self) -> bool:
        return (self.path / METRICS).exists()

    @property
    def running(self) -> bool:
        """Whether a process holds the lock."""
        return is_locked(self.path / _LOCK)

    @property
    def state(self) -> str:
        """`finished`, `running`, `failed` (its notebook has an error), `interrupted` or `missing`."""
        if self.finished:
            return "finished"
        if self.running:
            return "running"
        if self._has_error():
            return "failed"
        return "interrupted" if (self.path / PARAMETERS).exists() else "missing"

    def _has_error(self) -> bool:
        """Whether papermill recorded an exception in the notebook."""
        path = self.path / NOTEBOOK
        try:
            notebook = json.loads(path.read_text())
        except (FileNotFoundError, json.JSONDecodeError):  # no kernel has started, or it was killed while this was written
            return False
        return bool(notebook["metadata"].get("papermill", {}).get("exception"))

    def parameters(self) -> dict[str, Any]:
        """The effective config, as plain values. Raises RotnetError if it is missing or unreadable."""
        path = self.path / PARAMETERS
        try:
            values = yaml.safe_load(path.read_text())
        except (OSError, yaml.YAMLError) as error:
            raise RotnetError(f"cannot read {path}: {error}. Is {self.path} the directory of a run?") from None
        if not isinstance(values, dict):
            raise RotnetError(f"{path} is damaged: it holds no parameters. Delete {self.path} and make the run again.")
        return values

    def result(self) -> RunResult:
        """The finished run's result. Raises RotnetError if the file is missing, damaged or of another version."""
        path = self.path / METRICS
        try:
            return RunResult.model_validate_json(path.read_text())
        except FileNotFoundError:
            raise RotnetError(f"run {self.path} is not finished: it has no {METRICS}. Run it again: it goes on.") from None
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"])) or "the file"
            raise RotnetError(
                f"{path} is damaged or from another version ({where}: {problem['msg']}). Delete {self.path} and run again."
            ) from None

    def save(self, result: RunResult) -> None:
        """Write `metrics.json`, which marks the run finished, and drop the resume state, which nothing needs now."""
        write_text(self.path / METRICS, result.model_dump_json(indent=1))
        (self.path / RESUME).unlink(missing_ok=True)


def directory_of(config: RunConfig, fingerprint: str) -> RunDirectory:
    """The directory of a config's run on data with that fingerprint, whether it exists or not."""
    argument = config.dataset.partition(":")[2]
    data = Path(argument).name if argument and not argument.isdecimal() else config.dataset
    return RunDirectory(from_project(config.runs) / run_name(config, f"{config.slug}-{data}", fingerprint))


def open_run(config: RunConfig) -> RunDirectory:
    """The run's directory: locked, with its parameters written. A finished run's directory is returned as it is, unlocked.

    Raises RotnetError as `RunConfig.fingerprint` and `RunDirectory.open` do.
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
        newest = run.path / (METRICS if run.finished else PARAMETERS)
        return -newest.stat().st_mtime

    return sorted(found, key=age)


def own_name(run: str, runs: str) -> str:
    """The name of a run that is given by name or by the path of its directory in `runs`; another path is returned as it is."""
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

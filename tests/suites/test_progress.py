"""How far a making is, and how long the rest takes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import nbformat
import numpy as np
import pytest
from safetensors.numpy import save_file

from rotnet_lib.files import lock_file
from rotnet_lib.runs.directory import LOCK, NOTEBOOK, RESUME
from rotnet_lib.suites.plan import Options, Plan, PlannedRun, plan_suite
from rotnet_lib.suites.progress import Progress
from tests.results import finish

TINY = "train_size=40 test_size=20 image_size=16 epochs=4"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Making:
    """A suite that is made by hand.

    Attributes:
        plan: of it.
        clock: what its progress looks at.
    """

    def __init__(self, side_by_side: int = 1) -> None:
        found = plan_suite("table3", Options(preset="quick", set=TINY))
        self.plan: Plan = found
        self.clock = Clock()
        self.progress = Progress(found, list(found.runs), side_by_side=side_by_side, clock=self.clock)

    def run(self, key: str) -> PlannedRun:
        return next(run for run in self.plan.runs if run.key == key)

    @contextmanager
    def at_work(self, key: str, seconds: float) -> Iterator[None]:
        """A run is being made in the block, which lasts so long; the progress is looked at when it begins."""
        self.run(key).directory.path.mkdir(parents=True, exist_ok=True)
        with lock_file(self.run(key).directory.path / LOCK):
            self.progress.look()
            yield
            self.clock.now += seconds

    def finish(self, key: str, seconds: float, *, more: float = 0.0) -> str | None:
        """Make a run; what is said then.

        Args:
            key: which.
            seconds: what its result says it took.
            more: what it took beside.
        """
        with self.at_work(key, seconds + more):
            pass
        run = self.run(key)
        finish(run.directory, run.config, run.config.fingerprint(), wall_seconds=seconds)
        return self.progress.look()

    def train(self, key: str, epochs: int) -> None:
        """The resume state that a run has after so many epochs."""
        header = json.dumps({"history": [{"epoch": float(n + 1)} for n in range(epochs)]})
        save_file({"x": np.zeros(1)}, self.run(key).directory.path / RESUME, metadata={"header": header})


@pytest.fixture
def making() -> Making:
    return Making()


def test_nothing_is_said_before_there_is_something_to_say(making: Making) -> None:
    assert making.progress.look() is None
    with making.at_work("supervised", 0):
        making.clock.now += 3600
        assert making.progress.look() is None


def test_runs_are_counted_and_the_rest_is_estimated_by_those_before(making: Making) -> None:
    # of each stage one: the average of all runs until a run of the stage is known
    assert making.finish("supervised", 60) == "1 of 7 runs finished, roughly 6 min left"
    assert making.finish("rotnet", 60) == "2 of 7 runs finished, roughly 5 min left"
    assert making.finish("random-conv", 120) == "3 of 7 runs finished, roughly 7 min left"
    assert making.finish("rotnet-conv", 120) == "4 of 7 runs finished, roughly 5 min left"
    assert making.finish("finetuned-conv", 180) == "5 of 7 runs finished, about 5 min left"
    assert making.finish("finetuned-nonlinear", 180) == "6 of 7 runs finished, about 2 min left"
    assert making.finish("rotnet-nonlinear", 120) == "7 of 7 runs finished"
    assert making.progress.look() is None


def test_what_a_run_takes_beside_its_training_counts(making: Making) -> None:
    assert making.finish("supervised", 60, more=60) == "1 of 7 runs finished, roughly 12 min left"


def test_runs_side_by_side_take_less_time() -> None:
    assert Making(side_by_side=2).finish("supervised", 60) == "1 of 7 runs finished, roughly 3 min left"


def test_a_run_at_work_is_estimated_by_its_own_pace(making: Making) -> None:
    making.finish("supervised", 60)
    making.finish("random-conv", 60)
    making.finish("finetuned-conv", 60)
    making.finish("rotnet-conv", 60)
    making.finish("rotnet-nonlinear", 60)
    making.finish("finetuned-nonlinear", 60)
    with making.at_work("rotnet", 0):
        making.train("rotnet", 1)
        making.progress.look()
        making.clock.now += 600
        making.train("rotnet", 2)
        assert making.progress.look() == "6 of 7 runs finished, about 20 min left"  # 2 of 4 epochs to go, 10 min each


def test_while_no_run_ends_it_is_said_once_a_minute(making: Making) -> None:
    making.finish("supervised", 600)
    with making.at_work("rotnet", 0):
        making.clock.now += 59
        assert making.progress.look() is None
        making.clock.now += 2
        assert str(making.progress.look()).startswith("1 of 7 runs finished, roughly ")
        assert making.progress.look() is None


def test_a_failed_run_and_what_builds_on_it_are_not_waited_for(making: Making) -> None:
    for key in ("supervised", "random-conv"):
        making.finish(key, 60)
    with making.at_work("rotnet", 30):
        pass
    notebook = nbformat.v4.new_notebook(metadata={"papermill": {"exception": True}})
    nbformat.write(notebook, making.run("rotnet").directory.path / NOTEBOOK)
    assert making.progress.look() == "2 of 7 runs finished, 1 failed"


def test_a_resume_state_that_is_damaged_is_no_obstacle(making: Making) -> None:
    making.finish("supervised", 60)
    with making.at_work("rotnet", 0):
        (making.run("rotnet").directory.path / RESUME).write_bytes(b"\xff")
        making.clock.now += 61
        assert "left" in str(making.progress.look())

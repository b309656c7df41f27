"""Stages in two ranks, through torchrun: what one process computes, whatever happens on the way."""

import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import torch
import yaml

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.runs.directory import HISTORY, METRICS, PARAMETERS, RESUME, RunDirectory, directory_of
from rotnet_lib.stages import child, launch
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.stages.probe import ProbeConfig, probe
from rotnet_lib.stages.train import Outcome
from rotnet_lib.training.checkpoints import load_tensors
from tests.training.weights import same_weights, weights

slow = pytest.mark.slow

EPOCHS = 12
SMALL = {
    "dataset": "shapes",
    "train_size": 40,
    "test_size": 20,
    "image_size": 16,
    "width": 0.05,
    "batch_size": 16,
    "device": "cpu",
    "lr": 0.001,  # rounding grows with the rate: at this one it stays small
}
TIMING = ["seconds", "inputs_per_second"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the runs of this file lie, with a cache of their own."""
    path = tmp_path_factory.mktemp("processes")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ROTNET_DATA", "ROTNET_CACHE"):
            patch.setenv(name, str(path / name))
        yield path


def configure(folder: Path, runs: str, **parameters: Any) -> PretrainConfig:
    return PretrainConfig.build(SMALL | {"arch": "nin3", "epochs": EPOCHS, "runs": str(folder / runs)} | parameters)


def directory(config: TrainingConfig) -> RunDirectory:
    return directory_of(config, config.fingerprint())


def assert_close(outcome: Outcome, expected: Outcome) -> None:
    """Same run, and up to rounding the same history, result and weights."""
    assert outcome.directory.name == expected.directory.name
    one, other = (pd.read_csv(made.directory.path / HISTORY).drop(columns=TIMING) for made in (outcome, expected))
    pd.testing.assert_frame_equal(one, other, check_dtype=False, rtol=1e-4)
    assert outcome.result.by_target == expected.result.by_target
    assert outcome.result.metrics == expected.result.metrics
    ours, theirs = weights(outcome.directory), weights(expected.directory)
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-3, atol=1e-3)


# --- Pretraining ---


@dataclass
class Pair:
    one: Outcome
    two: Outcome
    printed: str
    """By the two processes."""


@pytest.fixture(scope="module")
def pair(folder: Path) -> Pair:
    """The same run in one process and in two."""
    one = pretrain(configure(folder, "one"))
    with redirect_stdout(io.StringIO(newline="")) as printed:
        two = pretrain(configure(folder, "two", gpus=2, threads=2))
    for outcome in (one, two):
        outcome.save()
    return Pair(one, two, printed.getvalue())


@slow
def test_two_processes_train_what_one_does(pair: Pair) -> None:
    assert_close(pair.two, pair.one)


@slow
def test_they_leave_the_files_that_one_does(pair: Pair) -> None:
    ours, theirs = ({path.name for path in made.directory.path.iterdir()} for made in (pair.two, pair.one))
    assert ours == theirs
    assert METRICS in ours


@slow
def test_the_result_is_of_all_processes(pair: Pair) -> None:
    ours, theirs = pair.two.result, pair.one.result
    assert (theirs.environment.processes, ours.environment.processes) == (1, 2)
    assert ours.environment.threads == 1  # of the two that are shared
    assert ours.parameters == theirs.parameters | {"gpus": 2, "threads": 2, "runs": ours.parameters["runs"]}
    assert ours.training
    assert theirs.training
    assert ours.training.inputs == theirs.training.inputs == EPOCHS * 2 * 16 * 4
    assert ours.training.inputs_per_second == pytest.approx(pair.two.history["inputs_per_second"].median())
    assert ours.wall_seconds > ours.training.seconds
    pd.testing.assert_frame_equal(pair.two.history, pd.read_csv(pair.two.directory.path / HISTORY))


@slow
def test_one_bar_is_shown_and_nothing_of_the_machinery(pair: Pair) -> None:
    [line, end] = pair.printed.split("\n")
    assert end == ""
    frames = line.strip("\r").split("\r")
    assert len(frames) > 2
    assert "100%" in frames[-1]
    assert "1.54k/1.54k" in frames[-1]  # rotated images: 12 epochs of 2 batches of 16, of both processes


# --- Interrupted, killed, and gone on with ---


@dataclass
class Interrupted:
    interrupted: tuple[int, list[psutil.Process], str]
    """After Ctrl-C: the exit code, the processes that live on, the state of the run."""
    killed: tuple[int, list[psutil.Process], str]
    """After the next one, that went on with it, was killed: the same."""
    epochs: list[int]
    """Done after each of these."""
    finished: Outcome


@pytest.fixture(scope="module")
def interrupted(folder: Path, pair: Pair) -> Interrupted:
    """The run of `pair` in two processes, ended twice in the middle."""
    config = configure(folder, "interrupted", gpus=2)
    resume = directory(config).path / RESUME

    def done() -> int:
        while resume.exists():
            try:
                return len(load_tensors(resume)[1]["history"])
            except RotnetError:  # it was replaced between the header and the content
                time.sleep(0.01)
        return 0

    def train_until(epochs: int, stop: signal.Signals) -> tuple[int, list[psutil.Process], str]:
        # What a shell starts in the background ignores Ctrl-C, and so would this process if the tests were started so.
        code = (
            "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
            "import rotnet_lib.stages.pretrain as p; p.pretrain(p.PretrainConfig.model_validate_json(sys.argv[1]))"
        )
        process = subprocess.Popen([sys.executable, "-c", code, config.model_dump_json()], start_new_session=True)
        children: list[psutil.Process] = []
        try:
            deadline = time.monotonic() + 120
            while done() < epochs:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)
            children = psutil.Process(process.pid).children(recursive=True)
            assert len(children) == 3, children  # the agent and two ranks
            process.send_signal(stop)
            left = process.wait(timeout=30), psutil.wait_procs(children, timeout=15)[1], directory(config).state
        finally:
            for survivor in [*children, psutil.Process(process.pid)] if process.poll() is None else children:
                if survivor.is_running():
                    survivor.kill()
        epochs_done.append(done())
        return left

    epochs_done: list[int] = []
    first = train_until(1, signal.SIGINT)
    second = train_until(epochs_done[0] + 1, signal.SIGKILL)
    finished = pretrain(config)
    finished.save()
    return Interrupted(first, second, epochs_done, finished)


@slow
def test_an_interrupt_of_the_notebook_ends_the_processes(interrupted: Interrupted) -> None:
    code, survivors, state = interrupted.interrupted
    assert code in (-signal.SIGINT, 130)
    assert survivors == []
    assert state == "interrupted"


@slow
def test_they_end_with_a_notebook_that_is_killed(interrupted: Interrupted) -> None:
    code, survivors, state = interrupted.killed
    assert code == -signal.SIGKILL
    assert survivors == []
    assert state == "interrupted"


@slow
def test_the_run_goes_on_and_ends_as_one_that_was_not_interrupted(interrupted: Interrupted, pair: Pair) -> None:
    first, second = interrupted.epochs
    assert 1 <= first < second < EPOCHS
    assert same_weights(interrupted.finished.directory, pair.two.directory)
    ours, theirs = (made.history.drop(columns=TIMING) for made in (interrupted.finished, pair.two))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    assert len(list(interrupted.finished.directory.path.iterdir())) == len(list(pair.two.directory.path.iterdir()))


# --- Errors ---


@slow
def test_a_ranks_error_for_the_user_is_the_notebooks(folder: Path) -> None:
    config = configure(folder, "few", gpus=2, task="labels", labels_per_class=30)  # which a rank finds when it has the data
    with pytest.raises(RotnetError, match=r"^labels_per_class: 30 asked for, but class '[a-z]+' has \d images\. Take fewer"):
        pretrain(config)
    assert {path.name for path in directory(config).path.iterdir()} & {launch.OUTCOME, launch.FAILURE, launch.LOG} == set()


# --- Two nodes, which train another stage ---


@dataclass
class Nodes:
    one: Outcome
    """In one process."""
    two: Outcome
    """On two nodes, a rank on each; both are this machine."""
    exit_code: int
    """Of torchrun on the other node."""


@pytest.fixture(scope="module")
def nodes(folder: Path, pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Nodes:
    """A probe of a frozen backbone. The other node is started with the line that this one prints."""
    parameters = SMALL | {"backbone": str(pair.one.directory.path), "layer": "conv1,conv2", "epochs": 2}
    one = probe(ProbeConfig.build(parameters | {"runs": str(folder / "one node")}))
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port = found.getsockname()[1]
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    started: list[subprocess.Popen[bytes]] = []

    class Other(io.StringIO):
        """Starts the other node when it is told how."""

        def write(self, text: str) -> int:
            if "run: cd " in text:
                line = text.partition("run: ")[2].strip().replace("--node-rank=0", "--node-rank=1")
                line = line.replace("&& torchrun ", f"&& exec {sys.executable} -m torch.distributed.run ")
                environment = {name: value for name, value in os.environ.items() if name != "ROTNET_TORCHRUN"}
                started.append(subprocess.Popen(line, shell=True, env=environment, cwd=elsewhere))
            return super().write(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTNET_TORCHRUN", f"--nnodes=2 --master-addr=localhost --master-port={port} --node-rank=0")
        patch.chdir(folder)  # relative paths count from here, on the other node too
        try:
            with redirect_stdout(Other()):
                two = probe(ProbeConfig.build(parameters | {"runs": "two nodes"}))
            exit_code = started[0].wait(timeout=30)
        finally:
            for process in started:
                process.kill()
    return Nodes(one, two, exit_code)


@slow
def test_two_nodes_train_what_one_process_does(nodes: Nodes) -> None:
    assert nodes.exit_code == 0
    assert nodes.two.result.environment.processes == 2
    assert_close(nodes.two, nodes.one)


@slow
def test_ranks_leave_a_frozen_backbone_as_it_is(nodes: Nodes, pair: Pair) -> None:
    trained, frozen = weights(nodes.two.directory), weights(pair.one.directory)
    backbone = [name for name in trained if name.startswith("backbone.")]
    assert any(name.endswith("running_mean") for name in backbone)
    assert all(torch.equal(trained[name], frozen[name]) for name in backbone)
    assert any(name.endswith("running_mean") for name in trained if name.startswith("heads."))


# --- A rank, without the others ---


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., launch.Failure]:
    """Pretrains as rank 1 of 2, which fails before it meets rank 0; gives what it leaves."""
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)

    whole = PretrainConfig.build({}).model_dump(mode="json")

    def fail(**parameters: Any) -> launch.Failure:
        (tmp_path / PARAMETERS).write_text(yaml.safe_dump(whole | parameters))
        assert child.main("pretrain", tmp_path) == 1
        assert {path.name for path in tmp_path.glob("*failure*")} == {launch.FAILURE}
        return launch.Failure.model_validate_json((tmp_path / launch.FAILURE).read_text())

    return fail


def test_a_node_with_too_few_gpus(alone: Callable[..., launch.Failure], gpus: Callable[..., None]) -> None:
    gpus(1)
    failure = alone(**SMALL | {"device": "cuda", "gpus": 2})
    assert failure.for_user
    assert failure.message.startswith("gpus: 2 asked for, this machine has 1 ")


def test_an_error_of_another_kind_is_told_with_the_end_of_its_traceback(
    alone: Callable[..., launch.Failure], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOCAL_WORLD_SIZE")  # which no torchrun omits
    failure = alone(**SMALL)
    assert not failure.for_user
    assert failure.message.startswith("rank 1 of 2 failed:\nTraceback")
    assert failure.message.endswith("KeyError: 'LOCAL_WORLD_SIZE'")
    assert 'os.environ["LOCAL_WORLD_SIZE"]' in failure.message


def test_the_first_failure_counts(alone: Callable[..., launch.Failure], tmp_path: Path) -> None:
    first = launch.Failure(for_user=True, message="the first")
    (tmp_path / launch.FAILURE).write_text(first.model_dump_json())
    assert alone(epochz=3) == first

"""A training stage in several processes: torchrun, started by the notebook's process and ended with it."""

import codecs
import contextlib
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import psutil
import torch
from pydantic import BaseModel

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import write_text
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.runs.directory import RunDirectory, RunResult
from rotnet_lib.watchdog import identity, usable_cores

JOB, OUTCOME, FAILURE, LOG = "job.json", "outcome.json", "failure.json", "torchrun.log"
"""In the run's directory, while its processes train: what they are to do, the first one's result or the first failure, and
torchrun's own words, which stay after a failure that the user cannot put right."""

PARENT = "ROTNET_PARENT"
"""Environment variable: the `watchdog.identity` of the process that the workers end with."""

_TORCHRUN = "ROTNET_TORCHRUN"
"""Environment variable: torchrun's options for many nodes, in place of `--standalone`. With a static rendezvous
(`--master-addr`) the node of rank 0 has the first process; with `c10d` torchrun ignores `--node-rank` and chooses."""

_PATIENCE = 10.0
"""Seconds that torchrun has to end its workers before they are killed."""

_LOG_LINES = 15


class Job(BaseModel):
    """What a worker is to do.

    Attributes:
        stage: the stage's name.
        parameters: its whole effective config, plain values.
        folder: the working directory, from which relative paths in it count.
    """

    stage: str
    parameters: dict[str, object]
    folder: str


class Failure(BaseModel):
    """Why a worker could not go on.

    Attributes:
        process: its number.
        processes: how many train together.
        users: whether it is a RotnetError.
        message: the error's words, or the end of the traceback.
    """

    process: int
    processes: int
    users: bool
    message: str


def is_wanted(config: TrainingConfig) -> bool:
    """Whether a config, or the environment, asks for more than this process."""
    return config.gpus > 1 or _TORCHRUN in os.environ


def check_devices(config: TrainingConfig, processes: int) -> None:
    """Raises RotnetError if this machine has no GPU for each of so many processes, unless they train on the CPU."""
    if config.device != "cpu" and (here := torch.cuda.device_count()) < processes:
        raise RotnetError(
            f"gpus: {processes} asked for, this machine has {here or 'none that torch sees'} (`rotnet doctor` tells more). "
            f"Ask for fewer, or train with device=cpu: {processes} processes on its cores."
        )


def launch(directory: RunDirectory, config: TrainingConfig) -> RunResult:
    """Train in `config.gpus` processes on this machine, and show what the first one prints as it comes.

    They are the children of torchrun, in a process group of their own, and are gone when this returns, whatever happens; if
    this process is killed, they end by themselves. With the environment variable `ROTNET_TORCHRUN`, torchrun's options for
    many nodes, it also waits for other nodes, and prints what to run there.

    Args:
        directory: the run's, locked by this process. The first worker writes into it.
        config: the stage's.

    Returns:
        The first worker's result.

    Raises:
        RotnetError: a worker raised it.
        RuntimeError: a worker failed otherwise, with the end of its traceback.
    """
    folder = directory.path
    _clear(folder)
    job = Job(stage=config.stage, parameters=config.model_dump(mode="json"), folder=str(Path.cwd()))
    write_text(folder / JOB, job.model_dump_json(indent=1))
    options = os.environ.get(_TORCHRUN, "--standalone")
    words = [*shlex.split(options), "--nproc-per-node", str(config.gpus), "-m", "rotnet_lib.stages.child", str(folder / JOB)]
    if _TORCHRUN in os.environ:
        print(f"On each of the other nodes, with its own --node-rank, run: torchrun {shlex.join(words)}", flush=True)
    try:
        code = _run([sys.executable, "-m", "torch.distributed.run", *words], _environment(config.gpus), directory)
        if code:
            raise _failure(folder, code)
        result = RunResult.model_validate_json((folder / OUTCOME).read_text())
    except RuntimeError:
        _clear(folder, but=LOG)
        raise
    except BaseException:
        _clear(folder)
        raise
    _clear(folder)
    return result


def _environment(processes: int) -> dict[str, str]:
    """The children's environment: the machine's cores are shared out, unless the user has said how many threads."""
    threads = max(1, usable_cores() // processes)
    own = {"PYTHONUNBUFFERED": "1", PARENT: identity(os.getpid())}
    return {"OMP_NUM_THREADS": str(threads)} | os.environ | own


def _run(command: list[str], environment: dict[str, str], directory: RunDirectory) -> int:
    """Run torchrun to its end and return its exit code; neither it nor a worker is there afterwards."""
    with (
        (directory.path / LOG).open("w") as log,
        subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for this process alone: it ends the others in order
            pass_fds=(directory.lock,),  # the run stays locked until torchrun has ended, even if this process is killed
        ) as process,
    ):
        try:
            assert process.stdout is not None
            _show(process.stdout)
            return process.wait()
        finally:
            _end(process)


def _show(stream: IO[bytes]) -> None:
    """Copy a stream to stdout as it comes, the frames of progress bars too, until everyone has closed it."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    while chunk := os.read(stream.fileno(), 1 << 16):
        sys.stdout.write(decode(chunk))
        sys.stdout.flush()


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask torchrun to end with its workers, and kill what is left of them."""
    if process.poll() is not None:
        return  # its workers too: it waits for them, and if it was killed they have closed their output
    workers = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    finally:
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):  # it may end on its own meanwhile
                worker.kill()


def _failure(folder: Path, code: int) -> Exception:
    try:
        failure = Failure.model_validate_json((folder / FAILURE).read_text())
    except FileNotFoundError:  # none could say why: killed, for lack of memory perhaps
        words = "\n".join((folder / LOG).read_text(errors="replace").splitlines()[-_LOG_LINES:])
        return RuntimeError(f"torchrun ended with exit code {code}. The end of {folder / LOG}:\n{words}")
    if failure.users:
        return RotnetError(failure.message)
    return RuntimeError(
        f"process {failure.process} of {failure.processes} failed ({folder / LOG} has more):\n{failure.message}"
    )


def _clear(folder: Path, but: str = "") -> None:
    for name in {JOB, OUTCOME, FAILURE, LOG} - {but}:
        (folder / name).unlink(missing_ok=True)

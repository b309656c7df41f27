"""Training in several processes: this process starts torchrun, shows what rank 0 prints, and ends torchrun's processes.

torchrun's agent starts the ranks of this node, each of which is `stages.child`. The agent and the ranks tell this process
through files in the run's directory how they ended. `docs/design.md`, decision 14, says why the agent is a process of its own.
"""

import codecs
import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import psutil
from pydantic import BaseModel

from rotnet_lib.cores import usable_cores
from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.runs.schema import RunResult
from rotnet_lib.watchdog import process_token

OUTCOME, FAILURE, LOG = "outcome.json", "failure.json", "torchrun.log"
"""In the run's directory while its processes train: rank 0's `RunResult`, the first `Failure`, and the stderr of the agent and
the ranks. The log is kept after a failure that is no RotnetError."""

PARENT = "ROTNET_PARENT"
"""Environment variable: the `watchdog.process_token` of the process that called `launch`. The ranks end when it ends."""

TORCHRUN = (sys.executable, "-m", "torch.distributed.run")
"""The command torchrun, of the Python that runs this process."""

_OPTIONS = "ROTNET_TORCHRUN"
"""Environment variable: torchrun's options for many nodes, in place of `--standalone`. With a static rendezvous
(`--master-addr`) rank 0 is on the node of `--node-rank=0`; with `c10d` torchrun ignores `--node-rank` and chooses."""

_LOG_LINES = 15


class Failure(BaseModel):
    """Why a rank could not go on.

    Attributes:
        for_user: whether it raised a RotnetError.
        message: the RotnetError's text; for another error, the rank and the end of the traceback.
    """

    for_user: bool
    message: str


def is_wanted(config: TrainingConfig) -> bool:
    """Whether the config, or the environment variable for many nodes, asks for other processes than this one."""
    return config.gpus > 1 or _OPTIONS in os.environ


def launch(
    directory: RunDirectory, config: TrainingConfig, *, torchrun: Sequence[str] = TORCHRUN, patience: float = 10.0
) -> RunResult:
    """Train in `config.gpus` processes on this node, and show what rank 0 prints as it comes.

    When this returns or raises, KeyboardInterrupt included, all processes on this node have ended. If this process is killed,
    they end by themselves. With the environment variable `ROTNET_TORCHRUN` set to torchrun's options for many nodes, the
    command for the other nodes is printed, and training starts when they have joined. All nodes share the run's directory.

    Args:
        directory: the run's, opened by this process with this config. Rank 0 writes into it.
        config: the stage's.
        torchrun: the command that takes torchrun's arguments.
        patience: seconds that torchrun has to end the ranks before they are killed.

    Returns:
        The result of rank 0.

    Raises:
        RotnetError: the first rank that failed raised it.
        RuntimeError: the first rank that failed raised another error (the end of its traceback is in the message), or
            torchrun ended without a rank having said why.
    """
    folder = directory.path.absolute()
    options = shlex.split(os.environ.get(_OPTIONS, "--standalone"))
    arguments = [*options, "--nproc-per-node", str(config.gpus), "-m", "rotnet_lib.stages.child", config.stage, str(folder)]
    if _OPTIONS in os.environ:
        line = f"cd {shlex.quote(str(Path.cwd()))} && torchrun {shlex.join(arguments)}"
        print(f"On each of the other nodes, with its own --node-rank, run: {line}", flush=True)
    _remove(folder, OUTCOME, FAILURE)  # of an earlier process that was killed
    temporary = [OUTCOME, FAILURE, LOG]
    try:
        code = _run([*torchrun, *arguments], _environment(config.gpus), folder / LOG, directory.lock, patience)
        if code:
            raise _failure(folder, code)
        return RunResult.model_validate_json((folder / OUTCOME).read_text())
    except RuntimeError:
        temporary.remove(LOG)
        raise
    finally:
        _remove(folder, *temporary)


def _environment(processes: int) -> dict[str, str]:
    """The ranks' environment variables. They share this node's cores, unless the user has set the number of threads."""
    threads = max(1, usable_cores() // processes)
    own = {"PYTHONUNBUFFERED": "1", PARENT: process_token(os.getpid())}
    return {"OMP_NUM_THREADS": str(threads)} | os.environ | own


def _run(command: list[str], environment: dict[str, str], log: Path, lock: int, patience: float) -> int:
    """Run torchrun to its end and return its exit code; neither the agent nor a rank lives on afterwards."""
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,  # in a notebook sys.stdout is no file descriptor that a child could inherit
            stderr=stderr,
            bufsize=0,
            start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the others
            pass_fds=(lock,),  # the run stays locked until the agent has ended, even if this process is killed
        ) as agent,
    ):
        try:
            assert agent.stdout is not None
            _show(agent.stdout)
            return agent.wait()
        finally:
            _end(agent, patience)


def _show(stream: IO[bytes]) -> None:
    """Copy a stream to sys.stdout as it comes, progress bars included, until every process has closed its end."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    while chunk := os.read(stream.fileno(), 1 << 16):
        sys.stdout.write(decode(chunk))
        sys.stdout.flush()


def _end(agent: "subprocess.Popen[bytes]", patience: float) -> None:
    """Ask the agent to end itself and the ranks, and kill what is left of them."""
    if agent.poll() is not None:
        return  # the ranks too: the agent waits for them, and if it was killed they have closed their stdout
    # The ranks are in sessions of their own: no signal to the agent's process group would reach them.
    processes = [psutil.Process(agent.pid), *psutil.Process(agent.pid).children(recursive=True)]
    agent.terminate()
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):  # it is killed below
            agent.wait(patience)
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                process.kill()


def _failure(folder: Path, code: int) -> Exception:
    log = folder / LOG
    try:
        failure = Failure.model_validate_json((folder / FAILURE).read_text())
    except FileNotFoundError:  # no rank could say why: killed, for lack of memory perhaps
        end = "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
        return RuntimeError(f"torchrun ended with exit code {code}. The end of {log}:\n{end}")
    return RotnetError(failure.message) if failure.for_user else RuntimeError(f"{failure.message}\n({log} has more.)")


def _remove(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)

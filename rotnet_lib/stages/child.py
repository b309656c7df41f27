"""One of the processes that train a stage together: `torchrun ... -m rotnet_lib.stages.child RUN/job.json` (see `launch`)."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import write_text
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.launch import FAILURE, OUTCOME, PARENT, Failure, Job, check_devices
from rotnet_lib.watchdog import end_when, is_alive

_TRACEBACK_LINES = 20


def main(path: Path) -> None:
    """Do this process's part of the job in `path`; the first process leaves the result beside it.

    torchrun's environment variables say which part that is. A failure is left there too, by the process that fails first.
    """
    try:
        job = Job.model_validate_json(path.read_text())
        stage = STAGES[job.stage]
        os.chdir(job.folder)
        config = stage.config.build(job.parameters)
        assert isinstance(config, TrainingConfig)
        with process_group(config):
            outcome = stage.run(config)
        if os.environ["RANK"] == "0":
            write_text(path.parent / OUTCOME, outcome.result.model_dump_json())
    except Exception as error:
        _leave(error, path.parent / FAILURE)
        # At once: the others wait for this process in the middle of a step, and so would an orderly end.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


@contextmanager
def process_group(config: TrainingConfig) -> Iterator[None]:
    """The processes that torchrun started, joined: over NCCL with a GPU each, over gloo on the CPU.

    Raises RotnetError if this machine has fewer GPUs than processes.
    """
    check_devices(config, int(os.environ["LOCAL_WORLD_SIZE"]))
    if config.device == "cpu":
        dist.init_process_group("gloo")
    else:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", device_id=device)
    yield
    dist.destroy_process_group()


def _leave(error: Exception, path: Path) -> None:
    """Write why this process fails, unless another has already: what fails later fails for want of that one."""
    users = isinstance(error, RotnetError)
    end = traceback.format_exc().splitlines()[-_TRACEBACK_LINES:]
    failure = Failure(
        process=int(os.environ["RANK"]),
        processes=int(os.environ["WORLD_SIZE"]),
        users=users,
        message=str(error) if users else "\n".join(end),
    )
    own = path.with_suffix(f".{failure.process}")
    own.write_text(failure.model_dump_json())
    try:
        path.hardlink_to(own)
    except FileExistsError:
        pass
    finally:
        own.unlink()


def watch() -> None:
    """End this process when torchrun is gone, or whoever started it: nobody would stop it then."""
    agent, starter = os.getppid(), os.environ.get(PARENT)
    end_when(lambda: os.getppid() != agent or (starter is not None and not is_alive(starter)))


def speak_for_all() -> None:
    """One process prints, all of it to stdout; of the others only errors are kept, in torchrun's log."""
    if os.environ["RANK"] == "0":
        sys.stderr = sys.stdout
    else:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (as long as the process lives)


if __name__ == "__main__":
    watch()
    speak_for_all()
    main(Path(sys.argv[1]).resolve())

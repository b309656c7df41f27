"""One rank of a stage that several processes train: `torchrun ... -m rotnet_lib.stages.child STAGE RUN` (see `launch`).

Every rank calls the stage function. A rank trains on its share of each batch; only rank 0 writes the run's files and prints.
"""

import contextlib
import os
import sys
import tempfile
import traceback
from pathlib import Path

import torch.distributed as dist

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import write_text
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.launch import FAILURE, OUTCOME, PARENT, Failure
from rotnet_lib.training.devices import check_devices, rank_device
from rotnet_lib.watchdog import end_when, is_alive

_TRACEBACK_LINES = 20


def main(stage: str, folder: Path) -> int:
    """Carry out this rank's part of a run. torchrun's environment variables say which rank it is, and of how many.

    Args:
        stage: the stage's name.
        folder: the run's directory. Its `parameters.yaml` is the config; rank 0 leaves its result there, in `launch.OUTCOME`.

    Returns:
        The process's exit code. After an error it is 1, and the rank that failed first leaves the error in `launch.FAILURE`.
    """
    try:
        config = STAGES[stage].config.build(RunDirectory(folder).parameters())
        assert isinstance(config, TrainingConfig)
        join_process_group(config)
        result = STAGES[stage].run(config).result
        dist.destroy_process_group()
        if os.environ["RANK"] == "0":
            write_text(folder / OUTCOME, result.model_dump_json())
    except Exception as error:
        _leave(error, folder / FAILURE)
        return 1
    return 0


def join_process_group(config: TrainingConfig) -> None:
    """Join the process group of all ranks: over NCCL with a GPU for each rank, over gloo on the CPU.

    Raises RotnetError if this node has fewer GPUs than ranks.
    """
    check_devices(config.device, int(os.environ["LOCAL_WORLD_SIZE"]))
    device = rank_device(config.device)
    if device.type == "cpu":
        dist.init_process_group("gloo")
    else:
        dist.init_process_group("nccl", device_id=device)


def _leave(error: Exception, path: Path) -> None:
    """Write the failure to `path`, unless another rank has: what fails later fails because that rank is gone."""
    if isinstance(error, RotnetError):
        failure = Failure(for_user=True, message=str(error))
    else:
        end = "\n".join(traceback.format_exc().splitlines()[-_TRACEBACK_LINES:])
        failure = Failure(for_user=False, message=f"rank {os.environ['RANK']} of {os.environ['WORLD_SIZE']} failed:\n{end}")
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.") as file:
        file.write(failure.model_dump_json())
        file.flush()
        # Linking is atomic, on all nodes: the file appears whole, and only the first rank's link succeeds. Creating the file
        # and then writing could leave half a text, because torchrun ends this process once another rank has failed.
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)


def watch() -> None:
    """End this process when torchrun's agent has ended, or the process that started it: nobody would end this one then."""
    agent, starter = os.getppid(), os.environ.get(PARENT)
    end_when(lambda: os.getppid() != agent or (starter is not None and not is_alive(starter)))


def let_rank_0_print() -> None:
    """All that rank 0 prints goes to stdout, progress bars too. Of the other ranks only stderr is kept, in torchrun's log."""
    if os.environ["RANK"] == "0":
        sys.stderr = sys.stdout
    else:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (as long as the process lives)


if __name__ == "__main__":
    watch()
    let_rank_0_print()
    if code := main(sys.argv[1], Path(sys.argv[2])):
        # At once: the other ranks wait for this one in a collective, and an orderly exit would wait for them.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

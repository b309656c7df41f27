"""Which runs are RotNets, and the rotations that they were trained to predict."""

from collections.abc import Mapping
from typing import Any

from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext import TASKS
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.pretext.task import task_options
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.stages.backbone_config import UNTRAINED


def is_rotnet(parameters: Mapping[str, Any]) -> bool:
    """Whether a run with these parameters predicts rotations."""
    task = str(parameters.get("task"))
    return task in TASKS and issubclass(TASKS[task], Rotation)


def refuse_untrained(backbone: str | None) -> None:
    """Raises RotnetError for an untrained backbone."""
    if backbone in UNTRAINED:
        raise RotnetError("backbone: a random one has learned no rotations. Allowed: newest, or a run of task rotation.")


def rotation_of(run: RunDirectory, use: str) -> Rotation.Options:
    """The options of the rotation task that a run was trained on.

    Args:
        run: of any stage.
        use: for the message: what only a RotNet can do, such as "say which copies look upright".

    Raises RotnetError if the run was not trained to predict rotations.
    """
    made = run.parameters()
    task = made.get("task")
    options = task_options(task, made["task_options"]) if task else None
    if not isinstance(options, Rotation.Options):
        allowed = ", ".join(name for name in TASKS if issubclass(TASKS[name], Rotation))
        what = f"of task {task}" if task else "no pretext run"
        raise RotnetError(
            f"backbone: run {run.name} is {what}, and only one that predicts rotations can {use} (task {allowed})."
        )
    return options

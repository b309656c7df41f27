"""Which runs are RotNets, and what they were asked in training: for the stages that ask them again."""

from collections.abc import Mapping
from typing import Any

from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext import TASKS, Rotation
from rotnet_lib.pretext.task import task_options
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.stages.backbone_config import UNTRAINED


def is_rotnet(parameters: Mapping[str, Any]) -> bool:
    """Whether a run of these parameters predicts rotations."""
    task = str(parameters.get("task"))
    return task in TASKS and issubclass(TASKS[task], Rotation)


def refuse_untrained(backbone: str | None) -> None:
    """Raises RotnetError for a backbone that is no run."""
    if backbone in UNTRAINED:
        raise RotnetError("backbone: a random one has learned no rotations. Allowed: newest, or a run of task rotation.")


def rotation_of(run: RunDirectory, use: str, remedy: str = "") -> Rotation.Options:
    """The rotations that a run learned to tell apart.

    Args:
        run: of any stage.
        use: what a RotNet can, and another cannot: "be inspected".
        remedy: what to do with another.

    Raises RotnetError if it learned none.
    """
    made = run.parameters()
    task = made.get("task")
    options = task_options(task, made["task_options"]) if task else None
    if not isinstance(options, Rotation.Options):
        allowed = ", ".join(name for name in TASKS if issubclass(TASKS[name], Rotation))
        what = f"of task {task}" if task else "no pretext run"
        raise RotnetError(
            f"backbone: run {run.name} is {what}, and only one that predicts rotations can {use} (task {allowed}).{remedy}"
        )
    return options

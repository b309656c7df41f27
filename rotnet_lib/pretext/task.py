"""The register of pretext tasks, and what one is made from."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ValidationError

from rotnet_lib.errors import RotnetError, nearest
from rotnet_lib.registry import Registry
from rotnet_lib.runs.plain import check_no_bool
from rotnet_lib.training.task import Task

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.models.backbone import Backbone


class PretextTask(Task):
    """A `Task` made from a backbone, whose `module` is a `Network` on it.

    `Options` is the typed form of the notebook's `task_options`; `metric_names` are those of its steps (`Step.correct`).
    """

    Options: ClassVar[type[BaseModel]]
    metric_names: ClassVar[tuple[str, ...]]

    @abstractmethod
    def __init__(self, backbone: Backbone, data: Dataset, options: Any) -> None:
        """Put the task's head on a backbone. `options` is an instance of this class's `Options`."""


TASKS = Registry[type[PretextTask]]("pretext task")


def task_options(name: str, options: dict[str, Any]) -> BaseModel:
    """The options of the task of that name, typed and complete.

    Raises RotnetError for an unknown task, option or value: named, with what is allowed and the nearest match.
    """
    schema = TASKS[name].Options
    check_no_bool(schema, options, "task_options.")
    try:
        return schema.model_validate(options)
    except ValidationError as error:
        problem = error.errors()[0]
        word = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            allowed = ", ".join(schema.model_fields) or "none"
            hint = nearest(word, schema.model_fields)
            raise RotnetError(f"unknown task option '{word}' of {name}{hint} Allowed: {allowed}.") from None
        raise RotnetError(
            f"{'.'.join(filter(None, ['task_options', word]))}: {problem['msg'].removeprefix('Value error, ')}"
        ) from None


def make_task(name: str, backbone: Backbone, data: Dataset, options: dict[str, Any]) -> PretextTask:
    """The task of that name on a backbone. Raises RotnetError as `task_options` does."""
    return TASKS[name](backbone, data, task_options(name, options))

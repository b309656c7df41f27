"""The pretrain stage: a pretext task, or labels, from scratch."""

from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from rotnet_lib.config import EXPERIMENT, TrainingConfig
from rotnet_lib.data.dataset import Dataset
from rotnet_lib.models import ARCHS, Backbone, make_backbone
from rotnet_lib.pretext import TASKS, make_task
from rotnet_lib.pretext.task import task_options
from rotnet_lib.seeds import seeded
from rotnet_lib.stage import Outcome, train_stage
from rotnet_lib.training.task import Task


class PretrainConfig(TrainingConfig):
    """Pretraining on CIFAR-10 (docs/protocol.md, "CIFAR-10": the pretext run and the supervised NIN).

    SGD, batch 128 images (x4 rotated copies), Nesterov momentum 0.9, weight decay 5e-4, lr 0.1, x0.2 after epochs 30,
    60, 80 of 100; random crop 32 after padding by 4, flip. Reported: the last epoch on the test split.
    """

    stage: ClassVar[str] = "pretrain"

    task: str = Field("rotation", description="pretext task", json_schema_extra=EXPERIMENT)
    task_options: dict[str, Any] = Field(
        default_factory=dict,
        description="options of the task, such as {angles: [0, 180]}",
        json_schema_extra=EXPERIMENT,
    )
    arch: str = Field("nin4", description="backbone", json_schema_extra=EXPERIMENT)
    width: float = Field(1.0, gt=0, le=4, description="factor on the backbone's channels")

    @field_validator("task")
    @classmethod
    def _known_task(cls, task: str) -> str:
        TASKS[task]
        return task

    @field_validator("arch")
    @classmethod
    def _known_arch(cls, arch: str) -> str:
        ARCHS[arch]
        return arch

    @model_validator(mode="before")
    @classmethod
    def _complete_options(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The effective config holds every option, so that two spellings of one run have one name."""
        task, given = values.get("task", "rotation"), values.get("task_options") or {}
        if task not in TASKS or not isinstance(given, dict):
            return values  # the fields' own checks say what is wrong
        options = task_options(task, given)
        return values | {"task_options": options.model_dump(mode="json")}

    @property
    def slug(self) -> str:
        return f"{self.task}-{self.arch}"


def pretrain(config: PretrainConfig) -> Outcome:
    """Train a backbone on its task; see `train_stage`.

    The result's metrics are the task's (`rotation_top1` or `top1`, percent). Raises RotnetError as `train_stage` does.
    """

    def make(data: Dataset) -> tuple[Task, Backbone]:
        with seeded(config.seed, "weights"):
            backbone = make_backbone(config.arch, width=config.width, mean=data.mean, std=data.std)
            return make_task(config.task, backbone, data, config.task_options), backbone

    return train_stage(config, make)

"""The register of pretext tasks, and what one is made from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ValidationError

from rotnet_lib.errors import RotnetError, nearest
from rotnet_lib.models.inputs import RGB
from rotnet_lib.registry import Registry
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.runs.plain import check_no_bool
from rotnet_lib.training.task import Task

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.pretext.examples import Example
    from rotnet_lib.pretext.parts.pu import Plausibility
    from rotnet_lib.runs.protocols import Values
    from rotnet_lib.training.answers import Answers


class PretextTask(Task):
    """A `Task` made from a backbone, which its `module` holds as `backbone`: that is what probes load.

    It may cut the backbone after a layer (`Backbone.cut_after`), which is then the last that others can read.

    Attributes:
        Options: the typed form of the notebook's `task_options`.
        metrics: of its steps. A class declares names, units and directions, by which runs are planned; an instance may add
            what depends on the data, such as the chance level.
        protocol: benchmark -> the published values of parameters of the pretrain stage, where they differ from those of all
            stages (`runs.protocols`): epochs, schedule, augmentation.
        inputs: what its backbone's first convolution reads: a kind in `models.INPUTS` (see `inputs_of`).
        same_in_processes: options under which several processes compute what one does, where by default each draws numbers for
            its share of a batch (dropout); empty: they always do.
        archs: those that it can train; empty: any.
        in_colour: whether it learns from the images' own colours: grey or jittered images are refused.
        keeps_stride: whether others use its backbone with the stride of its option `stride` (`Backbone.keep_stem_stride`).
        weighable: whether copies of its images can be weighed by a `pu_weights` run.
        title: what pages call a network that is trained on it, such as `RotNet`; empty: by the task's name.
        paper: to be cited where the task was trained: a name among the `sources` of `report/published.yaml`; empty: none.
    """

    Options: ClassVar[type[BaseModel]]
    metrics: Mapping[str, Metric]
    protocol: ClassVar[Mapping[str, Values]] = MappingProxyType({})
    inputs: ClassVar[str] = RGB
    same_in_processes: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    archs: ClassVar[tuple[str, ...]] = ()
    in_colour: ClassVar[bool] = False
    keeps_stride: ClassVar[bool] = False
    weighable: ClassVar[bool] = False
    title: ClassVar[str] = ""
    paper: ClassVar[str] = ""

    @classmethod
    def inputs_of(cls, options: Any) -> str:
        """What the backbone's first convolution reads under `options`, an instance of `Options`: as a rule `inputs`."""
        return cls.inputs

    @abstractmethod
    def __init__(self, backbone: Backbone, data: Dataset, options: Any) -> None:
        """Put the task's head on a backbone. `options` is an instance of this class's `Options`."""

    def weigh_copies(self, plausibility: Plausibility, run: str, images: Mapping[str, Any]) -> None:
        """Let copies that pass for upright count less. Of tasks that are `weighable`.

        Args:
            plausibility: of the training images.
            run: that it is from, for errors.
            images: which the task is trained on (see `choice_of`).

        Raises RotnetError if it is of other images or copies.
        """
        raise NotImplementedError(f"{type(self).__name__} has no copies to weigh")

    def examples(self, batch: Batch) -> list[Example]:
        """What the network sees of each image of a test batch, and what it answers; [] for a task that has nothing to show.

        The module is in evaluation mode and no gradient is kept. What is drawn at random is drawn from `batch.rng`.
        """
        return []

    def charts(self) -> list[Example]:
        """What the task knows of its training images, or made on the way, as pictures; [] if nothing."""
        return []

    def answer_charts(self, answers: Mapping[str, Answers]) -> list[Example]:
        """Pictures of all answers on the test split, as `Trainer.gather_answers` returns them; [] for none but the usual."""
        return []


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

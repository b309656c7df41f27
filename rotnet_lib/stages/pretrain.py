"""The pretrain stage: a pretext task, or labels, from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from rotnet_lib.data.folds import Fold
from rotnet_lib.errors import RotnetError, unknown
from rotnet_lib.models import ARCHS
from rotnet_lib.paths import from_project
from rotnet_lib.pretext import TASKS, make_task
from rotnet_lib.pretext.task import task_options
from rotnet_lib.runs.config import Fraction, TrainingConfig
from rotnet_lib.runs.directory import PARAMETERS, PU, RunDirectory, all_runs, file_of, own_name
from rotnet_lib.runs.protocols import benchmark_of
from rotnet_lib.runs.resolution import NONE, WrongValue, naming
from rotnet_lib.runs.stage_config import EXPERIMENT, later, taking
from rotnet_lib.seeds import seeded
from rotnet_lib.stages.register import stage
from rotnet_lib.training.schedules import epochs_after

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.pretext.parts.pu import Plausibility
    from rotnet_lib.pretext.task import PretextTask
    from rotnet_lib.stages.train import Outcome


class PretrainConfig(TrainingConfig):
    """Pretraining (docs/protocol.md: the pretext runs and the supervised networks).

    SGD, Nesterov momentum 0.9, weight decay 5e-4.

    NIN, "CIFAR-10": batch 128 images (x4 rotated copies), lr 0.1, x0.2 after epochs 30, 60, 80 of 100; random crop 32 after
    padding by 4, flip. AlexNet, "ImageNet and Places205": batch 192 images (x4), lr 0.01, x0.1 after epochs 10 and 20 of 30;
    random resized crop 224, flip; task `decoupling`: lr 0.01, 0.001, 1e-4, 1e-5, 1e-4, 1e-5 up to epochs 90, 130, 190, 210,
    230, 245. Reported: the last epoch on the test split.
    """

    stage: ClassVar[str] = "pretrain"
    version: ClassVar[int] = 2  # the bank of rotation-instance starts empty

    task: str = Field("rotation", description="pretext task", json_schema_extra=EXPERIMENT)
    task_options: dict[str, Any] = Field(
        default_factory=dict,
        description="options of the task, such as {angles: [0, 180]}",
        json_schema_extra=EXPERIMENT,
    )
    arch: str = Field("nin4", description="architecture of the backbone", json_schema_extra=EXPERIMENT)
    width: float = Field(1.0, gt=0, le=4, description="factor on the backbone's channels")
    init: Literal["he", "torch"] = Field(
        "he",
        description="start of a NIN; he: N(0, sqrt(2/n)), gain 1; torch: as the authors', by torch 0.2",
        json_schema_extra=later("he"),
    )
    fold: str | None = Field(
        description="leave out this random part of the training images; 1/2: the first of two",
        json_schema_extra=EXPERIMENT | taking(NONE),
    )
    pu_weights: str | None = Field(
        min_length=1,
        description="pu_weights run that down-weights copies that look upright",
        json_schema_extra=EXPERIMENT | taking(NONE),
    )
    checkpoints: tuple[Fraction, ...] = Field(
        (0.2, 0.4, 0.6, 0.8), description="also keep weights after these fractions of the epochs"
    )

    @field_validator("task")
    @classmethod
    def _known_task(cls, task: str) -> str:
        with naming("task"):
            TASKS[task]
        return task

    @field_validator("arch")
    @classmethod
    def _known_arch(cls, arch: str) -> str:
        with naming("arch"):
            ARCHS[arch]
        return arch

    @field_validator("fold")
    @classmethod
    def _a_part(cls, fold: str | None) -> str | None:
        return None if fold is None else str(Fold.parse(fold))

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Fill in all task options and replace run paths by run names, so that equivalent inputs give the same directory."""
        if isinstance(values.get("pu_weights"), str):
            values = values | {"pu_weights": own_name(values["pu_weights"], values.get("runs", "runs"))}
        task, given = values.get("task", "rotation"), values.get("task_options") or {}
        if task not in TASKS or not isinstance(given, dict):
            return values  # the fields' own checks report the error
        with naming("task_options"):
            options = task_options(task, given)
        return values | {"task_options": options.model_dump(mode="json")}

    @model_validator(mode="after")
    def _one_choice_of_images(self) -> Self:
        chosen = [name for name in ("labels_per_class", "fold", "pu_weights") if getattr(self, name) is not None]
        if len(chosen) > 1:
            raise ValueError(
                f"{chosen[0]}: not together with {chosen[1]}. Each says which training images a run sees (with pu_weights: all "
                "those that the weights are of); keep one of them"
            )
        return self

    @model_validator(mode="after")
    def _known_start(self) -> Self:
        if self.init != "he" and self.init not in ARCHS[self.arch].starts:
            able = ", ".join(name for name in ARCHS if self.init in ARCHS[name].starts)
            raise ValueError(f"init: {self.arch} has one start, its own; leave it out. Archs that start otherwise: {able}")
        return self

    @model_validator(mode="after")
    def _able_arch(self) -> Self:
        able = TASKS[self.task].archs
        if able and self.arch not in able:
            raise ValueError(f"arch: task '{self.task}' cannot train {self.arch}. Take one of: {', '.join(able)}")
        return self

    @model_validator(mode="after")
    def _in_colour(self) -> Self:
        if TASKS[self.task].in_colour:
            for field, what in (("grey", "grey images have none"), ("colour_jitter", "jitter makes them wrong")):
                if getattr(self, field):
                    raise ValueError(
                        f"{field}: task '{self.task}' learns from the images' own colours, and {what}. Leave it out"
                    )
        return self

    @model_validator(mode="after")
    def _weighable(self) -> Self:
        if self.pu_weights and not TASKS[self.task].weighable:
            able = ", ".join(name for name in TASKS if TASKS[name].weighable)
            raise ValueError(f"pu_weights: task '{self.task}' has no rotated copies to weigh. Tasks that have: {able}")
        return self

    @classmethod
    def protocol_for(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        common, task = super().protocol_for(values), str(values["task"])
        if task not in TASKS:
            return common  # which the field reports
        own, benchmark = TASKS[task].protocol, benchmark_of(values["arch"])
        if benchmark not in own:
            raise WrongValue(
                "task",
                f"{cls.stage}: task: {task} has no schedule for {benchmark}, the benchmark of {values['arch']}. It has: "
                f"{', '.join(own) or 'none'}. Add one to its `protocol`, or take another arch.",
            )
        return common | dict(own[benchmark])

    @classmethod
    def protocol_origin(cls, values: Mapping[str, Any]) -> str:
        return super().protocol_origin(values) + (f".{values['task']}" if "arch" in values else "")

    def trained_images(self, train: int) -> int:
        return len(Fold.parse(self.fold).without(train)) if self.fold else train

    @property
    def metric_names(self) -> tuple[str, ...]:
        return tuple(TASKS[self.task].metrics)

    @property
    def slug(self) -> str:
        """`rotation-nin4`, followed by what is not the task's default: `-angles-0-180`, `-grey`."""
        usual = task_options(self.task, {}).model_dump(mode="json")
        extras = [f"{name} {_brief(value)}" for name, value in self.task_options.items() if value != usual[name]]
        extras += [f"init {self.init}"] if self.init != "he" else []
        extras += ["weighted"] if self.pu_weights else []
        extras += ["grey"] if self.grey else []
        extras += [f"jitter {self.colour_jitter:g}"] if self.colour_jitter else []
        extras += [f"{self.labels_per_class} labels"] if self.labels_per_class else []
        extras += [f"fold {self.fold}"] if self.fold else []
        return "-".join([self.task, self.arch, *extras])


def _brief(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_brief, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def pretext_task(config: PretrainConfig, data: Dataset) -> tuple[PretextTask, Backbone]:
    """The task of a config, and its freshly initialised backbone.

    Raises RotnetError if the run of `pu_weights` does not exist, or was made for other images or angles.
    """
    from rotnet_lib.models.backbone import make_backbone

    with seeded(config.seed, "weights"):
        inputs = TASKS[config.task].inputs_of(task_options(config.task, config.task_options))
        backbone = make_backbone(config.arch, width=config.width, mean=data.mean, std=data.std, inputs=inputs)
        if config.init != "he":
            ARCHS[config.arch].starts[config.init](backbone)
        task = make_task(config.task, backbone, data, config.task_options)
    if config.pu_weights:
        from rotnet_lib.pretext.parts.pu import choice_of

        images = choice_of(config.data, data)
        task.weigh_copies(_plausibility(config.pu_weights, config), config.pu_weights, images)
    return task, backbone


def _plausibility(run: str, config: PretrainConfig) -> Plausibility:
    from rotnet_lib.pretext.parts.pu import Plausibility

    path = file_of(run, config.runs, PU)
    directory = RunDirectory(path.parent)
    if path.name == PU and not path.exists() and (directory.path / PARAMETERS).exists() and not directory.finished:
        raise RotnetError(
            f"pu_weights: run {run} is not finished: it has no {PU} yet. If it is a pu_weights run, finish it: "
            "`rotnet run pu_weights` with its parameters."
        )
    if not path.is_file():
        made = [other.name for other in all_runs(from_project(config.runs)) if (other.path / PU).exists()]
        raise RotnetError(f"{unknown('pu_weights run', run, made)} One is made from a RotNet: `rotnet run pu_weights`.")
    return Plausibility.load(path)


@stage(PretrainConfig)
def pretrain(config: PretrainConfig) -> Outcome:
    """Train a backbone on its task; see `train_stage`.

    The result's metrics are the task's (`rotation_top1` or `top1`, percent). Raises RotnetError as `train_stage` and
    `pretext_task` do.
    """
    from rotnet_lib.stages.train import train_stage

    kept = {epochs_after(share, config.epochs) for share in config.checkpoints}
    return train_stage(
        config,
        lambda data: pretext_task(config, data),
        checkpoint_epochs=kept - {config.epochs},  # the weights after the last epoch are the run's own
        fold=Fold.parse(config.fold) if config.fold else None,
    )

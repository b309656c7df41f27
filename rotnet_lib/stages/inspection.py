"""The inspect stage: attention maps, first-layer filters and examples of a pretext run; the mistakes of a RotNet."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from rotnet_lib.errors import RotnetError, unknown
from rotnet_lib.lazy import torch
from rotnet_lib.paths import from_project
from rotnet_lib.pretext import TASKS
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.runs.directory import MODEL, RunDirectory, all_runs, checkpoint_name, checkpoint_of, open_run, own_name
from rotnet_lib.runs.resolution import NONE, Upstream
from rotnet_lib.runs.result import StageResult, build_result
from rotnet_lib.runs.schema import MetricValue
from rotnet_lib.runs.stage_config import EXPERIMENT, taking
from rotnet_lib.stages.backbone_config import NEWEST, UNTRAINED
from rotnet_lib.stages.layers_config import LayersConfig
from rotnet_lib.stages.register import stage
from rotnet_lib.stages.trained_task import load_task

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.split import Split
    from rotnet_lib.data.stream import StreamedSplit
    from rotnet_lib.evaluation.looks import Look, Mistake, Picture
    from rotnet_lib.evaluation.rotation_answers import RotationAnswers
    from rotnet_lib.pretext.examples import Example
    from rotnet_lib.pretext.task import PretextTask


class InspectConfig(LayersConfig):
    """Attention maps, first-layer filters, examples of a pretext run; mistakes of a RotNet (docs/protocol.md, "CIFAR-10").

    Attention: A(i,j) = sum over channels of |feature|^power, upsampled over the image. Filters: the conv1 kernels with their
    batch norm folded in. Examples: what the network saw of the chosen images, and what it answered. Mistakes: of all K rotated
    copies of every test image, at the angles of the backbone's run.
    """

    stage: ClassVar[str] = "inspect"
    takes_random: ClassVar[bool] = False

    backbone: str = Field(
        NEWEST,
        description="name or path of a pretrain run; newest: the newest of a pretext task",
        json_schema_extra=EXPERIMENT,
    )
    compare: str | None = Field(
        description="name or path of another run to show beside it, such as a supervised one",
        json_schema_extra=EXPERIMENT | taking(NONE),
    )
    images: tuple[int, ...] = Field(
        tuple(range(8)),
        min_length=1,
        max_length=32,
        description="test images shown with attention maps and examples, counted from 0",
        json_schema_extra=EXPERIMENT,
    )
    power: Literal[1, 2, 4] = Field(2, description="exponent of the features in an attention map", json_schema_extra=EXPERIMENT)
    shown: int = Field(
        12,
        ge=1,
        le=60,
        description="number of mistakes and of ambiguous images to show (RotNet only)",
        json_schema_extra=EXPERIMENT,
    )

    @classmethod
    def find_upstream(cls, given: dict[str, Any], planned: Mapping[str, Mapping[str, Any]]) -> Upstream | None:
        if given.get("backbone") in UNTRAINED:
            raise RotnetError("backbone: a random one has learned no task. Allowed: newest, or a pretrain run.")
        if isinstance(given.get("compare"), str):
            given["compare"] = own_name(given["compare"], given.get("runs", "runs"))
        return super().find_upstream(given, planned)

    @field_validator("images", mode="before")
    @classmethod
    def _numbers(cls, images: Any) -> Any:
        if isinstance(images, str):
            return tuple(part.strip() for part in images.split(","))
        return (images,) if isinstance(images, int) else images

    @field_validator("images")
    @classmethod
    def _distinct(cls, images: tuple[int, ...]) -> tuple[int, ...]:
        if min(images) < 0:
            raise ValueError(f"{min(images)} is no index: the first test image is 0")
        repeated = [index for position, index in enumerate(images) if index in images[:position]]
        if repeated:
            raise ValueError(f"{repeated[0]} occurs twice in {list(images)}")
        return images

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Those of all tasks that mean something on the test split: the run, which has one of them, may be still to come."""
        tested = [name for task in TASKS for name, metric in TASKS[task].metrics.items() if metric.tested]
        return (*dict.fromkeys(tested), *(("compare_top1",) if self.compare else ()))

    @property
    def slug(self) -> str:
        return f"inspect-{self.arch}" + (f"-at-{self.checkpoint:g}" if self.checkpoint else "")


@dataclass(frozen=True)
class Rotations:
    """What a RotNet answered.

    Attributes:
        answers: on the whole test split.
        mistakes: the most confident wrong answers.
        ambiguous: images whose orientation is hardest to tell, upright, with the mean loss over their copies in nats.
    """

    answers: RotationAnswers
    mistakes: list[Mistake]
    ambiguous: list[tuple[Picture, float]]


@dataclass(frozen=True)
class Inspection(StageResult):
    """The stage's result, with what the notebook draws. That is not stored.

    Attributes:
        layers: those shown, whether both networks have them or one.
        power: of the features in the attention maps.
        pictures: the I chosen test images.
        looks: of the backbone, and of the run of `compare` if there is one.
        examples: of the backbone's run, of the chosen images; empty if its task shows none.
        rotations: of the backbone's run; None if it predicts no rotations.
    """

    layers: tuple[str, ...]
    power: int
    pictures: list[Picture]
    looks: list[Look]
    examples: list[Example]
    rotations: Rotations | None


@stage(InspectConfig)
def inspect_backbone(config: InspectConfig) -> Inspection:
    """Inspect the backbone's run, and show that of `compare` beside it.

    Metrics on the test split: those of the backbone's run that mean something there, for a RotNet `rotation_top1` over all K
    copies; `compare_top1`, the class accuracy of `compare` in percent if that is a supervised run on the same dataset.

    Figures and examples are of the task as it was trained, attention and filters of the backbone that others build on (see
    `Task.finish`). A finished run is computed again for its pictures, but not written.

    Raises:
        RotnetError: the backbone's run is no pretrain run; the run of `compare` does not exist; an index of `images` is too
            large; and as `load_dataset`, `load_task` and `RunDirectory.open` do.
    """
    from rotnet_lib.evaluation.looks import class_accuracy, look, picture_of, taps_with_maps
    from rotnet_lib.evaluation.task_figures import examples_of, figures_of
    from rotnet_lib.stages.train import gather_data_record, load_data
    from rotnet_lib.training.checkpoints import load_backbone, load_network
    from rotnet_lib.training.devices import select_device

    begin = time.perf_counter()
    run = RunDirectory(checkpoint_of(config.backbone, config.runs).parent)
    if "task" not in run.parameters():
        raise RotnetError(
            f"backbone: run {run.name} is no pretext run, and only one can be inspected. Its attention can be shown beside "
            f"such a one: -p compare {run.name}."
        )
    beside = _compared(config)
    data = load_data(config)
    _check_images(config.images, data)
    backbone = config.make_backbone(data)
    weights = config.weights_file()
    task, _ = load_task(weights, data)
    other = load_backbone(beside) if beside else None
    directory = open_run(config)
    device = select_device(config)
    test = data.test.to(device)
    for module in (backbone, task.module, *task.references):
        module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    rotations = _rotations(task, test, data, config.shown) if isinstance(task, Rotation) else None
    chosen = test.read(config.images)
    everything = config.layer == ("all",)
    layers = taps_with_maps(backbone, data.image_size) if everything else config.layers
    looks = [look(_title(weights), backbone, layers, chosen, config.power, task=_task_of(weights))]
    figures = _rotation_figures(task, rotations.answers) if rotations else figures_of(task, test)
    metrics = {name: _of_weights(figure, weights) for name, figure in figures.items()}
    if beside and other:
        layers = tuple(dict.fromkeys((*layers, *(taps_with_maps(other, data.image_size) if everything else ()))))
        other.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        both = [layer for layer in layers if layer in other.taps]
        looks.append(look(_title(beside), other, both, chosen, config.power, task=_task_of(beside)))
        made = RunDirectory(beside.parent).parameters()
        shown = (config.dataset, config.image_size, config.grey)
        if made.get("task") == "labels" and (made["dataset"], made["image_size"], made.get("grey", False)) == shown:
            supervised = load_network(beside, data.image_size).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            accuracy, seen = class_accuracy(supervised, test)
            figure = MetricValue(last=accuracy, chance=100 / len(data.classes), images=seen)
            metrics["compare_top1"] = _of_weights(figure, beside)
    result = build_result(
        directory,
        config,
        data=gather_data_record(data, data.train),
        metrics=metrics,
        by_target={"rotation_top1": rotations.answers.by_rotation} if rotations else {},
        training=None,
        device=device,
        begin=begin,
    )
    return Inspection(
        directory,
        directory.result() if directory.finished else result,
        layers,
        config.power,
        [picture_of(data, index) for index in config.images],
        looks,
        examples_of(task, test, config.images, config.seed),
        rotations,
    )


def _rotations(task: Rotation, test: Split | StreamedSplit, data: Dataset, shown: int) -> Rotations:
    """What a RotNet answers for all copies of the test split, and `shown` mistakes and ambiguous images."""
    from rotnet_lib.evaluation.looks import picture_of, pictured_mistakes
    from rotnet_lib.evaluation.rotation_answers import answer_rotations

    answers = answer_rotations(task.module, test, task.angles, task.options.crop_for)
    ambiguous = [(picture_of(data, answers.place(index)), loss) for index, loss in answers.ambiguous(shown)]
    return Rotations(answers, pictured_mistakes(answers, data, task.options, shown), ambiguous)


def _compared(config: InspectConfig) -> Path | None:
    """The file with the weights of the run to compare with; None if there is none."""
    if config.compare is None:
        return None
    weights = checkpoint_of(config.compare, config.runs)
    if not weights.parent.is_dir() or weights.parent == from_project("."):
        runs = (run.name for run in all_runs(from_project(config.runs)) if (run.path / MODEL).exists())
        raise unknown("run to compare with,", config.compare, runs)
    return weights


def _check_images(images: Sequence[int], data: Dataset) -> None:
    count, kind = len(data.test), "held-out training image" if data.validation else "test image"
    if max(images) >= count:
        raise RotnetError(
            f"images: there is no {kind} {max(images)}; {data.name} has {count} {kind}s here. Allowed: 0 to {count - 1}."
        )


def _rotation_figures(task: PretextTask, answers: RotationAnswers) -> dict[str, MetricValue]:
    """As `figures_of`, from what a RotNet answered."""
    figure = MetricValue(last=answers.accuracy, chance=task.metrics["rotation_top1"].chance)
    return {"rotation_top1": figure.of_images(answers.images, dict.fromkeys(answers.by_rotation, answers.images))}


def _of_weights(figure: MetricValue, weights: Path) -> MetricValue:
    """A figure of one set of weights. No epoch was chosen, so the best epoch is the one of these weights."""
    return figure.model_copy(update={"best": figure.last, "best_epoch": _epoch_of(weights)[0]})


def _title(weights: Path) -> str:
    """The name of the run that a weights file is of, and the epoch if that is not the last."""
    epoch, epochs = _epoch_of(weights)
    return weights.parent.name + (f" after epoch {epoch}" if epoch < epochs else "")


def _task_of(weights: Path) -> str:
    """The task of the run that a weights file is of; empty where it is no pretrain run."""
    return str(RunDirectory(weights.parent).parameters().get("task", ""))


def _epoch_of(weights: Path) -> tuple[int, int]:
    """The epoch of its run after which a weights file was written, and how many epochs the run has."""
    epochs = int(RunDirectory(weights.parent).parameters()["epochs"])
    kept = {checkpoint_name(epoch): epoch for epoch in range(1, epochs)}
    return kept.get(weights.name, epochs), epochs

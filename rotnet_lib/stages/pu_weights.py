"""The pu_weights stage: the probability that each rotated training image is upright, by RotNets trained without it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext.parts.angles import upright_label
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.runs.directory import PARAMETERS, PU, RunDirectory, checkpoint_of, open_run, own_name
from rotnet_lib.runs.resolution import FOUND, Upstream
from rotnet_lib.runs.result import StageResult, build_result
from rotnet_lib.runs.schema import MetricValue
from rotnet_lib.runs.stage_config import EXPERIMENT, taking
from rotnet_lib.stages.backbone_config import NEWEST, ImageBackboneConfig
from rotnet_lib.stages.fold_runs import check_others, check_same_training, other_folds
from rotnet_lib.stages.register import stage
from rotnet_lib.stages.rotnets import is_rotnet, refuse_untrained, rotation_of

if TYPE_CHECKING:
    import numpy as np

    from rotnet_lib.evaluation.rotation_answers import RotationAnswers
    from rotnet_lib.evaluation.upright import PlausibleCopy
    from rotnet_lib.pretext.parts.pu import Plausibility


class PuWeightsConfig(ImageBackboneConfig):
    """The probabilities that positive-unlabelled weights are made of (docs/protocol.md, "Rotation Feature Decoupling").

    p of a rotated copy is the probability that a RotNet gives to the answer "upright". A network remembers the copies that it
    was trained on, so each image is scored by its out-of-fold network: there are K RotNets, each trained without one of K
    folds of the training images (`fold` of the pretrain notebook). A RotNet whose run left out no fold scores all images.
    """

    stage: ClassVar[str] = "pu_weights"
    takes_random: ClassVar[bool] = False

    backbone: str = Field(
        NEWEST,
        description="name or path of a RotNet run (with folds: of one of them); newest: the newest RotNet",
        json_schema_extra=EXPERIMENT,
    )
    others: tuple[str, ...] | None = Field(
        min_length=1,
        description="runs that left out the other folds; found: looked up by their parameters",
        json_schema_extra=EXPERIMENT | taking(FOUND),
    )
    shown: int = Field(
        18, ge=1, le=60, description="number of most plausible rotated copies to show", json_schema_extra=EXPERIMENT
    )

    @classmethod
    def find_upstream(cls, given: dict[str, Any], planned: Mapping[str, Mapping[str, Any]]) -> Upstream | None:
        refuse_untrained(given.get("backbone"))
        return super().find_upstream(given, planned)

    @classmethod
    def completed(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The runs of the other folds, where none are named and the backbone's run exists."""
        run = RunDirectory(checkpoint_of(values["backbone"], values["runs"]).parent)
        if values["others"] is not None or not (run.path / PARAMETERS).exists():
            return values  # a suite names runs that do not exist yet
        _rotations_of(run)  # first: no use in asking for the other folds of a run that is refused
        return values | {"others": None if (others := other_folds(run)) is None else [str(path) for path in others]}

    @classmethod
    def fits(cls, parameters: Mapping[str, Any]) -> bool:
        return is_rotnet(parameters)

    @classmethod
    def needs(cls, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        return ()

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Sort the other runs and replace paths by names, so that equivalent inputs give the same directory."""
        others = values.get("others")
        if isinstance(others, str):
            others = [part.strip() for part in others.split(",")]
        if isinstance(others, list | tuple) and all(isinstance(other, str) for other in others):
            others = tuple(sorted(own_name(other, values.get("runs", "runs")) for other in others))
        return values | {"others": others}

    @property
    def metric_names(self) -> tuple[str, ...]:
        return ("plausible", "upright", "rotation_top1")

    @property
    def slug(self) -> str:
        folds = f"-{len(self.others) + 1}-folds" if self.others else ""
        return f"pu-{self.arch}{folds}" + (f"-at-{self.checkpoint:g}" if self.checkpoint else "")


@dataclass(frozen=True)
class PuOutcome(StageResult):
    """The stage's result, with what the notebook draws.

    Attributes:
        plausibility: the probabilities, which the run's directory holds already.
        copies: the most plausible of the rotated copies, the most plausible first.
        note: a sentence that says which RotNets scored the images.
    """

    plausibility: Plausibility
    copies: list[PlausibleCopy]
    note: str

    @property
    def rotated(self) -> dict[float, np.ndarray]:
        """Angle in degrees -> (n,) float32, p of the copies rotated by it, of the n images that could be read."""
        known = self.plausibility.p[self.plausibility.known]
        return {self.plausibility.angles[label]: known[:, label].numpy() for label in self.plausibility.rotated}

    @property
    def meaning(self) -> str:
        """What the figures count, in a sentence."""
        copies, images = sum(map(len, self.rotated.values())), int(self.plausibility.known.sum())
        return (
            f"p is the probability of being upright. A copy looks upright if its p is above 0.5; share and mean are of the "
            f"{copies:,} rotated copies of {images:,} images. Rotation accuracy counts the upright copies too."
        )


@stage(PuWeightsConfig)
def weigh_copies(config: PuWeightsConfig) -> PuOutcome:
    """Compute with RotNets the probability that each rotated copy of each training image is upright.

    It is written to `pu.safetensors` (see `Plausibility`), which pretrain runs read (`pu_weights`). Metrics, percent, on the
    training images: `plausible`, the share of the rotated copies whose p is above 0.5; `upright`, their mean p;
    `rotation_top1`, over all K copies. A finished run is read, not computed again.

    Raises:
        RotnetError: the backbone's run has no rotation task, or one without the upright copy; the runs of the folds are not the
            same training, or saw other images; and as `load_dataset`, `load_network` and `RunDirectory.open` do.
    """
    from rotnet_lib.evaluation.out_of_fold import out_of_fold_scorers
    from rotnet_lib.evaluation.upright import (
        answers_of_scorers,
        mean_by_class,
        most_plausible,
        plausibility_of,
        upright_percent,
    )
    from rotnet_lib.pretext.parts.pu import Plausibility, choice_of
    from rotnet_lib.stages.train import gather_data_record, load_data
    from rotnet_lib.training.devices import select_device

    begin = time.perf_counter()
    run = RunDirectory(checkpoint_of(config.backbone, config.runs).parent)
    rotation, upright = _rotations_of(run)
    check_others(config.others or (), config.runs)
    data = load_data(config)
    config.make_backbone(data)  # raises if the weights are of another arch than asked for
    files = [config.model_copy(update={"backbone": name}).weights_file() for name in (config.backbone, *(config.others or ()))]
    check_same_training([RunDirectory(file.parent) for file in files])
    scorers, note = out_of_fold_scorers(files, config, data)
    directory = open_run(config)
    if directory.finished:
        result, plausibility = directory.result(), Plausibility.load(directory.path / PU)
    else:
        device = select_device(config)
        answers, damaged = answers_of_scorers(scorers, data, rotation, device)
        plausibility = plausibility_of(answers, upright, choice_of(config.data, data), len(data.train))
        plausibility.save(directory.path / PU, run=directory.name)
        by_class = mean_by_class(plausibility, data.train.labels, data.classes)
        seen = gather_data_record(data, data.train)
        result = build_result(
            directory,
            config,
            data=seen.model_copy(update={"damaged": sorted({*seen.damaged, *damaged})}),
            metrics=_metrics(answers, upright_percent(plausibility), rotation, unseen=len(scorers) > 1),
            by_target={"rotation_top1": answers.by_rotation, "upright": by_class},
            training=None,
            device=device,
            begin=begin,
        )
    copies = most_plausible(plausibility, data, rotation, config.shown)
    return PuOutcome(directory, result, plausibility, copies, note)


def _metrics(
    answers: RotationAnswers, percents: Mapping[str, float], rotation: Rotation.Options, *, unseen: bool
) -> dict[str, MetricValue]:
    """The stage's metrics, the headline first; that of right answers says of how many images, if they are `unseen`."""
    right = MetricValue(last=answers.accuracy, chance=100 / len(rotation.angles))
    if unseen:
        right = right.of_images(answers.images, dict.fromkeys(answers.by_rotation, answers.images))
    shares = {name: MetricValue(last=percents[name]) for name in ("plausible", "upright")}
    return {**shares, "rotation_top1": right}


def _rotations_of(run: RunDirectory) -> tuple[Rotation.Options, int]:
    """The rotations that a run learned, and the label of the upright one. Raises RotnetError if there is none."""
    rotation = rotation_of(run, "say which copies look upright")
    upright = upright_label(rotation.angles)
    if upright is None:
        raise RotnetError(
            f"backbone: run {run.name} never saw an upright copy (its angles are {list(rotation.angles)}), so it cannot say "
            "what passes for one. Take a RotNet whose angles have 0."
        )
    return rotation, upright

"""The frame of the three VOC stages: directory, data, preparation, training, predictions, result."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd
import torch
from torchvision.transforms.v2.functional import center_crop, resize

from rotnet_lib.data.source import IMAGENET_STATISTICS
from rotnet_lib.data.voc.sets import VocSet
from rotnet_lib.data.voc.split import VocSplit
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import read_text, replacing, write_text
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.runs import provenance
from rotnet_lib.runs.directory import HISTORY, MODEL, PARAMETERS, RESUME, RunDirectory, checkpoint_of, open_run
from rotnet_lib.runs.history import history_of
from rotnet_lib.runs.result import StageResult, build_result
from rotnet_lib.runs.schema import DataRecord, MetricValue, TrainingRecord
from rotnet_lib.seeds import generator
from rotnet_lib.stages.backbone_config import UNTRAINED
from rotnet_lib.training.checkpoints import save_tensors
from rotnet_lib.training.devices import select_device
from rotnet_lib.training.resume import ResumeState
from rotnet_lib.voc.config import VocConfig
from rotnet_lib.voc.loop import fit
from rotnet_lib.voc.preparation import PreparationRecord, prepare
from rotnet_lib.voc.task import Evaluation, VocTask

PREPARATION = "preparation.json"
"""In the run's directory: how the backbone was prepared (`PreparationRecord`)."""

_PREPARING_IMAGES = 64
"""How many crops of training images the folding of batch norms is checked on and the weights are rescaled by."""


@dataclass(frozen=True)
class VocOutcome(StageResult):
    """The result of a VOC stage.

    Attributes:
        history: a row for every fiftieth of the iterations (see `loop.fit`).
        preparation: how the backbone was prepared.
        evaluation: the metrics, and what the notebook draws.
    """

    history: pd.DataFrame
    preparation: PreparationRecord
    evaluation: Evaluation


Config = TypeVar("Config", bound=VocConfig)


def transfer(
    config: Config,
    make_task: Callable[[Backbone, Config, VocSet], VocTask],
    evaluate: Callable[[Config, VocSet, Path], Evaluation],
) -> VocOutcome:
    """Prepare the backbone, train the task's network on it, predict on the test split and evaluate the predictions.

    An interrupted run is resumed. The predictions of a finished run are evaluated again, for the pictures.

    Args:
        config: the stage's.
        make_task: prepared backbone, config, data -> the task to train.
        evaluate: config, data, the run's directory -> the metrics of the predictions in it; needs no network.

    Raises:
        RotnetError: the backbone was trained on grey images, or its weights end below conv5; and as `open_voc`,
            `VocConfig.prepare_data`, `prepare`, `fit`, `RunDirectory.open`.
    """
    begin = time.perf_counter()
    _check_colour(config)
    voc = config.open_data()
    directory = open_run(config)
    if directory.finished:
        return _shown(config, voc, directory, evaluate)
    config.check_weights()  # before what takes long
    config.prepare_data(voc)
    device = select_device(config)
    # Detection and segmentation see many image sizes; searching the fastest kernels for each costs more than it gains.
    torch.backends.cudnn.benchmark = config.task == "classification"
    backbone = config.open_backbone(IMAGENET_STATISTICS, lambda count, draw: _crops(voc.train, count, config.side, draw))
    backbone.reset_stem_stride()  # regions and scores are laid over images by the arch's stride
    crops = _crops(voc.train, _PREPARING_IMAGES, config.side, generator(torch.device("cpu"), config.seed, "preparing"))
    preparation = prepare(backbone, crops, rescale=config.rescale, seed=config.seed)
    write_text(directory.path / PREPARATION, preparation.record.model_dump_json(indent=1))
    task = make_task(preparation.backbone, config, voc)
    task.module.to(device)
    history = fit(task, len(voc.train), config, ResumeState(directory.path / RESUME, directory.name), device)
    with replacing(directory.path / HISTORY) as temporary:
        pd.DataFrame(history).to_csv(temporary, index=False)
    header = {"stage": config.stage, "classes": voc.classes}
    save_tensors(directory.path / MODEL, task.module.state_dict(), header, run=directory.name)
    task.module.eval()
    task.predict(device, directory.path)
    evaluation = evaluate(config, voc, directory.path)
    seconds = sum(row["seconds"] for row in history)
    result = build_result(
        directory,
        config,
        data=DataRecord(
            name=config.dataset,
            title=voc.title,
            fingerprint=voc.fingerprint,
            classes=list(voc.classes),
            train_images=len(voc.train),
            test_images=len(voc.test),
        ),
        metrics={
            name: MetricValue(last=value, chance=evaluation.chance.get(name)) for name, value in evaluation.metrics.items()
        },
        by_target=evaluation.by_target,
        training=TrainingRecord(
            iterations=config.iterations,
            inputs=config.iterations * config.batch_size,
            seconds=seconds,
            inputs_per_second=float(pd.Series([row["images_per_second"] for row in history]).median()),
            waiting=sum(row["waiting"] * row["seconds"] for row in history) / seconds,
            parameters=sum(p.numel() for p in task.module.parameters() if p.requires_grad),
        ),
        device=device,
        begin=begin,
        packages=provenance.VOC_PACKAGES,
    )
    return VocOutcome(directory, result, pd.DataFrame(history), preparation.record, evaluation)


def _shown(
    config: Config, voc: VocSet, directory: RunDirectory, evaluate: Callable[[Config, VocSet, Path], Evaluation]
) -> VocOutcome:
    """The outcome of a finished run, read from its directory."""
    directory.check_files()
    again = f"Delete {directory.path} and run again."
    try:
        record = PreparationRecord.model_validate_json(read_text(directory.path / PREPARATION, again))
    except (OSError, ValueError) as error:
        raise RotnetError(f"{directory.path / PREPARATION} is missing or damaged ({error}). {again}") from None
    history = history_of(directory)
    return VocOutcome(directory, directory.result(), history, record, evaluate(config, voc, directory.path))


def _check_colour(config: VocConfig) -> None:
    """Raises RotnetError for a backbone that was trained on grey images: VOC's are in colour."""
    if config.backbone in UNTRAINED:
        return
    run = RunDirectory(checkpoint_of(config.backbone, config.runs).parent)
    if (run.path / PARAMETERS).exists() and run.parameters().get("grey"):
        raise RotnetError(
            f"backbone: {run.name} was trained on grey images, and {config.stage} shows colour. Take another run."
        )


def _crops(split: VocSplit, count: int, side: int, draw: torch.Generator) -> torch.Tensor:
    """The middle squares of at most `count` images drawn at random, (N, 3, side, side) uint8."""
    chosen = torch.randperm(len(split), generator=draw)[:count].tolist()
    images = (torch.from_numpy(split.image(index)).permute(2, 0, 1) for index in chosen)
    return torch.stack([center_crop(resize(image, [side], antialias=True), [side, side]) for image in images])

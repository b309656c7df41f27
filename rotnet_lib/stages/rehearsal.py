"""Before a training: a look at its first images, and how long it will take."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from rotnet_lib.data.folds import Fold
from rotnet_lib.lazy import torch
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.runs.directory import RESUME, directory_of
from rotnet_lib.stages.classifier_config import ClassifierConfig
from rotnet_lib.stages.pretrain import PretrainConfig, pretext_task

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.evaluation.seen import Named
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.training.task import Task
    from rotnet_lib.training.trainer import Trainer

_STEPS = 6
"""Steps that are timed, at most; the first of several is not counted, since a device warms up."""
_SECONDS = 1.5
"""After which no further step is tried."""


@dataclass(frozen=True)
class Rehearsal:
    """What is known of a training before it begins.

    Attributes:
        images: the first training images, augmented; empty if the run is finished and kept none.
        finished: whether the run is.
        steps: of the whole training; 0 if the run is finished, or nothing is trained in steps.
        batch: images a step.
        epochs: of the whole training.
        step_seconds: of one step here, the median of those that were tried; 0 where nothing is trained in steps.
        tried: how many were.
        processes: that will train.
    """

    images: list[Named]
    finished: bool
    steps: int
    batch: int
    epochs: int
    step_seconds: float
    tried: int
    processes: int

    @property
    def seconds(self) -> float:
        """Of all training steps in one process; loading and evaluation come on top."""
        return self.steps * self.step_seconds


def rehearse(config: TrainingConfig) -> Rehearsal:
    """Load the data, build the task and try a few steps with it, which leave no trace: the training starts afresh.

    Of a finished run nothing is loaded: the images are those that it kept.

    Args:
        config: of the pretrain, probe or finetune stage.

    Raises RotnetError as the stage does for data, backbone and task.
    """
    from rotnet_lib.data.loader import Loader
    from rotnet_lib.evaluation.seen import first_batch, named_images, read_seen
    from rotnet_lib.stages.train import load_data, training_images, training_loader
    from rotnet_lib.training.devices import select_device
    from rotnet_lib.training.resume import ResumeState
    from rotnet_lib.training.trainer import Trainer

    directory = directory_of(config, config.fingerprint())
    if directory.finished:
        seen = read_seen(directory)
        return Rehearsal(seen.training if seen else [], True, 0, config.batch_size, config.epochs, 0.0, 0, config.gpus)
    device = select_device(config)
    data = load_data(config)
    fold = config.fold if isinstance(config, PretrainConfig) else None
    train = training_images(config, data, Fold.parse(fold) if fold else None)
    if not config.by_epochs:
        loader = Loader(train.to(device), config.batch_size, seed=config.seed, augment=config.augment)
        images = named_images(first_batch(loader), data.classes)
        return Rehearsal(images, False, 0, config.batch_size, config.epochs, 0.0, 0, config.gpus)
    task, _ = _task(config, replace(data, train=train))
    for module in (task.module, *task.references):
        module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    loader = training_loader(config, data, train.to(device), task)
    images = named_images(first_batch(loader), data.classes)
    plain = config.model_copy(update={"compile": False})  # compiling takes a minute, and the training does it again
    trainer = Trainer(task, loader, data.test, plain, ResumeState(directory.path / RESUME), device)  # neither read nor written
    times = _timed(trainer)
    return Rehearsal(
        images,
        False,
        len(loader) * config.epochs,
        loader.batch_size,
        config.epochs,
        median(times[1:] or times),
        len(times),
        config.gpus,
    )


def _task(config: TrainingConfig, data: Dataset) -> tuple[Task, Backbone]:
    """As the config's stage makes it."""
    if isinstance(config, PretrainConfig):
        return pretext_task(config, data)
    from rotnet_lib.stages.train_classifiers import classifier_task

    assert isinstance(config, ClassifierConfig)
    return classifier_task(config, data, freeze=getattr(config, "freeze", True))


def _timed(trainer: Trainer) -> list[float]:
    """Seconds of the first steps of the first epoch, a few or one, with the time that waiting for images takes."""
    from rotnet_lib.training.schedules import learning_rate

    start = trainer.start_epoch(0)
    trainer.task.module.train()
    times: list[float] = []
    with closing(trainer.loader.epoch(0, start.order)) as batches:
        before = time.perf_counter()
        for number, batch in enumerate(batches):
            step = trainer.step(batch, learning_rate(trainer.config, number, len(trainer.loader)))
            step.loss.item()  # waits for the device
            now = time.perf_counter()
            times.append(now - before)
            before = now
            if len(times) == _STEPS or sum(times) > _SECONDS:
                break
    return times

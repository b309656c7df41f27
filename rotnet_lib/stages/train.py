"""What every training stage does around its training: directory, data, device, result."""

import itertools
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pandas as pd
import torch

from rotnet_lib.data.dataset import Dataset, load_dataset
from rotnet_lib.data.folds import Fold
from rotnet_lib.data.loader import Loader
from rotnet_lib.data.split import Split
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.evaluation.seen import make_seen, write_seen
from rotnet_lib.files import replacing
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.runs.config import ImagesConfig, TrainingConfig
from rotnet_lib.runs.directory import HISTORY, MODEL, RESUME, RunDirectory, checkpoint_name, directory_of, open_run
from rotnet_lib.runs.history import history_of, read_history
from rotnet_lib.runs.result import StageResult, build_result
from rotnet_lib.runs.schema import DataRecord, RunResult, TrainingRecord
from rotnet_lib.stages import launch
from rotnet_lib.training import collectives
from rotnet_lib.training.checkpoints import save_backbone
from rotnet_lib.training.devices import check_devices, select_device
from rotnet_lib.training.image_pass import ImagePass
from rotnet_lib.training.resume import ResumeState
from rotnet_lib.training.task import Task
from rotnet_lib.training.trainer import Trainer, measured


@contextmanager
def finished(task: Task, images: ImagePass) -> Iterator[dict[str, torch.Tensor]]:
    """The task's module as it is for others to build on (`Task.finish`), for the length of the block.

    Gives what that changed, as it was trained, by name.
    """
    trained = {name: tensor.clone() for name, tensor in task.module.state_dict().items()}
    task.finish(images)
    try:
        yield {
            name: trained[name] for name, tensor in task.module.state_dict().items() if not torch.equal(tensor, trained[name])
        }
    finally:
        task.module.load_state_dict(trained)


@dataclass(frozen=True)
class Outcome(StageResult):
    """The result of a stage that trains by epochs.

    Attributes:
        history: a row for each epoch (see `Trainer.fit`).
    """

    history: pd.DataFrame


def load_data(config: ImagesConfig) -> Dataset:
    """The data a config asks for; see `load_dataset`.

    Raises RotnetError too if a run that it builds on was trained on images that are held out here.
    """
    data = load_dataset(config.data, max_damaged=config.max_damaged, workers=config.workers)
    config.check_held_out({}, data.fingerprint)
    return data


def train_stage(
    config: TrainingConfig,
    make_task: Callable[[Dataset], tuple[Task, Backbone]],
    *,
    checkpoint_epochs: Collection[int] = (),
    fold: Fold | None = None,
) -> Outcome:
    """Train a task as its config says, resume an interrupted run, or read a finished one.

    If several processes are to train, this one starts them and waits (see `launch`). Every rank calls the stage's function,
    hence this function, again. A rank trains on its part of each batch; only rank 0 writes files.

    Args:
        config: the stage's.
        make_task: dataset, with the images to train on as its training split -> the task, and the backbone in its module.
        checkpoint_epochs: keep the weights after these epochs (from 1) too, in `runs.directory.checkpoint_name(epoch)`.
        fold: part of the training images to leave out. An epoch is a pass over the others.

    Raises:
        RotnetError: see `load_dataset`, `Fold.without`, `Trainer.fit`, `RunDirectory.open`, `check_devices`.
    """
    begin = time.perf_counter()
    rank, world_size = collectives.rank_and_world_size()
    if collectives.in_process_group():
        directory = directory_of(config, config.fingerprint())  # the process that started this one has opened it
    else:
        directory = open_run(config)
        if directory.finished:
            return Outcome(directory, directory.result(), history_of(directory))
        if launch.is_wanted(config):
            result = _train_in_processes(config, directory)
            result.wall_seconds = time.perf_counter() - begin
            return Outcome(directory, result, read_history(directory.path / HISTORY, result.training))
    device = select_device(config)
    data = load_data(config)
    train = training_images(config, data, fold)
    task, backbone = make_task(replace(data, train=train))
    for module in (task.module, *task.references):
        module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    loader = training_loader(config, data, train.to(device), task, share=(rank, world_size))

    def keep(epoch: int) -> None:
        if not collectives.in_process_group():  # there the process that started this one holds the lock
            directory.check_lock()
        if epoch in checkpoint_epochs:
            save(checkpoint_name(epoch))

    def save(name: str) -> None:
        with finished(task, trainer.images) as changed:
            if collectives.is_rank_zero():
                save_backbone(directory.path / name, task.module, backbone, run=directory.name, trained=changed)

    resume = ResumeState(directory.path / RESUME, directory.name)
    trainer = Trainer(task, loader, data.test.to(device), config, resume, device, after_epoch=keep)
    history = trainer.fit()
    shares = trainer.gather_shares()
    if collectives.is_rank_zero():
        with replacing(directory.path / HISTORY) as temporary:
            pd.DataFrame(history).to_csv(temporary, index=False)
    answers = trainer.gather_answers()
    if collectives.is_rank_zero():
        write_seen(directory.path, make_seen(task, loader, replace(data, test=trainer.test), answers, config.seed))
    save(MODEL)
    result = build_result(
        directory,
        config,
        data=gather_data_record(data, train),
        metrics=measured(task.metrics, history, shares),
        by_target={name: share.by_target for name, share in shares.items() if share.by_target},
        notes=task.notes,
        training=TrainingRecord(
            epochs=len(history),
            inputs=int(sum(row["inputs"] for row in history)),
            seconds=sum(row["seconds"] for row in history),
            inputs_per_second=float(pd.Series([row["inputs_per_second"] for row in history]).median()),
            parameters=sum(p.numel() for p in trainer.parameters),
        ),
        device=device,
        begin=begin,
        processes=world_size,
    )
    return Outcome(directory, result, pd.DataFrame(history))


def training_images(config: TrainingConfig, data: Dataset, fold: Fold | None) -> Split | StreamedSplit:
    """The images of a dataset's training split that a run with this config trains on, without the fold's.

    Raises RotnetError as `Fold.without` and `first_per_class` do.
    """
    if fold is not None:
        return data.train.part(fold.without(len(data.train)))
    if config.labels_per_class is not None:
        return data.train.first_per_class(config.labels_per_class, data.classes)
    return data.train


def training_loader(
    config: TrainingConfig,
    data: Dataset,
    train: Split | StreamedSplit,
    task: Task,
    share: tuple[int, int] = (0, 1),
) -> Loader:
    """The batches that a task is trained on.

    Args:
        config: of the training.
        data: the dataset, by whose training images the length of an epoch goes where few of them are labelled.
        train: the images that are trained on, on the device.
        task: to be trained.
        share: see `Loader`.
    """
    return Loader(
        train,
        config.batch_size * task.batch_copies,
        seed=config.seed,
        augment=config.augment,
        colour_jitter=config.colour_jitter,
        copies=task.copies,
        epoch_images=None if config.labels_per_class is None else len(data.train),
        share=share,
    )


def _train_in_processes(config: TrainingConfig, directory: RunDirectory) -> RunResult:
    """Check the devices and decode the data, once for all processes; then start them and wait for rank 0's result."""
    check_devices(config.device, config.gpus)
    load_data(config)
    return launch.launch(directory, config)


def gather_data_record(data: Dataset, train: Split | StreamedSplit) -> DataRecord:
    """The data as a result describes them. Collective: damaged files are gathered from all ranks, so call it on each.

    Args:
        data: the whole dataset.
        train: the images of it that were trained on.
    """
    damaged = collectives.all_gather([*train.damaged, *data.test.damaged])
    return DataRecord(
        name=data.name,
        title=data.title,
        fingerprint=data.fingerprint,
        classes=list(data.classes),
        image_size=data.image_size,
        train_images=len(train),
        test_images=len(data.test),
        validation=data.validation,
        damaged=sorted(set(itertools.chain(*damaged))),
        skipped=list(data.skipped),
    )

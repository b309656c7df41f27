"""What every training stage does around its training: directory, data, device, result."""

import itertools
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from rotnet_lib.data.dataset import Dataset, load_dataset
from rotnet_lib.data.folds import Fold
from rotnet_lib.data.loader import Loader
from rotnet_lib.data.split import Split
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.files import replacing
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.paths import from_project
from rotnet_lib.runs import provenance
from rotnet_lib.runs.config import ImagesConfig, RunConfig, TrainingConfig
from rotnet_lib.runs.directory import (
    HISTORY,
    MODEL,
    RESUME,
    DataRecord,
    Metric,
    RunDirectory,
    RunResult,
    TrainingRecord,
    checkpoint_name,
    now,
    run_name,
)
from rotnet_lib.stages import launch
from rotnet_lib.training import collectives
from rotnet_lib.training.checkpoints import ResumeState, save_backbone
from rotnet_lib.training.devices import select_device
from rotnet_lib.training.task import Task
from rotnet_lib.training.trainer import History, Trainer


@dataclass
class Outcome:
    """A stage's result, in memory.

    Attributes:
        directory: the run's directory; locked until `save` (by the process that started them, if several train).
        result: what `metrics.json` holds or will hold.
        history: a row an epoch (see `Trainer.fit`).
    """

    directory: RunDirectory
    result: RunResult
    history: pd.DataFrame

    def save(self) -> None:
        """See `finish`. A notebook's last line."""
        finish(self.directory, self.result)


def finish(directory: RunDirectory, result: RunResult) -> None:
    """Write `metrics.json`, which marks the run finished, unless it was; give the run's lock back; print the headline."""
    if not directory.finished:
        directory.save(result)
    directory.close()
    headline = ", ".join(f"{name} {metric.last:.2f} %" for name, metric in result.metrics.items())
    print(f"{headline}: {directory.path}")


def fingerprint_of(config: RunConfig) -> str:
    """The fingerprint of a config's data: see `RunConfig.fingerprint`."""
    return config.fingerprint()


def directory_of(config: RunConfig, fingerprint: str) -> RunDirectory:
    """Where the run of a config on the data of that fingerprint lives."""
    argument = config.dataset.partition(":")[2]
    data = Path(argument).name if argument and not argument.isdecimal() else config.dataset
    return RunDirectory(from_project(config.runs) / run_name(config, f"{config.slug}-{data}", fingerprint))


def load_data(config: ImagesConfig) -> Dataset:
    """The data a config asks for; see `load_dataset`."""
    return load_dataset(
        config.dataset,
        image_size=config.image_size,
        crop_pct=config.crop_pct,
        train_size=config.train_size,
        test_size=config.test_size,
        grey=config.grey,
        stream=config.stream,
        shrink=config.shrink,
        max_damaged=config.max_damaged,
        workers=config.workers,
    )


def open_run(config: RunConfig) -> RunDirectory:
    """The run's directory: locked, its parameters written; or, if the run is finished already, as it is.

    Raises RotnetError as `fingerprint_of` and `RunDirectory.open` do.
    """
    directory = directory_of(config, fingerprint_of(config))
    if not directory.finished:
        directory.open(config)
    if directory.finished:  # asked again: whoever held the lock may have finished it
        directory.close()
        print(f"{directory.path} is finished already: its result is shown. Delete that folder to make the run again.")
    return directory


def train_stage(
    config: TrainingConfig,
    make_task: Callable[[Dataset], tuple[Task, Backbone]],
    *,
    checkpoint_epochs: Collection[int] = (),
    fold: Fold | None = None,
) -> Outcome:
    """Train a task as its config says, or go on with an interrupted run, or read a finished one.

    With `config.gpus` processes this one starts them and waits (see `launch`). Each of them calls the stage's function, and
    so this one, again: it then takes its part of every batch, and the first one writes.

    Args:
        config: the stage's.
        make_task: dataset, its training split what is trained on -> the task, and the backbone its module holds.
        checkpoint_epochs: keep the weights after these epochs (from 1) too, in `runs.checkpoint_name(epoch)`.
        fold: part of the training images to leave out: an epoch is a pass over the rest.

    Raises:
        RotnetError: see `load_dataset`, `Fold.without`, `Trainer.fit`, `RunDirectory.open`, `launch.check_devices`.
    """
    begin = time.perf_counter()
    process, processes = collectives.rank_and_world_size()
    if collectives.in_process_group():
        directory = directory_of(config, fingerprint_of(config))  # opened by the process that started this one
    else:
        directory = open_run(config)
        if directory.finished:
            return Outcome(directory, directory.result(), pd.read_csv(directory.path / HISTORY))
        if launch.is_wanted(config):
            result = _train_in_processes(config, directory)
            result.wall_seconds = time.perf_counter() - begin
            return Outcome(directory, result, pd.read_csv(directory.path / HISTORY))
    device = select_device(config)
    data = load_data(config)
    train = _training_images(config, data, fold)
    task, backbone = make_task(replace(data, train=train))
    for module in (task.module, *task.references):
        module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    loader = Loader(
        train.to(device),
        config.batch_size * task.batch_copies,
        seed=config.seed,
        augment=config.augment,
        colour_jitter=config.colour_jitter,
        copies=task.copies,
        epoch_images=None if config.labels_per_class is None else len(data.train),
        share=(process, processes),
    )

    def keep(epoch: int) -> None:
        if epoch in checkpoint_epochs:
            save_backbone(directory.path / checkpoint_name(epoch), task.module, backbone)

    resume = ResumeState(directory.path / RESUME)
    trainer = Trainer(task, loader, data.test.to(device), config, resume, device, after_epoch=keep)
    history = trainer.fit()
    if collectives.is_rank_zero():
        with replacing(directory.path / HISTORY) as temporary:
            pd.DataFrame(history).to_csv(temporary, index=False)
        save_backbone(directory.path / MODEL, task.module, backbone)
    result = RunResult(
        run=directory.name,
        stage=config.stage,
        parameters=config.model_dump(mode="json"),
        protocol_differences=config.protocol_differences(),
        data=gather_data_record(data, train),
        metrics=_metrics(history),
        by_target=trainer.gather_accuracy_by_target(),
        training=TrainingRecord(
            epochs=len(history),
            inputs=int(sum(row["inputs"] for row in history)),
            seconds=sum(row["seconds"] for row in history),
            inputs_per_second=float(pd.Series([row["inputs_per_second"] for row in history]).median()),
            parameters=sum(p.numel() for p in trainer.parameters),
        ),
        wall_seconds=time.perf_counter() - begin,
        peak_memory_mib=provenance.peak_memory_mib(),
        environment=provenance.environment(device, processes),
        finished_at=now(),
    )
    return Outcome(directory, result, pd.DataFrame(history))


def _training_images(config: TrainingConfig, data: Dataset, fold: Fold | None) -> Split | StreamedSplit:
    if fold is not None:
        return data.train.part(fold.without(len(data.train)))
    if config.labels_per_class is not None:
        return data.train.first_per_class(config.labels_per_class, data.classes)
    return data.train


def _train_in_processes(config: TrainingConfig, directory: RunDirectory) -> RunResult:
    """Check what can be checked before any process is started, decode the data once for all of them, and start them."""
    launch.check_devices(config, config.gpus)
    load_data(config)
    return launch.launch(directory, config)


def gather_data_record(data: Dataset, train: Split | StreamedSplit) -> DataRecord:
    """What a result says of its data, `train` being what of it was trained on. For all processes that train together."""
    damaged = collectives.all_gather([*train.damaged, *data.test.damaged])
    return DataRecord(
        name=data.name,
        title=data.title,
        fingerprint=data.fingerprint,
        classes=list(data.classes),
        image_size=data.image_size,
        train_images=len(train),
        test_images=len(data.test),
        damaged=sorted(set(itertools.chain(*damaged))),
    )


def _metrics(history: History) -> dict[str, Metric]:
    """The headline (last epoch) and the best epoch of every test metric that is an accuracy."""
    names = [name.removeprefix("test_") for name in history[-1] if name.startswith("test_") and name != "test_loss"]
    metrics = {}
    for name in names:
        best = max(history, key=lambda row: row[f"test_{name}"])
        metrics[name] = Metric(last=history[-1][f"test_{name}"], best=best[f"test_{name}"], best_epoch=int(best["epoch"]))
    return metrics

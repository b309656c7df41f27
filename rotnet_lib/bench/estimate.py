"""How long a suite would take on this machine, on the whole of its data, from rates measured here."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from rotnet_lib.bench.loading import LoadingRates, loading_rates
from rotnet_lib.bench.training import TrainingRates, measure, random_data
from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.pool import worker_count
from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.config import ImagesConfig, RunConfig, TrainingConfig
from rotnet_lib.runs.provenance import device_name
from rotnet_lib.stages.backbone_config import RANDOM
from rotnet_lib.stages.classifier_config import ClassifierConfig
from rotnet_lib.stages.finetune import FinetuneConfig
from rotnet_lib.stages.pretrain import PretrainConfig, pretext_task
from rotnet_lib.stages.train_classifiers import classifier_task
from rotnet_lib.suites.plan import Options, PlannedRun, make_plan
from rotnet_lib.training.devices import select_device
from rotnet_lib.training.task import Task

_BRIEF_BATCH = 8
"""Images a step on a CPU where the speed is wanted within seconds."""


@dataclass(frozen=True)
class Estimate:
    """How long one run would take.

    Attributes:
        run: which.
        images: that it trains on, an epoch.
        rate: of these it takes so many a second.
        compute: hours of computing.
        load: hours of reading files, which a GPU does not wait for if they are fewer.
    """

    run: PlannedRun
    images: int
    rate: float
    compute: float
    load: float

    def hours(self, device: torch.device) -> float:
        """Hours in all. Reading files takes cores: a GPU computes meanwhile, a CPU does one or the other."""
        return max(self.compute, self.load) if device.type != "cpu" else self.compute + self.load


def report(suite: str, options: Options, seconds: float) -> str:
    """Hours of each run of a suite that trains by epochs, and of these in all, without the data being here.

    Args:
        suite: or a collection of suites.
        options: what the user says about it.
        seconds: how long each kind of training is measured.

    Raises RotnetError for options that `make_plan` refuses, or a dataset whose size is not known.
    """
    plan = make_plan(suite, options, fingerprint=lambda config: "not looked at")
    device = select_device(plan.runs[0].config)
    cores = worker_count(None)
    loading = (
        loading_rates(seconds, cores)
        if any(isinstance(run.config, ImagesConfig) and run.config.stream for run in plan.runs)
        else None
    )
    estimates = estimates_of(plan.runs, seconds, device, loading)
    several = len({run.config.seed for run in plan.runs}) > 1
    names = [f"{e.run.key} s{e.run.config.seed}" if several else e.run.key for e in estimates]
    width = max(map(len, [*names, "in all"]))
    lines = [
        f"{device_name(device)}, {cores} cores, torch {torch.__version__}: {plan.preset} {suite}, one run after the other",
        *(
            f"{name:{width}}  {e.hours(device):9.2f} h: {e.run.config.epochs} epochs of {e.images:,} images at "  # type: ignore[attr-defined]
            f"{e.rate:,.0f} images/s" + (f"; reading the files alone {e.load:.2f} h" if e.load else "")
            for name, e in zip(names, estimates, strict=True)
        ),
        f"{'in all':{width}}  {sum(e.hours(device) for e in estimates):9.2f} h",
    ]
    counted = {e.run.name for e in estimates}
    if others := dict.fromkeys(run.key for run in plan.runs if run.name not in counted):
        lines.append(f"not counted, since they do not train by epochs: {', '.join(others)}")
    if loading:
        lines.append(
            f"files of 256 pixels are read at {loading.random_crop:,.0f} images/s, with resized crops "
            f"{loading.resized_crop:,.0f}: ImageNet's own files are larger and slower, so make the copy (shrink=256)"
        )
    return "\n".join(lines)


def estimates_of(
    runs: Iterable[PlannedRun], seconds: float, device: torch.device, loading: LoadingRates | None = None
) -> list[Estimate]:
    """How long each of some runs would take here; without those that do not train by epochs.

    Args:
        runs: of a plan.
        seconds: how long each kind of training is measured.
        device: where.
        loading: how fast files are read; None: not counted.

    Raises RotnetError for a dataset whose size is not known.
    """
    rates: dict[str, TrainingRates] = {}
    return [
        _estimate(run, rates, loading, seconds, device)
        for run in runs
        if isinstance(run.config, TrainingConfig) and run.config.by_epochs
    ]


def _estimate(
    run: PlannedRun, rates: dict[str, TrainingRates], loading: LoadingRates | None, seconds: float, device: torch.device
) -> Estimate:
    config = run.config
    assert isinstance(config, TrainingConfig)
    try:
        train, test = config.data.counts()
    except RotnetError as error:
        raise RotnetError(
            f"{run.key}: how many images {config.dataset} has is not known: {error} Or take --preset paper."
        ) from None
    train = config.trained_images(train)
    schedule = ("epochs", "lr", "lr_milestones", "lr_decay", "recipe")
    left_out = (*schedule, "seed", "backbone", "fold", "pu_weights")  # a step costs the same whatever these are
    kind = json.dumps(
        {name: value for name, value in config.hashed_parameters().items() if name not in left_out}, sort_keys=True
    )
    if kind not in rates:
        data = random_data(config, device)
        rates[kind] = measure(config, _task(config, data), data, seconds, device)
    measured = rates[kind]
    compute = _hours(config, train, test, measured)
    load = 0.0
    if config.stream and loading:
        of_training = loading.resized_crop if config.augment == "resized-crop" else loading.random_crop
        load = config.epochs * (train / of_training + test / loading.random_crop) / 3600
    return Estimate(run, train, measured.images / measured.step, compute, load)


def hours_of_run(config: TrainingConfig, counts: tuple[int, int], seconds: float, device: torch.device) -> tuple[float, float]:
    """Hours of computing that a run takes, and the training images a second, from speeds measured here.

    Args:
        config: the run's.
        counts: training and test images of its data.
        seconds: how long training is measured.
        device: where. On a CPU the steps that are timed are small, since one of a usual batch may take longer than `seconds`;
            an image costs about the same.
    """
    if device.type == "cpu":
        config = config.model_copy(update={"batch_size": min(config.batch_size, _BRIEF_BATCH)})
    data = random_data(config, device)
    rates = measure(config, _task(config, data), data, seconds, device)
    return _hours(config, config.trained_images(counts[0]), counts[1], rates), rates.images / rates.step


def _hours(config: TrainingConfig, train: int, test: int, measured: TrainingRates) -> float:
    return config.epochs * (train * measured.step + test * measured.test) / measured.images / 3600


def _task(config: RunConfig, data: Dataset) -> Task:
    """The run's task, on a random backbone: what a step costs does not depend on the weights."""
    if isinstance(config, PretrainConfig):
        return pretext_task(config.model_copy(update={"pu_weights": None}), data)[0]
    assert isinstance(config, ClassifierConfig)
    config = config.model_copy(update={"backbone": RANDOM, "checkpoint": None})
    freeze = config.freeze if isinstance(config, FinetuneConfig) else True
    return classifier_task(config, data, freeze=freeze)[0]

"""The training loop: one for pretext tasks, supervised training, probes and fine-tuning."""

import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm

from rotnet_lib.data.loader import Batch, Loader, ordered_batches
from rotnet_lib.data.split import Split
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.runs.schema import MetricValue
from rotnet_lib.seeds import derive, generator
from rotnet_lib.training import collectives
from rotnet_lib.training.answers import Answers, AnswerSums
from rotnet_lib.training.devices import autocast
from rotnet_lib.training.image_pass import ImagePass
from rotnet_lib.training.optimizers import set_rate, trained
from rotnet_lib.training.resume import ResumeState
from rotnet_lib.training.schedules import learning_rate
from rotnet_lib.training.shares import Share, ShareSums
from rotnet_lib.training.sums import StepSums, check_declared
from rotnet_lib.training.task import Epoch, EpochStart, Step, Task

History = list[dict[str, float]]


@dataclass(frozen=True)
class StuckCheck:
    """When training has failed: the last epoch's training accuracy is still close to chance.

    Over an epoch of 10 000 inputs the accuracy of a four-way guess has a standard deviation of 0.43 points.

    Attributes:
        epochs: no check before this many epochs.
        inputs: no check before this many network inputs.
        margin: percentage points above chance that the accuracy must reach; half of chance, where that is smaller.
    """

    epochs: int = 3
    inputs: int = 30_000
    margin: float = 1.0


STUCK = StuckCheck()

_COLUMNS = ("epoch", "lr", "train_loss", "test_loss", "seconds", "inputs", "inputs_per_second")
"""What each row of a history has, beside the metrics of the task."""


class Trainer:
    """Trains a task by its optimisers, resumable at every epoch.

    In a process group (see `collectives`) every rank has a trainer. Together they compute what one process would, up to
    rounding: each rank returns the same history, and only rank 0 writes files.

    Args:
        task: what is trained, its module on `device` already.
        loader: the training batches, or this rank's part of each.
        test: the test split, on the device.
        config: optimiser and schedule.
        resume: where the state is kept while the run lasts.
        device: where everything lives. On a GPU the forward pass runs in bf16 autocast.
        after_epoch: called on every rank with the number of each epoch (from 1), before the epoch is recorded in the resume
            state: if the run is killed in between, the resumed run calls it again.
        stuck: when training that does not learn is stopped.
    """

    def __init__(
        self,
        task: Task,
        loader: Loader,
        test: Split | StreamedSplit,
        config: TrainingConfig,
        resume: ResumeState,
        device: torch.device,
        after_epoch: Callable[[int], None] = lambda epoch: None,
        stuck: StuckCheck = STUCK,
    ) -> None:
        self.task = task
        self.loader = loader
        self.test = test
        self.config = config
        self.resume = resume
        self.device = device
        self.after_epoch = after_epoch
        self.stuck = stuck
        self._task_step = collectives.distributed_step(task, device)
        if config.compile:
            task.module.compile()
        self.optimizers = task.optimizers(config)
        self.parameters = [parameter for optimizer in self.optimizers for parameter in trained(optimizer)]
        _check_task(task, self.parameters)
        self.images = ImagePass(loader.split, task.module)
        self._shares: dict[str, Share] | None = None
        self._answers: dict[str, Answers] = {}

    def fit(self) -> History:
        """Train from the resume state, or from the beginning, to the last epoch.

        Returns a row an epoch: `epoch` (from 1), `lr` (of its last step), `train_loss` (of an input, as the task defines it:
        mostly nats; the sum over the classifiers of a probe), its terms and `train_<metric>` (in the metric's unit; all
        augmented, while the weights change), `test_loss`, `test_<metric>`, `seconds` (of the training steps alone), `inputs`
        (network inputs trained on, rotated copies counted) and `inputs_per_second`. Figures are over all ranks. Collective.

        Raises:
            RotnetError: the loss is not finite, or a metric that must leave chance stays there, or the ranks have resume
                states of different epochs.
        """
        history = self.resume.load(self.task.module, self.optimizers, columns=_COLUMNS, end=self.config.epochs)
        if len(done_by := set(collectives.all_gather(len(history)))) > 1:  # the ranks would wait for each other for ever
            found = " and ".join(map(str, sorted(done_by)))
            raise RotnetError(f"{self.resume.path} holds {found} epochs, by process: do all nodes see the same folder of runs?")
        done = sum(row["inputs"] for row in history)
        per_epoch = done / len(history) if history else None
        bar: tqdm[Any]
        first = collectives.is_rank_zero()
        with tqdm(unit=" inputs", unit_scale=True, initial=int(done), mininterval=0.5, smoothing=0.1, disable=not first) as bar:
            if per_epoch:
                bar.total = int(per_epoch * self.config.epochs)
            for epoch in range(len(history), self.config.epochs):
                row = self._train_epoch(epoch, self.start_epoch(epoch), bar)
                row |= self.measure()
                row |= self._evaluate(last=epoch + 1 == self.config.epochs)
                _check_finite(row["test_loss"], epoch, len(self.loader) - 1)
                _check_metrics(self.task.metrics, row)
                history.append(row)
                self._check_learning(history)
                self.after_epoch(epoch + 1)
                if first:
                    self.resume.save(self.task.module, self.optimizers, history)
        return history

    def start_epoch(self, number: int) -> EpochStart:
        """What the task says of epoch `number`, from 0, before it is trained.

        Raises ValueError if it measures what it does not declare, or declares to be of the test split.
        """
        rng = generator(torch.device("cpu"), self.config.seed, "task", number)
        torch.manual_seed(derive(self.config.seed, "before", number))  # a new head, say: the same in every process
        start = self.task.before_epoch(Epoch(number, self.config.epochs, self.loader.entries, self.images, rng))
        self._check_of_training(start.values)
        return start

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """`train_<metric>` of what the task measures of the training images after an epoch. Collective.

        Raises ValueError as `start_epoch`.
        """
        self.task.module.eval()
        values = self.task.measure(self.images)
        self._check_of_training(values)
        return {f"train_{name}": value for name, value in values.items()}

    def _check_of_training(self, values: Mapping[str, float]) -> None:
        for name in values:
            check_declared(name, self.task.metrics)
            if self.task.metrics[name].tested:
                raise ValueError(f"the task measures '{name}' of its training images between epochs: declare it tested=False")

    def step(self, batch: Batch, rate: float) -> Step:
        """One update of the weights at learning rate `rate`."""
        set_rate(self.optimizers, rate)
        with autocast(self.device):
            step = self._task_step(batch)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        step.loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        return step

    def _train_epoch(self, epoch: int, start: EpochStart, bar: "tqdm[Any]") -> dict[str, float]:
        self.task.module.train()
        steps = len(self.loader)
        rank, world_size = collectives.rank_and_world_size()
        torch.manual_seed(derive(self.config.seed, "network", epoch, rank))  # dropout
        sums = StepSums(self.task.metrics)
        begin = shown = time.perf_counter()
        rate = 0.0
        with closing(self.loader.epoch(epoch, start.order)) as batches:  # an interrupt must end the loader's worker processes
            for position, batch in enumerate(batches):
                rate = learning_rate(self.config, epoch * steps + position, steps)
                step = self.step(batch, rate)
                sums.add(step)
                if position == 0:
                    bar.total = step.inputs * world_size * steps * self.config.epochs
                bar.update(step.inputs * world_size)
                if time.perf_counter() - shown > 1:  # reading the loss waits for the device: not at every step
                    shown = time.perf_counter()
                    loss = step.loss.item()
                    _check_finite(loss, epoch, position)
                    bar.set_postfix_str(f"epoch {epoch + 1}/{self.config.epochs}, loss {loss:.3f}", refresh=False)
        inputs, means = sums.all_gathered("train")
        _check_finite(means["train_loss"], epoch, steps - 1)
        seconds = collectives.all_gather(time.perf_counter() - begin)[0]
        return {
            "epoch": epoch + 1,
            "lr": rate,
            **means,
            **{f"train_{name}": value for name, value in start.values.items()},
            "seconds": seconds,
            "inputs": inputs,
            "inputs_per_second": inputs / seconds,
        }

    def gather_shares(self) -> dict[str, Share]:
        """Metric -> of how many test images it is the share of right answers, and that share by target. Collective.

        Of the metrics that say which answers were right. They were counted when the last epoch was evaluated; a run that was
        interrupted behind that, and is resumed, takes a pass over the test split for them.
        """
        if self._shares is None:
            self._evaluate(last=True)
        assert self._shares is not None
        return self._shares

    def gather_answers(self) -> dict[str, Answers]:
        """Metric -> which answers were given for which on the test split; as `gather_shares`. Collective."""
        self.gather_shares()
        return self._answers

    def _evaluate(self, *, last: bool) -> dict[str, float]:
        """The figures of the test split. Of the last epoch answers and shares of right ones are kept: counting takes time."""
        names = self.task.target_names
        sums, shares, answers = StepSums(self.task.metrics), ShareSums(names), AnswerSums(names)
        with closing(self._test_steps()) as steps:
            for step, batch in steps:
                sums.add(step)
                if last:
                    shares.add(step, len(batch))
                    answers.add(step, batch.index)
        if last:
            self._shares, self._answers = shares.all_gathered(), answers.all_gathered()
        return sums.all_gathered("test")[1]

    @torch.inference_mode()
    def _test_steps(self) -> Generator[tuple[Step, Batch], None, None]:
        """Each step over the test split, and the batch that it is of."""
        self.task.module.eval()
        with closing(ordered_batches(self.test, share=collectives.rank_and_world_size())) as batches:
            for batch in batches:
                with autocast(self.device):
                    step = self.task.evaluate(batch)
                yield step, batch

    def _check_learning(self, history: History) -> None:
        seen = sum(row["inputs"] for row in history)
        if len(history) < self.stuck.epochs or seen < self.stuck.inputs:
            return
        for name, metric in self.task.metrics.items():
            if not metric.leaves_chance:
                continue
            assert metric.chance is not None  # see `_check_task`
            reached, chance = history[-1][f"train_{name}"], metric.chance
            if reached < chance + min(self.stuck.margin, chance / 2):
                raise RotnetError(
                    f"{name} is stuck at chance: {reached:.2f} % after {len(history)} epochs, guessing gives {chance:.2f} %. "
                    f"Lower lr (now {self.config.lr:g}), try another seed, or look whether the images suit the task."
                )


def measured(metrics: Mapping[str, Metric], history: History, shares: Mapping[str, Share]) -> dict[str, MetricValue]:
    """The figures of a training: each metric at its last epoch, and at the best one by its direction.

    Args:
        metrics: the task's.
        history: as `Trainer.fit` returns it.
        shares: as `Trainer.gather_shares` returns them.
    """
    found = {}
    for name, metric in metrics.items():
        column = f"{'test' if metric.tested else 'train'}_{name}"
        if column not in history[-1]:  # before the last epoch, nothing was to be measured
            continue
        value = MetricValue(
            last=history[-1][column], unit=metric.unit, better=metric.better, chance=metric.chance, tested=metric.tested
        )
        if metric.tested:
            best = (max if metric.better == "higher" else min)(history, key=lambda row: row[column])
            value = value.model_copy(update={"best": best[column], "best_epoch": int(best["epoch"])})
            if name in shares:
                value = value.of_images(shares[name].images, shares[name].target_images)
        found[name] = value
    return found


def _check_task(task: Task, parameters: Sequence[torch.nn.Parameter]) -> None:
    """Raises ValueError for a parameter that not exactly one optimiser has, or a metric that must leave an unknown chance."""
    trained_by = Counter(map(id, parameters))
    for name, parameter in task.module.named_parameters():
        if parameter.requires_grad and trained_by[id(parameter)] != 1:
            raise ValueError(f"{name} is a parameter of {trained_by[id(parameter)]} optimisers: give it to one, or freeze it")
    for name, metric in task.metrics.items():
        if metric.leaves_chance and metric.chance is None:
            raise ValueError(f"metric '{name}' must leave chance, and its chance is not given")


def _check_metrics(metrics: Mapping[str, Metric], row: Mapping[str, float]) -> None:
    """Raises RotnetError for a metric that is no number, and ValueError for one that was to be measured on the test split."""
    for name, metric in metrics.items():
        if metric.tested and f"test_{name}" not in row:
            raise ValueError(f"metric '{name}' was not measured on the test split: measure it in `evaluate`, or tested=False")
        for column in (f"train_{name}", f"test_{name}"):
            if not math.isfinite(row.get(column, 0.0)):
                raise RotnetError(f"{column} is {row[column]} at epoch {row['epoch']}: training diverged. Lower lr.")


def _check_finite(loss: float, epoch: int, step: int) -> None:
    if not math.isfinite(loss):
        raise RotnetError(f"the loss is {loss} at epoch {epoch + 1}, step {step + 1}: training diverged. Lower lr.")

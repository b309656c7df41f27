"""The training loop: one for pretext tasks, supervised training, probes and fine-tuning."""

import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

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
from rotnet_lib.training.devices import autocast
from rotnet_lib.training.image_pass import ImagePass
from rotnet_lib.training.optimizers import set_rate, trained
from rotnet_lib.training.resume import ResumeState
from rotnet_lib.training.schedules import learning_rate
from rotnet_lib.training.task import Epoch, EpochStart, Step, Task

History = list[dict[str, float]]

_Number = TypeVar("_Number", int, float, torch.Tensor)


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
        self.images = ImagePass(loader.split, task.module)

    def fit(self) -> History:
        """Train from the resume state, or from the beginning, to the last epoch.

        Returns a row an epoch: `epoch` (from 1), `lr` (of its last step), `train_loss` (nats an input; the sum over the
        classifiers of a probe), its terms and `train_<metric>` (in the metric's unit; all augmented, while the weights change),
        `test_loss`, `test_<metric>`, `seconds` (of the training steps alone), `inputs` (network inputs trained on, rotated
        copies counted) and `inputs_per_second`. Figures are over all ranks. Collective.

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
                row |= self._evaluate()
                _check_finite(row["test_loss"], epoch, len(self.loader) - 1)
                history.append(row)
                self._check_learning(history)
                self.after_epoch(epoch + 1)
                if first:
                    self.resume.save(self.task.module, self.optimizers, history)
        return history

    def start_epoch(self, number: int) -> EpochStart:
        """What the task says of epoch `number`, from 0, before it is trained."""
        rng = generator(torch.device("cpu"), self.config.seed, "task", number)
        return self.task.before_epoch(Epoch(number, self.config.epochs, self.images, rng))

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
        sums = _Sums(self.task.metrics)
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

    def gather_accuracy_by_target(self) -> dict[str, dict[str, float]]:
        """Metric -> target's name -> accuracy in percent over the test inputs with that target. Collective.

        Of the metrics that say which answers were right; empty where targets have no names.
        """
        names = self.task.target_names
        if not names:
            return {}
        right: dict[str, torch.Tensor] = {}
        asked: dict[str, torch.Tensor] = {}
        with closing(self._test_steps()) as steps:
            for step in steps:
                assert step.targets is not None  # since they have names
                targets = step.targets.cpu()
                for metric, correct in step.values.items():
                    if correct.dtype != torch.bool:
                        continue
                    asked[metric] = asked.get(metric, 0) + targets.bincount(minlength=len(names))
                    right[metric] = right.get(metric, 0) + targets[correct.cpu()].bincount(minlength=len(names))
        right, asked = (_added_up(collectives.all_gather(counts)) for counts in (right, asked))
        return {
            metric: {
                name: 100 * hits / n for name, hits, n in zip(names, found.tolist(), asked[metric].tolist(), strict=True) if n
            }
            for metric, found in right.items()
        }

    def _evaluate(self) -> dict[str, float]:
        sums = _Sums(self.task.metrics)
        with closing(self._test_steps()) as steps:
            for step in steps:
                sums.add(step)
        return sums.all_gathered("test")[1]

    @torch.inference_mode()
    def _test_steps(self) -> Generator[Step, None, None]:
        self.task.module.eval()
        with closing(ordered_batches(self.test, share=collectives.rank_and_world_size())) as batches:
            for batch in batches:
                with autocast(self.device):
                    step = self.task.evaluate(batch)
                yield step

    def _check_learning(self, history: History) -> None:
        seen = sum(row["inputs"] for row in history)
        if len(history) < self.stuck.epochs or seen < self.stuck.inputs:
            return
        for name, metric in self.task.metrics.items():
            if not metric.leaves_chance or metric.chance is None:
                continue
            reached, chance = history[-1][f"train_{name}"], metric.chance
            if reached < chance + min(self.stuck.margin, chance / 2):
                raise RotnetError(
                    f"{name} is stuck at chance: {reached:.2f} % after {len(history)} epochs, guessing gives {chance:.2f} %. "
                    f"Lower lr (now {self.config.lr:g}), try another seed, or check that the images are upright and varied."
                )


def measured(metrics: Mapping[str, Metric], history: History) -> dict[str, MetricValue]:
    """The figures of a training: each metric at its last epoch, and at the best one by its direction.

    Args:
        metrics: the task's.
        history: as `Trainer.fit` returns it.
    """
    found = {}
    for name, metric in metrics.items():
        column = f"{'test' if metric.tested else 'train'}_{name}"
        if column not in history[-1]:
            continue
        value = MetricValue(
            last=history[-1][column], unit=metric.unit, better=metric.better, chance=metric.chance, tested=metric.tested
        )
        if metric.tested:
            best = (max if metric.better == "higher" else min)(history, key=lambda row: row[column])
            value = value.model_copy(update={"best": best[column], "best_epoch": int(best["epoch"])})
        found[name] = value
    return found


class _Sums:
    """Running sums of an epoch on this rank, kept on the device so that no step waits for it."""

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        self.inputs = 0
        self._metrics = metrics
        self._totals: dict[str, torch.Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, step: Step) -> None:
        self.inputs += step.inputs
        for name, value in ({"loss": step.loss} | dict(step.terms)).items():
            self._add(name, value.detach().float() * step.inputs, step.inputs)
        for name, values in step.values.items():
            self._add(name, values.detach().sum(), values.numel())

    def _add(self, name: str, value: torch.Tensor, count: int) -> None:
        self._totals[name] = self._totals[name] + value if name in self._totals else value
        self._counts[name] = self._counts.get(name, 0) + count

    def all_gathered(self, prefix: str) -> tuple[int, dict[str, float]]:
        """Over all ranks: the number of inputs; `<prefix>_loss`, its terms, `<prefix>_<metric>` in its unit. Collective."""
        own = (self.inputs, {name: total.item() for name, total in self._totals.items()}, self._counts)
        parts = collectives.all_gather(own)
        totals, counts = _added_up([part[1] for part in parts]), _added_up([part[2] for part in parts])
        scale = {name: self._metrics[name].scale if name in self._metrics else 1.0 for name in totals}
        means = {f"{prefix}_{name}": scale[name] * total / counts[name] for name, total in totals.items()}
        return sum(part[0] for part in parts), means


def _added_up(parts: Sequence[Mapping[str, _Number]]) -> dict[str, _Number]:
    """Name -> sum over the ranks. A rank that got no batch of a small test split has no names."""
    totals: dict[str, _Number] = {}
    for part in parts:
        totals |= {name: totals[name] + value if name in totals else value for name, value in part.items()}
    return totals


def _check_finite(loss: float, epoch: int, step: int) -> None:
    if not math.isfinite(loss):
        raise RotnetError(f"the loss is {loss} at epoch {epoch + 1}, step {step + 1}: training diverged. Lower lr.")

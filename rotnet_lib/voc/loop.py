"""Training by iterations for the VOC stages. It is resumable, and results do not depend on the number of loader processes."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from rotnet_lib.data.pool import in_workers, worker_count
from rotnet_lib.errors import RotnetError
from rotnet_lib.seeds import derive, generator
from rotnet_lib.training.resume import ResumeState
from rotnet_lib.training.schedules import iteration_rate
from rotnet_lib.voc.config import VocConfig
from rotnet_lib.voc.task import VocTask

History = list[dict[str, float]]

_ROWS = 50
"""Rows of the history, evenly spread over the run."""
_COLUMNS = ("iteration", "lr", "train_loss", "seconds", "images_per_second", "waiting")
"""What each row has, beside the terms of the loss."""


def fit(
    task: VocTask,
    images: int,
    config: VocConfig,
    resume: ResumeState,
    device: torch.device,
    *,
    save_seconds: float = 60,
) -> History:
    """Train from the resume state, or from the beginning, to the last iteration.

    Each pass over the images has its own random order. Sample p of the run is augmented by a generator seeded from (seed, p);
    the network's random numbers (dropout, sampled regions) are seeded from (seed, iteration). So neither the number of loader
    processes nor an interruption changes what is computed.

    Args:
        task: its module on `device` already.
        images: how many training images there are.
        config: optimiser and schedule.
        resume: where the state is kept while the run lasts.
        device: where the module is.
        save_seconds: the resume state is saved with the first row of the history after this many seconds.

    Returns:
        A row for every fiftieth of the iterations: `iteration` (its last one), `lr`, `train_loss` and `train_<term>` (means
        over its iterations), `seconds`, `images_per_second`, `waiting` (share of the time spent waiting for the loader).

    Raises:
        RotnetError: the loss is not finite; a loader process was killed; or as `VocTask.sample`.
    """
    groups = [group for group in task.parameter_groups() if group["params"]]
    optimizer = torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    history = resume.load(task.module, [optimizer], columns=_COLUMNS, end=config.iterations)
    done = int(history[-1]["iteration"]) if history else 0
    spacing = max(1, config.iterations // _ROWS)
    work, workers = _Batches(task, images, config), worker_count(config.workers)
    reading = in_workers(work, range(done, config.iterations), workers, pin=device.type == "cuda")
    task.module.train()
    saved = time.perf_counter()
    bar = tqdm(total=config.iterations, initial=done, unit=" iterations", mininterval=0.5)
    with bar, closing(reading) as batches:
        while done < config.iterations:
            upto = min(done + spacing, config.iterations)
            history.append(_stretch(task, batches, optimizer, config, device, done, upto, bar))
            done = upto
            if done < config.iterations and time.perf_counter() - saved > save_seconds:
                resume.save(task.module, [optimizer], history)
                saved = time.perf_counter()
    resume.save(task.module, [optimizer], history)  # an interrupted prediction must not cost the training
    return history


def _stretch(
    task: VocTask,
    batches: Iterator[Any],
    optimizer: torch.optim.SGD,
    config: VocConfig,
    device: torch.device,
    begin: int,
    end: int,
    bar: "tqdm[Any]",
) -> dict[str, float]:
    """Train iterations `begin` to `end`, exclusive; returns their row of the history."""
    sums: dict[str, torch.Tensor] = {}
    waited, started, rate = 0.0, time.perf_counter(), 0.0
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for iteration in range(begin, end):
        asked = time.perf_counter()
        batch = _moved(next(batches), device)
        waited += time.perf_counter() - asked
        rate = iteration_rate(config, iteration, config.iterations)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["lr_factor"]
        torch.manual_seed(derive(config.seed, "iteration", iteration))
        terms = task.loss(batch)
        loss = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if config.clip_gradient:
            torch.nn.utils.clip_grad_norm_(parameters, config.clip_gradient)
        optimizer.step()
        for name, term in {"loss": loss, **terms}.items():
            sums[name] = sums.get(name, torch.zeros((), device=device)) + term.detach()
        bar.update()
    means = _means(sums, end - begin)
    if not math.isfinite(means["train_loss"]):
        raise RotnetError(
            f"the loss is {means['train_loss']} between iterations {begin + 1} and {end}: training diverged. "
            f"Lower lr (now {config.lr:g})."
        )
    bar.set_postfix_str(f"loss {means['train_loss']:.3f}", refresh=False)
    seconds = time.perf_counter() - started
    speed = {"seconds": seconds, "images_per_second": (end - begin) * config.batch_size / seconds, "waiting": waited / seconds}
    return {"iteration": end, "lr": rate} | means | speed


def _means(sums: Mapping[str, torch.Tensor], iterations: int) -> dict[str, float]:
    """The terms of the loss, each over so many iterations. Waits for the device."""
    found = {}
    for name, total in sums.items():
        found[f"train_{name}"] = total.item() / iterations
    return found


class _Batches:
    """The work of the loader processes: the batch of an iteration."""

    def __init__(self, task: VocTask, images: int, config: VocConfig) -> None:
        self.task = task
        self.images = images
        self.config = config
        self._order: tuple[int, Sequence[int]] = (-1, ())

    def __call__(self, iteration: int) -> Any:
        size = self.config.batch_size
        return self.task.collate([self._sample(number) for number in range(size * iteration, size * (iteration + 1))])

    def _sample(self, number: int) -> Any:
        seed = self.config.seed
        around, place = divmod(number, self.images)
        if self._order[0] != around:
            order = torch.randperm(self.images, generator=generator(torch.device("cpu"), seed, "order", around))
            self._order = (around, order.tolist())
        return self.task.sample(self._order[1][place], np.random.default_rng(derive(seed, "sample", number)))


def _moved(batch: Any, device: torch.device) -> Any:
    """The batch with all its tensors moved to the device."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=device.type == "cuda")  # from pinned memory
    if isinstance(batch, dict):
        return {name: _moved(value, device) for name, value in batch.items()}
    if isinstance(batch, list | tuple):
        return type(batch)(_moved(value, device) for value in batch)
    return batch

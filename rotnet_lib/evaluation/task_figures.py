"""A trained task on test images: its figures, and its examples of some of them."""

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import torch

from rotnet_lib.data.loader import Batch, ordered_batches
from rotnet_lib.data.split import Request, Split
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.data.to_device import to_device
from rotnet_lib.pretext.examples import Example
from rotnet_lib.pretext.task import PretextTask
from rotnet_lib.runs.schema import MetricValue
from rotnet_lib.seeds import generator
from rotnet_lib.training.devices import autocast
from rotnet_lib.training.shares import ShareSums
from rotnet_lib.training.sums import StepSums


@torch.inference_mode()
def figures_of(task: PretextTask, split: Split | StreamedSplit) -> dict[str, MetricValue]:
    """Metric -> its figure over a split, of the metrics that mean something there; measured as training does.

    Args:
        task: its module in evaluation mode, on the split's device.
        split: the images.
    """
    sums, shares = StepSums(task.metrics), ShareSums(())
    with closing(ordered_batches(split)) as batches:
        for batch in batches:
            with autocast(batch.images.device):
                step = task.evaluate(batch)
            sums.add(step)
            shares.add(step, len(batch))
    _, means = sums.all_gathered("test")
    counted = shares.all_gathered()
    found = {}
    for name, metric in task.metrics.items():
        if metric.tested:
            value = MetricValue(last=means[f"test_{name}"], unit=metric.unit, better=metric.better, chance=metric.chance)
            found[name] = value.of_images(counted[name].images) if name in counted else value
    return found


@torch.inference_mode()
def examples_of(task: PretextTask, split: Split | StreamedSplit, places: Sequence[int], seed: int) -> list[Example]:
    """The task's examples of the images at those places of a split.

    Args:
        task: its module in evaluation mode, on the split's device.
        split: the images.
        places: indices into it.
        seed: of what the task draws at random.
    """
    return examples_of_batch(task, batch_of(split, places), seed)


@torch.inference_mode()
def examples_of_batch(task: PretextTask, batch: Batch, seed: int) -> list[Example]:
    """The task's examples of a batch's images. What it draws at random is drawn from `seed`, not from the batch's generator."""
    device = batch.images.device
    with autocast(device):
        return task.examples(replace(batch, rng=generator(device, seed, "examples")))


_GOLDEN = (math.sqrt(5) - 1) / 2


def batch_of(split: Split | StreamedSplit, places: Sequence[int]) -> Batch:
    """The images at those places of a split, not augmented."""
    index = torch.tensor(list(places), device=split.device)
    labels = split.labels[index]
    return Batch(split.read(places), labels, torch.zeros_like(labels), index, generator(split.device, 0, "batch"))


def spread_batch(split: Split | StreamedSplit, count: int) -> Batch:
    """So many images, or all, spread over a split: splits may be in the order of their classes, or go through them in turn.

    The places are multiples of the golden ratio: they are spread evenly, and have no period that classes could share.

    Damaged images are left out, as in training. Raises RotnetError if all are.
    """
    size = min(count, len(split))
    spread = (torch.arange(1, 3 * size + 1, dtype=torch.float64) * _GOLDEN % 1 * len(split)).long()  # enough for no place twice
    different = torch.tensor(list(dict.fromkeys(spread.tolist()))[:size], dtype=torch.int64)
    places = (torch.arange(size) if size == len(split) else different).to(split.index_device)
    with closing(split.cut(iter([Request(places)]))) as cuts:
        found = next(cuts)
    index = to_device(places if found.kept is None else places[found.kept], split.device)
    labels = split.labels[index]
    rng = generator(split.device, 0, "batch")
    return Batch(found.images.permute(0, 3, 1, 2), labels, torch.zeros_like(labels), index, rng)

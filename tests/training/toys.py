"""A toy task and its images."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rotnet_lib.data.loader import Batch
from rotnet_lib.data.split import Split
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.image_pass import ImagePass
from rotnet_lib.training.task import Epoch, Step, Task


class Brightness(Task):
    """Tell light images from dark ones by their mean: logistic regression."""

    module: nn.Linear
    metrics: Mapping[str, Metric] = {"right": Metric(chance=50.0, leaves_chance=True)}
    target_names: Sequence[str] = ("dark", "light")

    def __init__(self) -> None:
        self.module = nn.Linear(1, 2)
        nn.init.zeros_(self.module.weight)
        nn.init.zeros_(self.module.bias)
        self.calls: list[tuple[bool, bool, int]] = []
        """(module in training mode, gradients kept, images) of every call."""

    def step(self, batch: Batch) -> Step:
        self.calls.append((self.module.training, torch.is_grad_enabled(), len(batch)))
        logits = self.module(batch.images.float().mean(dim=(1, 2, 3), keepdim=False)[:, None] / 128 - 1)
        loss, right = F.cross_entropy(logits, batch.labels), logits.argmax(1) == batch.labels
        return Step(loss, len(batch), {"right": right}, batch.labels)

    def evaluate(self, batch: Batch) -> Step:
        return self.step(batch)


def epoch(number: int, epochs: int) -> Epoch:
    """An epoch, of which the task looks at its number alone."""
    return Epoch(number, epochs, ImagePass(light_and_dark(2), nn.Identity()), torch.Generator())


def light_and_dark(count: int, seed: int = 0) -> Split:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = rng.integers(0, 128, (count, 8, 8, 3)) + 127 * labels[:, None, None, None]
    return Split(torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels))

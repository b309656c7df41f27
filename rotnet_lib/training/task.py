"""What the trainer asks of whatever it trains."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from rotnet_lib.data.loader import Batch


@dataclass(frozen=True)
class Step:
    """What a task makes of one batch.

    Attributes:
        loss: scalar, the mean over the batch's inputs; what is minimised.
        correct: metric name -> number of inputs right, scalar; the metric is their share of `inputs`, in percent.
        inputs: network inputs in the batch, rotated copies counted.
    """

    loss: torch.Tensor
    correct: Mapping[str, torch.Tensor]
    inputs: int


class Task(ABC):
    """A module to train and how a batch becomes a loss.

    Attributes:
        module: everything trained and everything saved; parameters that ask for no gradient stay as they are.
        copies: entries each image has in an epoch (see `Loader`): 1, or K where the K rotated copies of an image are
            samples of their own in a shuffled epoch.
        chance: metric -> its value in percent for guessing, for the metrics that must rise above it: training that
            stays there is stopped.
    """

    module: nn.Module
    copies: int = 1
    chance: Mapping[str, float]

    @abstractmethod
    def step(self, batch: Batch) -> Step:
        """Loss and metrics of a training batch; the module is in training mode."""

    @abstractmethod
    def evaluate(self, batch: Batch) -> Step:
        """Loss and metrics of a test batch; the module is in evaluation mode and no gradient is kept."""

"""What the trainer asks of whatever it trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

    from rotnet_lib.data.loader import Batch


@dataclass(frozen=True)
class Step:
    """What a task makes of one batch.

    Attributes:
        loss: scalar, the mean over the batch's inputs; what is minimised.
        correct: metric name -> (n,) bool, which of the network's n inputs were answered right; rotated copies count. The
            metric is their share, in percent.
        targets: (n,) int64, the right answer of each input: an index into the task's `target_names`.
        terms: `loss_<name>` -> scalar, what the loss is a weighted sum of; recorded, beside the loss, in training.
    """

    loss: torch.Tensor
    correct: Mapping[str, torch.Tensor]
    targets: torch.Tensor
    terms: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @property
    def inputs(self) -> int:
        return len(self.targets)


class Task(ABC):
    """A module to train and how a batch becomes a loss.

    Attributes:
        module: everything trained and everything saved; parameters that ask for no gradient stay as they are.
        references: modules that it reads but neither trains nor saves.
        target_names: names of the targets: classes, rotations.
        copies: how often an image is drawn per epoch (see `Loader`): 1, or K if its K rotated copies are separate samples.
        batch_copies: factor on the batch size: the loader's batch has `batch_size * batch_copies` entries.
        chance: metric -> its chance level in percent, for the metrics that must rise above it. Training that stays at chance
            is stopped.
    """

    module: nn.Module
    references: tuple[nn.Module, ...] = ()
    target_names: Sequence[str]
    copies: int = 1
    batch_copies: int = 1
    chance: Mapping[str, float]

    def starts_epoch(self, epoch: int, epochs: int) -> None:  # noqa: B027 (most tasks have nothing to do)
        """Called on every rank before each epoch: number `epoch`, from 0, of `epochs`. A resumed run starts with its next."""

    @abstractmethod
    def step(self, batch: Batch) -> Step:
        """Loss and metrics of a training batch; the module is in training mode."""

    @abstractmethod
    def evaluate(self, batch: Batch) -> Step:
        """Loss and metrics of a test batch; the module is in evaluation mode and no gradient is kept."""

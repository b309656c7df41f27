"""The interface of a VOC task: how an image becomes a sample, a loss and a prediction."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn


@dataclass(frozen=True)
class Evaluation:
    """The metrics of a run's predictions on the test split.

    Attributes:
        metrics: name -> percent.
        by_target: metric -> class (its short name) -> percent. Classes without ground truth are left out.
        details: what the task's notebook draws.
        chance: metric -> percent that guessing gives; without the metrics of which it is not known.
        notes: sentences to show with the metrics, such as what is left out of a mean.
    """

    metrics: Mapping[str, float]
    by_target: Mapping[str, Mapping[str, float]]
    details: Any
    notes: tuple[str, ...] = ()
    chance: Mapping[str, float] = field(default_factory=dict)


class VocTask(ABC):
    """A network on a prepared backbone, and its training samples.

    Attributes:
        module: what is trained and saved. Parameters that require no gradient are not trained. Its inputs are pixels in
            [0, 255].
    """

    module: nn.Module

    @abstractmethod
    def sample(self, index: int, rng: np.random.Generator) -> Any:
        """Training image `index`, augmented. Depends on its arguments only; runs in the loader's processes."""

    @abstractmethod
    def collate(self, samples: list[Any]) -> Any:
        """A batch of samples: tensors, in lists, tuples or dictionaries."""

    @abstractmethod
    def loss(self, batch: Any) -> Mapping[str, torch.Tensor]:
        """Name -> term of the loss, a scalar. The batch is on the module's device, the module in training mode."""

    @abstractmethod
    def predict(self, device: torch.device, directory: Path) -> None:
        """Write the predictions on the test split into `directory`, atomically."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups for the optimiser. `lr_factor` multiplies the learning rate; `weight_decay` is optional.

        By default biases have twice the learning rate of weights, as in the published work on VOC, which used Caffe.
        """
        trained = [(name, p) for name, p in self.module.named_parameters() if p.requires_grad]
        return [
            {"params": [p for name, p in trained if not name.endswith("bias")], "lr_factor": 1.0},
            {"params": [p for name, p in trained if name.endswith("bias")], "lr_factor": 2.0},
        ]

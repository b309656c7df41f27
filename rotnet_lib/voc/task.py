"""What the VOC stages ask of a task: how an image becomes a sample, a loss, a prediction."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn


@dataclass(frozen=True)
class Evaluation:
    """What predictions on the test split are worth.

    Attributes:
        metrics: name -> percent.
        by_target: metric -> class (its short name) -> percent; a class that cannot be judged is not among them.
        details: the task's own: what its notebook draws.
        notes: sentences that belong to the figures, such as what is left out of a mean.
    """

    metrics: Mapping[str, float]
    by_target: Mapping[str, Mapping[str, float]]
    details: Any
    notes: tuple[str, ...] = ()


class VocTask(ABC):
    """A network on a prepared backbone, and what it is trained on.

    Attributes:
        module: everything trained and everything saved; parameters that ask for no gradient stay as they are. Images enter
            it as pixels in [0, 255].
    """

    module: nn.Module

    @abstractmethod
    def sample(self, index: int, rng: np.random.Generator) -> Any:
        """Training image `index`, augmented. A function of its arguments alone; runs in the loader's processes."""

    @abstractmethod
    def collate(self, samples: list[Any]) -> Any:
        """A batch of samples: tensors, in lists, tuples or dictionaries."""

    @abstractmethod
    def loss(self, batch: Any) -> Mapping[str, torch.Tensor]:
        """The terms of the loss, scalars, of a batch on the module's device; the module is in training mode."""

    @abstractmethod
    def predict(self, device: torch.device, directory: Path) -> None:
        """Write the predictions on the test split into `directory`, atomically."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for the optimiser. `lr_factor` multiplies the rate; a group may have its own `weight_decay`.

        Unless a task says otherwise: biases learn at twice the rate, as everything published on VOC does in Caffe.
        """
        trained = [(name, p) for name, p in self.module.named_parameters() if p.requires_grad]
        return [
            {"params": [p for name, p in trained if not name.endswith("bias")], "lr_factor": 1.0},
            {"params": [p for name, p in trained if name.endswith("bias")], "lr_factor": 2.0},
        ]

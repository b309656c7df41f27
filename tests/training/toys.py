"""A toy task and its images."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from rotnet_lib.data.loader import Batch
from rotnet_lib.data.split import Split
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.seeds import seeded
from rotnet_lib.training.image_pass import ImagePass
from rotnet_lib.training.task import Epoch, EpochStart, Step, Task


class Interruptible(Task):
    """Interrupted before epoch `stop`, from 0: the one before has been recorded. None: never."""

    stop: int | None = None

    def before_epoch(self, epoch: Epoch) -> EpochStart:
        if epoch.number == self.stop:
            raise KeyboardInterrupt
        return super().before_epoch(epoch)


class Brightness(Interruptible):
    """Tell light images from dark ones by their mean: logistic regression."""

    module: nn.Linear
    metrics: Mapping[str, Metric] = {"right": Metric(chance=50.0, leaves_chance=True)}
    target_names: Sequence[str] = ("dark", "light")

    def __init__(self, stop: int | None = None) -> None:
        self.stop = stop
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


class Players(nn.Module):
    """A generator and a critic."""

    def __init__(self) -> None:
        super().__init__()
        with seeded(3):
            self.generator = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3)).double()
            self.critic = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()

    def losses(self, images: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The generator's, by a critic that it does not change, and the critic's, by what the generator made."""
        made = self.generator(noise)
        fixed = {name: parameter.detach() for name, parameter in self.critic.named_parameters()}
        of_generator = nn.functional.softplus(-functional_call(self.critic, fixed, (made,))).mean()
        real, false = self.critic(images), self.critic(made.detach())
        return of_generator, (nn.functional.softplus(-real) + nn.functional.softplus(false)).mean()


class Adversaries(Interruptible):
    """Two players, each with an Adam of its own; one backward pass of the sum of their losses."""

    module: Players

    def __init__(self, stop: int | None = None) -> None:
        self.module = Players()
        self.stop = stop

    def optimizers(self, config: TrainingConfig) -> Sequence[torch.optim.Optimizer]:
        players = (self.module.generator, self.module.critic)
        return [torch.optim.Adam(player.parameters(), lr=config.lr, betas=(0.5, 0.999)) for player in players]

    def step(self, batch: Batch) -> Step:
        images = batch.images.double().mean(dim=(2, 3)) / 128 - 1
        noise = batch.randint(1000, 2).double() / 500 - 1
        of_generator, of_critic = self.module.losses(images, noise)
        return Step(of_generator + of_critic, len(batch), terms={"loss_g": of_generator, "loss_d": of_critic})

    def evaluate(self, batch: Batch) -> Step:
        return self.step(batch)


def epoch(number: int, epochs: int) -> Epoch:
    """An epoch, of which the task looks at its number alone."""
    return Epoch(number, epochs, 2, ImagePass(light_and_dark(2), nn.Identity()), torch.Generator())


def light_and_dark(count: int, seed: int = 0) -> Split:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = rng.integers(0, 128, (count, 8, 8, 3)) + 127 * labels[:, None, None, None]
    return Split(torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels))

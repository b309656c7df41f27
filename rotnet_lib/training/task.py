"""What the trainer asks of whatever it trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

    from rotnet_lib.data.loader import Batch
    from rotnet_lib.runs.config import TrainingConfig
    from rotnet_lib.runs.metrics import Metric
    from rotnet_lib.training.image_pass import ImagePass


@dataclass(frozen=True)
class Told:
    """Right and given answers among things that have no names, such as bins of colour.

    Attributes:
        true: (n,) int64 in [0, count), the right ones.
        said: (n,) int64 in [0, count), the given ones.
        count: how many there are to choose from.
    """

    true: torch.Tensor
    said: torch.Tensor
    count: int


@dataclass(frozen=True)
class Step:
    """What a task makes of one batch.

    Attributes:
        loss: scalar, the mean over the batch's inputs; what is minimised.
        inputs: how many inputs the loss is a mean over: images, rotated copies, puzzles.
        values: metric -> (m,) bool or float, of which the metric is the mean: which answers were right (bool), an error of
            each. As a rule m is the number of inputs. Of bool values the result says the sampling error (see `shares`).
        targets: (n,) int64, the right answers, n the number of inputs, or of places in them where a task answers at each: an
            index into the task's `target_names`; None: the task has no answers to choose from. Bool values are (n,) then.
        places: (n,) int64 in [0, B), the places in the batch of the images that the targets are of, which a test step with
            more targets than images says; None: the n-th target is of the n-th image, or it is not known.
        scores: metric -> (n, K), of a test step the n logits for the K `target_names`: pages show which answer is
            given for which; empty: the task does not choose among named answers.
        told: metric -> of a test step, the answers that have no names; they are counted for the task's own pictures.
        terms: `loss_<name>` -> scalar, what the loss is a weighted sum of; recorded, beside the loss, in training.
    """

    loss: torch.Tensor
    inputs: int
    values: Mapping[str, torch.Tensor] = field(default_factory=dict)
    targets: torch.Tensor | None = None
    places: torch.Tensor | None = None
    terms: Mapping[str, torch.Tensor] = field(default_factory=dict)
    scores: Mapping[str, torch.Tensor] = field(default_factory=dict)
    told: Mapping[str, Told] = field(default_factory=dict)


@dataclass(frozen=True)
class Epoch:
    """An epoch that is about to be trained.

    Attributes:
        number: from 0.
        epochs: of the run.
        entries: how many images it draws, copies counted (`Loader.entries`).
        images: a way to read all training images.
        rng: on the CPU, a function of the run's seed and `number`, the same in every process.
    """

    number: int
    epochs: int
    entries: int
    images: ImagePass
    rng: torch.Generator


@dataclass(frozen=True)
class EpochStart:
    """What a task says of an epoch before it is trained.

    Attributes:
        order: the entries of the epoch in the order in which they are drawn (see `Loader.epoch`), on the CPU, the same in every
            process; None: all of them in random order.
        values: metric -> its value in this epoch, in the metric's unit. Such metrics have none on the test split.
    """

    order: torch.Tensor | None = None
    values: Mapping[str, float] = field(default_factory=dict)


class Task(ABC):
    """A module to train and how a batch becomes a loss.

    What it must remember of each training image is a buffer of `module` with `persistent=False`: a run that is resumed has
    it again, and the weights leave it out.

    Attributes:
        module: everything trained and everything saved; parameters that ask for no gradient stay as they are.
        references: modules that it reads but neither trains nor saves.
        metrics: what its steps measure, beside the loss.
        notes: sentences that belong to the run's figures, shown with them.
        target_names: names of the targets: classes, rotations; empty for a task without targets.
        copies: how often an image is drawn per epoch (see `Loader`): 1, or K if its K rotated copies are separate samples.
        batch_copies: factor on the batch size: the loader's batch has `batch_size * batch_copies` entries.
    """

    module: nn.Module
    references: tuple[nn.Module, ...] = ()
    metrics: Mapping[str, Metric] = MappingProxyType({})
    notes: Sequence[str] = ()
    target_names: Sequence[str] = ()
    copies: int = 1
    batch_copies: int = 1

    def optimizers(self, config: TrainingConfig) -> Sequence[torch.optim.Optimizer]:
        """The optimisers of the module's parameters. After each backward pass, of which a step has one, all of them step.

        By default it is SGD with Nesterov momentum, as `config` says. Where players train against each other, the loss is the
        sum of theirs; each player's terms see the others through detached parameters or inputs, so that no gradient of one
        reaches another.

        The learning rate of the schedule is set before each step: `lr_factor` of a parameter group multiplies it (1 where a
        group says none). Optimisers keep their state in tensors.
        """
        from rotnet_lib.training.optimizers import sgd

        return (sgd([p for p in self.module.parameters() if p.requires_grad], config),)

    def before_epoch(self, epoch: Epoch) -> EpochStart:
        """Called in every process before each epoch. A run that is resumed starts with its next epoch.

        What it says, and what it changes in the module, must be the same in every process: torch's global generator is.
        """
        return EpochStart()

    @property
    def drawn_images(self) -> torch.Tensor | None:
        """The training images that epochs draw from, (n,) int64, once the first epoch has begun; None: all."""
        return None

    def measure(self, images: ImagePass) -> Mapping[str, float]:
        """What the training images say of the network after an epoch: metric -> its value, in the metric's unit.

        Called in every process after the epoch's steps, with the module in evaluation mode and no gradient kept; it changes
        nothing. Such metrics have no value on the test split, and the same one in every process.
        """
        return {}

    @abstractmethod
    def step(self, batch: Batch) -> Step:
        """Loss and metrics of a training batch; the module is in training mode."""

    @abstractmethod
    def evaluate(self, batch: Batch) -> Step:
        """Loss and metrics of a test batch; the module is in evaluation mode and no gradient is kept."""

    def finish(self, images: ImagePass) -> None:  # noqa: B027 (most tasks have nothing to do)
        """Make the module ready for others to build on, before its weights are kept. Called in every process.

        The figures of the task itself are measured before. It depends on nothing but the module and the images, and changes
        nothing but what is in the module's state dictionary, which is put back: training may go on.
        """

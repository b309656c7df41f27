"""Noise as targets: each image learns to lie at a point of its own (Bojanowski and Joulin, ICML 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from rotnet_lib.lazy import nn, torch
from rotnet_lib.pretext.examples import Example, pictures_of
from rotnet_lib.pretext.task import TASKS, PretextTask
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.devices import exact_products
from rotnet_lib.training.task import Epoch, EpochStart, Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.models.network import Network
    from rotnet_lib.runs.config import TrainingConfig
    from rotnet_lib.runs.protocols import Values

_PUBLISHED: Values = {
    "batch_size": 256,
    "epochs": 100,
    "lr": 0.01,
    "lr_milestones": (),
    "momentum": 0.0,
    "weight_decay": 0.0,
}
"""The authors' code: plain SGD at a constant rate."""


@TASKS.register("nat")
class NoiseAsTargets(PretextTask):
    """Move each training image to a target on the sphere; the targets are fixed, and which image has which is learned.

    C has a row for each of the N training images, a random direction that never changes (`parts/noise_targets.py`); p is a
    permutation of the rows, random at the start. With f_i the network's output of unit length, the loss is the mean over a
    batch of |f_i - C[p_i]|^2 (equation 3 of the paper). In every third epoch the targets of a batch are first reassigned
    among its images, so that the sum of the losses is smallest; p stays a permutation, so that features cannot collapse.

    Metrics, of the training images: `nat_cosine`, the mean cosine of an image and its target; `nat_top1`, percent of images to
    which their own target is the nearest of the batch's. A test image has no target: the test loss is what its batch has after
    it is matched with targets that no training image has. It tells how evenly features lie on the sphere: it is 2 where all
    images have one feature.
    """

    metrics: Mapping[str, Metric] = MappingProxyType(
        {
            "nat_top1": Metric(tested=False, title="Own target nearest"),
            "nat_cosine": Metric("", tested=False, title="Cosine with the target"),
        }
    )
    module: Network
    title = "Noise as targets"
    paper = "nat"
    protocol: ClassVar[Mapping[str, Values]] = {
        "imagenet": {"augment": "random-crop", **_PUBLISHED},
        "cifar10": {"augment": "random-crop", **_PUBLISHED},  # none is published for small images
    }

    class Options(BaseModel):
        """The targets, and what the network sees."""

        model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

        dimension: int = Field(128, ge=2, le=65_536, description="D, the dimension of features and targets (ImageNet: 2048)")
        every: int = Field(3, ge=1, description="targets are reassigned in the first of every so many epochs")
        input: Literal["rgb", "gradient"] = Field(
            "rgb", description="what the first convolution reads: colours, or each image's gradient (the paper)"
        )

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        from rotnet_lib.models.network import Network

        self.options = options
        self.reassigning = True
        self.images = len(data.train)
        self.module = Network(backbone, options.dimension, data.image_size)
        again = ", ".join(str(1 + options.every * time) for time in range(3))
        self.notes = (
            f"In epochs {again} and so on each batch's targets are reassigned before its loss: figures of training are "
            "better in these epochs.",
        )
        # The row of each image. It is no part of the weights; a run that is resumed has it again.
        self.module.register_buffer("rows", torch.arange(self.images), persistent=False)

    @classmethod
    def inputs_of(cls, options: Options) -> str:
        return options.input

    def optimizers(self, config: TrainingConfig) -> Sequence[torch.optim.Optimizer]:
        from rotnet_lib.training.optimizers import sgd

        # The authors' loss is the sum over a batch, and their rate is for it.
        return (sgd([{"params": list(self.module.parameters()), "lr_factor": config.batch_size}], config),)

    def before_epoch(self, epoch: Epoch) -> EpochStart:
        self.reassigning = epoch.number % self.options.every == 0
        if epoch.number == 0:
            self._rows.copy_(torch.randperm(self.images, generator=epoch.rng))
        return EpochStart()

    @property
    def _rows(self) -> torch.Tensor:
        """p, (N,) int64."""
        return self.module.get_buffer("rows")

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """f of images (B, 3, S, S): (B, D) of unit length, in float32 or better."""
        found = self.module(images)
        with torch.autocast(found.device.type, enabled=False):
            return nn.functional.normalize(found.to(torch.promote_types(found.dtype, torch.float32)), dim=1)

    def step(self, batch: Batch) -> Step:
        """Every process reassigns the targets of the whole batch, each in the same way."""
        from rotnet_lib.pretext.parts.noise_targets import matched, noise_targets
        from rotnet_lib.training.collectives import all_gather_rows

        features = self.features(batch.images)
        with exact_products(features.device):
            everyone, index = all_gather_rows(batch, features.detach(), batch.index)
            if self.reassigning:
                found = noise_targets(self._rows[index], self.options.dimension).to(features.dtype)
                images, givers = matched(everyone @ found.T, index)
                self._rows[images] = self._rows[givers]
            targets = noise_targets(self._rows[index], self.options.dimension).to(features.dtype)
            own = noise_targets(self._rows[batch.index], self.options.dimension).to(features.dtype)
            cosine = (features * own).sum(1)
            nearest = index[(features.detach() @ targets.T).argmax(1)]
        values = {"nat_top1": nearest == batch.index, "nat_cosine": cosine.detach()}
        return Step((2 - 2 * cosine).mean(), len(batch), values)

    def evaluate(self, batch: Batch) -> Step:
        from rotnet_lib.pretext.parts.noise_targets import matched, noise_targets

        features = self.features(batch.images)
        fresh = noise_targets(self.images + batch.index, self.options.dimension).to(features.dtype)
        with exact_products(features.device):
            similarity = features @ fresh.T
        images, givers = matched(similarity, torch.arange(len(batch), device=similarity.device))
        return Step((2 - 2 * similarity[images, givers]).mean(), len(batch))

    def examples(self, batch: Batch) -> list[Example]:
        """Each image, the maps that the network sees of it where these are no colours, and the other image with the nearest
        features."""
        from rotnet_lib.pretext.parts.seen_inputs import seen_inputs

        if len(batch) < 2:
            return []
        features = self.features(batch.images)
        with exact_products(features.device):
            similarity = (features @ features.T).fill_diagonal_(-torch.inf)
        cosine, nearest = similarity.max(1)
        shown = torch.cat([seen_inputs(self.module.backbone, batch.images), batch.images[nearest][:, None]], 1)
        count = shown.shape[1]
        return [
            Example(pictures, count, f"and the nearest of the other images shown: cosine {value:.2f}", None)
            for pictures, value in zip(pictures_of(shown.flatten(0, 1), count), cosine.tolist(), strict=True)
        ]

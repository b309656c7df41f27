"""Rotation prediction and instance discrimination on one backbone (docs/protocol.md, "Questions", 9)."""

from typing import Any

import torch
from pydantic import Field, field_validator
from torch import nn

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Batch
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.network import Network
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.pretext.task import TASKS
from rotnet_lib.training.task import Step


class InstanceNetwork(Network):
    """A `Network` with a second head, `project`, to embeddings, and the memory of every training image's embedding."""

    bank: torch.Tensor

    def __init__(self, backbone: Backbone, classes: int, image_size: int, *, images: int, dimension: int) -> None:
        super().__init__(backbone, classes, image_size)
        channels, _, _ = backbone.shape(backbone.taps[-1], image_size)
        self.project = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, dimension))
        self.register_buffer("bank", torch.zeros(images, dimension))

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As `nn.Module.compile`, for `both` too: it is what training calls."""
        super().compile(*args, **kwargs)
        self.both = torch.compile(self.both, *args, **kwargs)  # type: ignore[method-assign]

    def both(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (N, 3, S, S) to logits (N, classes) and embeddings (N, D), not normalised, in one pass."""
        features = self.backbone(images)
        return self.head(features), self.project(features)


@TASKS.register("rotation-instance")
class RotationInstance(Rotation):
    """Predict the rotation and, from the mean embedding of an image's rotated copies, which image it is.

    L = L_rotation + instance_weight * L_n. L_n = -1/N sum_i log P(i | f_i), f_i the normalised mean embedding of image i's
    copies, P(i | f) = exp(v_i.f / temperature) / sum_j exp(v_j.f / temperature) over a memory bank v of the training images
    (Wu et al. 2018, section 3, here with the full softmax; on the mean of the copies as Feng, Xu, Tao 2019, section 3.3,
    have it). v_i becomes the normalised momentum * v_i + (1 - momentum) * f_i. Metric: `rotation_top1`, as `Rotation`.

    Unlike in Wu et al. the bank starts empty: an image enters it when it is first seen, and counts in L_n from then on. A bank
    of random vectors asks a whole epoch for noise, and a short run does not recover: rotation accuracy stayed at chance.
    """

    class Options(Rotation.Options):
        """Those of `rotation`, and the instance loss's."""

        instance_weight: float = Field(1.0, ge=0, description="factor on the instance loss")
        temperature: float = Field(0.07, gt=0, description="of the softmax over instances")
        momentum: float = Field(0.5, ge=0, lt=1, description="what an image's place in the bank keeps at an update")
        dimension: int = Field(128, ge=1, description="of the embedding")

        @field_validator("copies")
        @classmethod
        def _together(cls, copies: str) -> str:
            if copies != "all":
                raise ValueError(f"the instance loss needs an image's copies in one batch: all, not '{copies}'")
            return copies

    options: Options
    module: InstanceNetwork
    parallel = False  # the bank learns from a batch too, and processes do not share it

    def make_module(self, backbone: Backbone, data: Dataset) -> InstanceNetwork:
        return InstanceNetwork(
            backbone, len(self.angles), data.image_size, images=len(data.train), dimension=self.options.dimension
        )

    def score(self, images: torch.Tensor, labels: torch.Tensor, batch: Batch) -> Step:
        logits, embeddings = self.module.both(images)
        rotation = self.rotation_step(logits, labels, batch)
        # The mean over the copies, which stand one rotation after the other.
        mean = embeddings.float().view(len(self.angles), len(batch), -1).mean(0)
        with torch.autocast(images.device.type, enabled=False):  # the temperature makes bf16's rounding count
            embedding = nn.functional.normalize(mean, dim=1)
            bank = self.module.bank.clone()  # the backward pass reads it, and the update below writes into the original
            seen = bank.any(1)
            scores = (embedding @ bank.T / self.options.temperature).masked_fill(~seen, -torch.inf)
            new = ~seen[batch.index]
            scores = scores.masked_fill(new[:, None], 0.0)  # any finite number: these rows do not count
            losses = nn.functional.cross_entropy(scores, batch.index, reduction="none")
            instance = losses.masked_fill(new, 0.0).sum() / len(batch)
        self._remember(embedding.detach(), batch.index)
        return Step(rotation.loss + self.options.instance_weight * instance, rotation.correct, labels)

    @torch.no_grad()
    def _remember(self, embedding: torch.Tensor, index: torch.Tensor) -> None:
        kept = self.options.momentum * self.module.bank[index] + (1 - self.options.momentum) * embedding
        self.module.bank[index] = nn.functional.normalize(kept, dim=1)

"""Rotation Feature Decoupling (Feng, Xu, Tao, CVPR 2019; docs/protocol.md, the section of that name)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from rotnet_lib.lazy import torch
from rotnet_lib.pretext.instance_discrimination import InstanceDiscrimination, InstanceOptions
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.pretext.task import TASKS

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.pretext.parts.instance_network import InstanceNetwork
    from rotnet_lib.runs.protocols import Values
    from rotnet_lib.training.task import Step


_CHANGES = (90, 130, 190, 210, 230)
"""Epochs, of 245, after which the rate changes: 0.01, 0.001, 1e-4, 1e-5, and again 1e-4, 1e-5."""


@TASKS.register("decoupling")
class Decoupling(InstanceDiscrimination):
    """Half of the features predict the rotation; the other half is the same for all rotations and tells images apart.

    The last layer's channels are split in two: f1, the first half, and f2. On AlexNet these are fc7's 4096 numbers, 2048 and
    2048; on a NIN the channels of its last block, 96 and 96, averaged over the map, for the maps of rotated copies lie rotated
    to each other (f1's head averages as well, as RotNet's does). With K rotations, N images and f-bar_i the mean of f2 over
    image i's copies:

    L = lambda_c L_c + lambda_r L_r + lambda_n L_n
    L_c = 1/(NK) sum w_{i,y} CE(F_c(f1_{i,y}), y), w from `PretrainConfig.pu_weights` (see `PuWeights`), 1 without it
    L_r = 1/(NK) sum d(f2_{i,y}, f-bar_i), d the mean squared difference; f-bar is a constant to it
    L_n = instance discrimination on the projected, normalised f-bar_i: see `MemoryBank`

    Metric: `rotation_top1`, as `Rotation`.
    """

    class Options(InstanceOptions):
        """Those of instance discrimination, and the factors of the three losses."""

        lambda_c: float = Field(1.0, gt=0, description="factor on L_c, predicting the rotation")
        lambda_r: float = Field(1.0, ge=0, description="factor on L_r, f2 being the same for all rotations")
        lambda_n: float = Field(1.0, ge=0, description="factor on L_n, instance discrimination")
        pu_after: float = Field(
            6 / 7, ge=0, lt=1, description="with pu_weights: they apply after this fraction of the epochs, at least in the last"
        )
        negatives: int | None = Field(
            4096, ge=1, description="negatives drawn per image (NCE); None: all images, the full softmax"
        )

    options: Options
    title = "Feature decoupling"
    paper = "decoupling"
    protocol: ClassVar[Mapping[str, Values]] = {
        **Rotation.protocol,  # on NIN none is published: as RotNet's
        "imagenet": {
            "augment": "resized-crop",
            "epochs": 245,
            "lr_milestones": tuple(epoch / 245 for epoch in _CHANGES),
            "lr_decay": (0.1, 0.1, 0.1, 10.0, 0.1),
        },
    }

    def make_module(self, backbone: Backbone, data: Dataset) -> InstanceNetwork:
        from rotnet_lib.pretext.parts.instance_network import InstanceNetwork

        bank = self.make_bank(len(data.train)) if self.options.lambda_n else None
        return InstanceNetwork(backbone, len(self.angles), data.image_size, bank, split=True)

    def score(self, images: torch.Tensor, labels: torch.Tensor, batch: Batch) -> Step:
        logits, features = self.module.both(images)
        rotation = self.rotation_step(logits, labels, batch)
        terms = {"loss_c": rotation.loss}
        loss = self.options.lambda_c * rotation.loss
        with torch.autocast(images.device.type, enabled=False):
            # The copies stand one rotation after the other.
            f2 = features.view(len(self.angles), len(batch), -1)
            mean = f2.mean(0)
            terms["loss_r"] = (f2 - mean.detach()).square().mean()
            loss = loss + self.options.lambda_r * terms["loss_r"]
            if self.options.lambda_n:
                terms["loss_n"] = self.instance_loss(mean, batch)
                loss = loss + self.options.lambda_n * terms["loss_n"]
        return replace(rotation, loss=loss, terms=terms)

"""Rotation prediction and instance discrimination on one backbone (docs/protocol.md, "Questions", 9)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from rotnet_lib.lazy import torch
from rotnet_lib.pretext.instance_discrimination import InstanceDiscrimination, InstanceOptions
from rotnet_lib.pretext.task import TASKS

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.pretext.parts.instance_network import InstanceNetwork
    from rotnet_lib.training.task import Step


@TASKS.register("rotation-instance")
class RotationInstance(InstanceDiscrimination):
    """Predict the rotation and, from the mean embedding of an image's rotated copies, which image it is.

    L = L_rotation + instance_weight * L_n, both on all of the last layer's features: see `MemoryBank` for L_n (Wu et al. 2018,
    section 3; on the mean of the copies as Feng, Xu, Tao 2019, section 3.3, have it). Metric: `rotation_top1`, as `Rotation`.
    """

    class Options(InstanceOptions):
        """Those of instance discrimination, and the factor of its loss."""

        instance_weight: float = Field(1.0, ge=0, description="factor on the instance loss")

    options: Options
    title = "RotNet with instance discrimination"

    def make_module(self, backbone: Backbone, data: Dataset) -> InstanceNetwork:
        from rotnet_lib.pretext.parts.instance_network import InstanceNetwork

        return InstanceNetwork(backbone, len(self.angles), data.image_size, self.make_bank(len(data.train)))

    def score(self, images: torch.Tensor, labels: torch.Tensor, batch: Batch) -> Step:
        logits, features = self.module.both(images)
        rotation = self.rotation_step(logits, labels, batch)
        with torch.autocast(images.device.type, enabled=False):
            # The mean over the copies, which stand one rotation after the other.
            mean = features.view(len(self.angles), len(batch), -1).mean(0)
            instance = self.instance_loss(mean, batch)
        loss = rotation.loss + self.options.instance_weight * instance
        terms = {"loss_rotation": rotation.loss, "loss_instance": instance}
        return replace(rotation, loss=loss, terms=terms)

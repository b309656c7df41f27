"""Supervised training, the upper baseline, through the same trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import torch
from rotnet_lib.pretext.task import TASKS, PretextTask
from rotnet_lib.training.task import Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone


@TASKS.register("labels")
class Labels(PretextTask):
    """Predict the class label. Metric `top1`: percent of test images right (table 3, "Supervised NIN")."""

    metric_names = ("top1",)

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        if len(data.classes) < 2:
            raise RotnetError(f"task 'labels' needs at least two classes; {data.title} has {len(data.classes)}.")
        from rotnet_lib.models.network import Network

        self.module = Network(backbone, len(data.classes), data.image_size)
        self.chance = {"top1": 100 / len(data.classes)}
        self.target_names = data.classes

    def step(self, batch: Batch) -> Step:
        logits = self.module(batch.images)
        loss = torch.nn.functional.cross_entropy(logits, batch.labels)
        return Step(loss, {"top1": logits.argmax(1) == batch.labels}, batch.labels)

    def evaluate(self, batch: Batch) -> Step:
        return self.step(batch)

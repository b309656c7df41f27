"""Supervised training, the upper baseline, through the same trainer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import torch
from rotnet_lib.pretext.examples import Example
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.pretext.task import TASKS, PretextTask
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.task import Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.runs.protocols import Values


@TASKS.register("labels")
class Labels(PretextTask):
    """Predict the class label. Metric `top1`: percent of test images right (table 3, "Supervised NIN")."""

    metrics: Mapping[str, Metric] = MappingProxyType({"top1": Metric(title="Top-1 accuracy")})
    title = "Supervised"
    protocol: ClassVar[Mapping[str, Values]] = Rotation.protocol  # the papers give none for supervised training

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        if len(data.classes) < 2:
            raise RotnetError(f"task 'labels' needs at least two classes; {data.title} has {len(data.classes)}.")
        from rotnet_lib.models.network import Network

        self.module = Network(backbone, len(data.classes), data.image_size)
        self.metrics = {"top1": Metric(chance=100 / len(data.classes), leaves_chance=True)}
        self.target_names = data.classes

    def step(self, batch: Batch) -> Step:
        return self._score(self.module(batch.images), batch)

    def evaluate(self, batch: Batch) -> Step:
        logits = self.module(batch.images)
        return replace(self._score(logits, batch), scores={"top1": logits})

    def _score(self, logits: torch.Tensor, batch: Batch) -> Step:
        loss = torch.nn.functional.cross_entropy(logits, batch.labels)
        return Step(loss, len(batch), {"top1": logits.argmax(1) == batch.labels}, batch.labels)

    def examples(self, batch: Batch) -> list[Example]:
        """Each image with its class."""
        probability, said = self.module(batch.images).float().softmax(1).max(1)
        pixels = batch.images.permute(0, 2, 3, 1).cpu().numpy()
        return [
            Example([image], 1, f"true {self.target_names[true]}\nsaid {self.target_names[answer]}", answer == true, (sure,))
            for image, true, answer, sure in zip(
                pixels, batch.labels.tolist(), said.tolist(), probability.tolist(), strict=True
            )
        ]

"""Classifiers on a backbone's layers, as a task for the trainer."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import nn

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Batch
from rotnet_lib.evaluation.views import Combine, Views, view_features
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.classifiers import make_classifier
from rotnet_lib.seeds import seeded
from rotnet_lib.stages.classifier_config import ClassifierConfig
from rotnet_lib.stages.train import Outcome, train_stage
from rotnet_lib.training.task import Step, Task


class ClassifierStack(nn.Module):
    """A backbone, frozen or not, with a classifier on each of some of its layers.

    A frozen backbone stays in evaluation mode: its batch norm keeps the statistics it was trained with.
    """

    def __init__(
        self,
        backbone: Backbone,
        heads: dict[str, nn.Module],
        *,
        freeze: bool,
        views: Views = "one",
        combine: Combine = "average",
    ) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(not freeze)
        self.heads = nn.ModuleDict(heads)
        self.freeze = freeze
        self.views: Views = views
        self.combine: Combine = combine

    def train(self, mode: bool = True) -> "ClassifierStack":
        super().train(mode)
        self.backbone.train(mode and not self.freeze)
        return self

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Images (N, 3, S, S), uint8 or float in [0, 255], to logits (N, classes) by layer, in one pass."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze):
            features = view_features(self.backbone, images, self.heads, self.views, self.combine)
        return {layer: head(features[layer]) for layer, head in self.heads.items()}


class ClassifierTask(Task):
    """Train classifiers on a backbone's layers with labels. Metrics `<layer>_top1`, percent of test images right.

    With a frozen backbone the classifiers are independent: each starts from its own seed and the losses are added, so
    every one ends as it would alone.
    """

    chance: Mapping[str, float] = MappingProxyType({})
    """None: a layer may truly hold nothing about the classes."""

    def __init__(self, backbone: Backbone, config: ClassifierConfig, data: Dataset, *, freeze: bool) -> None:
        backbone.cut_after(max(config.layers, key=backbone.taps.index))
        sample = torch.zeros(1, 3, data.image_size, data.image_size, dtype=torch.uint8)
        backbone.eval()
        with torch.no_grad():
            features = view_features(backbone, sample, config.layers, config.views, config.combine)
        heads = {}
        for layer in config.layers:
            _, channels, height, width = features[layer].shape
            shape = (channels, height, width)
            with seeded(config.seed, "classifier", layer):
                heads[layer] = make_classifier(config.classifier, backbone, layer, shape, len(data.classes))
        self.module = ClassifierStack(backbone, heads, freeze=freeze, views=config.views, combine=config.combine)
        self.target_names = data.classes

    def step(self, batch: Batch) -> Step:
        logits = self.module(batch.images)
        losses = [torch.nn.functional.cross_entropy(scores, batch.labels) for scores in logits.values()]
        correct = {f"{layer}_top1": scores.argmax(1) == batch.labels for layer, scores in logits.items()}
        return Step(torch.stack(losses).sum(), correct, batch.labels)

    def evaluate(self, batch: Batch) -> Step:
        return self.step(batch)


def train_classifiers(config: ClassifierConfig, *, freeze: bool) -> Outcome:
    """Train classifiers on the config's backbone and layers; see `train_stage`."""

    def make(data: Dataset) -> tuple[Task, Backbone]:
        backbone = config.make_backbone(data)
        return ClassifierTask(backbone, config, data, freeze=freeze), backbone

    return train_stage(config, make)

"""Classifiers on a backbone's layers, as a task for the trainer."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Batch
from rotnet_lib.evaluation.view_features import view_features
from rotnet_lib.evaluation.views import Combine, Views
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.classifiers import make_classifier
from rotnet_lib.models.split import Half
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.seeds import seeded
from rotnet_lib.training.task import Step, Task


class ClassifierStack(nn.Module):
    """A backbone, frozen or not, with a classifier on each of several layers.

    A frozen backbone stays in evaluation mode: its batch norms keep the statistics of its training.
    """

    def __init__(
        self,
        backbone: Backbone,
        heads: dict[str, nn.Module],
        *,
        freeze: bool,
        views: Views = "one",
        combine: Combine = "average",
        half: Half = "both",
    ) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(not freeze)
        self.heads = nn.ModuleDict(heads)
        self.freeze = freeze
        self.views: Views = views
        self.combine: Combine = combine
        self.read: Half = half

    def train(self, mode: bool = True) -> "ClassifierStack":
        super().train(mode)
        self.backbone.train(mode and not self.freeze)
        return self

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Images (N, 3, S, S), uint8 or float in [0, 255], to layer -> logits (N, classes), in one pass of the backbone."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze):
            features = view_features(self.backbone, images, self.heads, self.views, self.combine, self.read)
        return {layer: head(features[layer]) for layer, head in self.heads.items()}


class ClassifierTask(Task):
    """Train classifiers on a backbone's layers with labels. Metrics `<layer>_top1`, accuracy in percent.

    With a frozen backbone the classifiers are independent: each starts from its own seed and the loss is the sum of theirs,
    so each ends as it would alone.

    Args:
        backbone: its blocks above the deepest layer are dropped.
        data: gives the image size and the classes.
        layers: distinct taps of the backbone.
        classifier: registered, the same on each layer.
        views, combine, half: see `view_features`.
        freeze: train the classifiers only.
        seed: of the classifiers' initial weights.
    """

    def __init__(
        self,
        backbone: Backbone,
        data: Dataset,
        *,
        layers: Sequence[str],
        classifier: str,
        views: Views = "one",
        combine: Combine = "average",
        half: Half = "both",
        freeze: bool,
        seed: int,
    ) -> None:
        backbone.cut_after(max(layers, key=backbone.taps.index))
        sample = torch.zeros(1, 3, data.image_size, data.image_size, dtype=torch.uint8)
        backbone.eval()
        with torch.no_grad():
            features = view_features(backbone, sample, layers, views, combine)
        heads = {}
        for layer in layers:
            _, channels, height, width = features[layer].shape
            shape = (channels, height, width)
            with seeded(seed, "classifier", layer):
                heads[layer] = make_classifier(classifier, backbone, layer, shape, len(data.classes))
        self.module = ClassifierStack(backbone, heads, freeze=freeze, views=views, combine=combine, half=half)
        self.target_names = data.classes
        # Accuracy at chance is no failure: a layer may hold nothing about the classes.
        self.metrics = {f"{layer}_top1": Metric(chance=100 / len(data.classes)) for layer in layers}

    def step(self, batch: Batch) -> Step:
        return self._score(self.module(batch.images), batch)

    def evaluate(self, batch: Batch) -> Step:
        logits = self.module(batch.images)
        return replace(self._score(logits, batch), scores={f"{layer}_top1": scores for layer, scores in logits.items()})

    def _score(self, logits: dict[str, torch.Tensor], batch: Batch) -> Step:
        losses = [torch.nn.functional.cross_entropy(scores, batch.labels) for scores in logits.values()]
        correct = {f"{layer}_top1": scores.argmax(1) == batch.labels for layer, scores in logits.items()}
        return Step(torch.stack(losses).sum(), len(batch), correct, batch.labels)

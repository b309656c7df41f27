"""The network that says which classes an image shows, its training samples, and the evaluation of its scores."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from tqdm import tqdm

from rotnet_lib.data.voc.sets import VocSet
from rotnet_lib.data.voc.split import VocSplit
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.seeds import derive, seeded
from rotnet_lib.voc.classification_config import ClassificationConfig
from rotnet_lib.voc.crops import random_square
from rotnet_lib.voc.scores import SCORES, Curve, Scores, average_precision, chance_precision, curve, read_scores
from rotnet_lib.voc.task import Evaluation, VocTask

_DROPPED = ("fc6", "fc7")
"""Layers that are followed by dropout."""
_BATCH = 128
"""Largest batch of crops in prediction."""


class VocClassifier(nn.Module):
    """A prepared backbone with dropout after fc6 and fc7, and `fc8`, which gives a logit for each class.

    fc8 is initialised with weights of N(0, 0.01) and biases of 0.1, as in philkr/voc-classification.
    """

    def __init__(self, backbone: Backbone, classes: int, dropout: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        channels, _, _ = backbone.shape(backbone.taps[-1], max(backbone.min_image_size, 32))
        self.fc8 = nn.Linear(channels, classes)
        nn.init.normal_(self.fc8.weight, 0.0, 0.01)
        nn.init.constant_(self.fc8.bias, 0.1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, 3, S, S), uint8 or float in [0, 255], to logits (N, C)."""
        x = self.backbone.normalize(images)
        for name, block in self.backbone.blocks.items():
            x = block(x)
            if name in _DROPPED:
                x = self.dropout(x)
        logits: torch.Tensor = self.fc8(x.flatten(1))
        return logits


def presence_loss(logits: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Sigmoid cross-entropy, summed over the classes and averaged over the images.

    Args:
        logits: (N, C).
        present: (N, C) integers: 1 present, 0 absent, -1 difficult objects only, which add no loss.

    Returns:
        Scalar.
    """
    losses = nn.functional.binary_cross_entropy_with_logits(logits, present.clamp(min=0).to(logits), reduction="none")
    return losses.masked_fill(present < 0, 0).sum() / len(logits)


class ClassificationTask(VocTask):
    """Trains fc6-fc8 or all layers on random squares of training images; scores each test image on ten random squares."""

    def __init__(self, backbone: Backbone, config: ClassificationConfig, voc: VocSet) -> None:
        with seeded(config.seed, "fc8"):
            self.module: nn.Module = VocClassifier(backbone, len(voc.classes), config.dropout)
        if config.trained == "fc6-8":
            for name, block in backbone.blocks.items():
                block.requires_grad_(name in _DROPPED)
        self.config = config
        self.voc = voc

    def sample(self, index: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """(3, S, S) uint8 and (C,) int8 as `VocSplit.present`."""
        image = Image.fromarray(self.voc.train.image(index))
        return self._square(image, rng), torch.from_numpy(self.voc.train.present(index))

    def collate(self, samples: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
        images, present = zip(*samples, strict=True)
        return torch.stack(images), torch.stack(present)

    def loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        images, present = batch
        return {"loss": presence_loss(self.module(images), present)}

    @torch.inference_mode()
    def predict(self, device: torch.device, directory: Path) -> None:
        """Write `scores.csv`: for each test image the mean logits over its crops, and the logits of the first crop.

        A crop depends on the seed, the image's place in the split and the crop's number only. Logits are averaged, not
        probabilities, as in philkr/voc-classification.
        """
        test, crops = self.voc.test, self.config.crops
        mode = self.module.training
        self.module.eval()
        found = []
        with tqdm(total=len(test) * crops, unit=" crops", desc="predicting") as bar:
            for batch in self._batches(test):
                found.append(self.module(batch.to(device)).float().cpu())
                bar.update(len(batch))
        self.module.train(mode)
        logits = torch.cat(found).view(len(test), crops, -1).numpy()
        values = {1: logits[:, 0], crops: logits.mean(1)}  # a single entry if there is one crop
        Scores(test.names, self.voc.classes, values).write(directory / SCORES)

    def _batches(self, split: VocSplit) -> Iterator[torch.Tensor]:
        """The crops of all images, in order, as batches (B, 3, S, S) uint8."""
        waiting: list[torch.Tensor] = []
        for index in range(len(split)):
            image = Image.fromarray(split.image(index))
            for crop in range(self.config.crops):
                rng = np.random.default_rng(derive(self.config.seed, "test crop", index, crop))
                waiting.append(self._square(image, rng))
                if len(waiting) == _BATCH:
                    yield torch.stack(waiting)
                    waiting = []
        if waiting:
            yield torch.stack(waiting)

    def _square(self, image: Image.Image, rng: np.random.Generator) -> torch.Tensor:
        c = self.config
        return random_square(image, c.image_size, rng, min_scale=c.min_scale, max_scale=c.max_scale)


@dataclass(frozen=True)
class ClassificationDetails:
    """What the notebook draws and says.

    Attributes:
        curves: class (short name) -> recall and precision, of the mean over the crops.
        positives: class -> number of test images with an object of it that is not difficult.
        left_out: classes without such an image. They have no average precision and are not in the mean.
    """

    curves: Mapping[str, Curve]
    positives: Mapping[str, int]
    left_out: tuple[str, ...]


def evaluate_classification(config: ClassificationConfig, voc: VocSet, directory: Path) -> Evaluation:
    """Evaluate the scores that a run wrote: `map` (scores averaged over the config's crops) and `map_1crop`, in percent.

    A class that no test image shows has no average precision. It is left out of the mean and named in a note.

    Raises RotnetError as `read_scores`, and if no test image shows an object that is not difficult.
    """
    scores = read_scores(directory / SCORES, voc.test.names, voc.classes)
    present = np.stack([voc.test.present(index) for index in range(len(voc.test))])
    by_target: dict[str, dict[str, float]] = {}
    for metric, crops in (("map", config.crops), ("map_1crop", 1)):
        if crops not in scores.values:
            raise RotnetError(
                f"{directory / SCORES} has no scores of {crops} crops. Delete the run's directory and run it again."
            )
        found = [average_precision(present[:, c], scores.values[crops][:, c]) for c in range(len(voc.classes))]
        by_target[metric] = {name: ap for name, ap in zip(voc.short, found, strict=True) if ap is not None}
    if not by_target["map"]:
        raise RotnetError(f"{voc.name}: no test image shows an object that counts. Raise test_size, now {len(voc.test)}.")
    best = scores.values[config.crops]
    shown = {name: place for place, name in enumerate(voc.short) if name in by_target["map"]}
    details = ClassificationDetails(
        curves={name: curve(present[:, place], best[:, place]) for name, place in shown.items()},
        positives={name: int((present[:, place] == 1).sum()) for place, name in enumerate(voc.short)},
        left_out=tuple(name for name in voc.short if name not in shown),
    )
    metrics = {metric: float(np.mean(list(found.values()))) for metric, found in by_target.items()}
    guessed = [ap for place in shown.values() if (ap := chance_precision(present[:, place])) is not None]
    notes = ["Chance is what a random order of the test images is expected to give."]
    if details.left_out:
        notes.append(f"Left out of the mean, since no test image shows them: {', '.join(details.left_out)}.")
    return Evaluation(metrics, by_target, details, tuple(notes), dict.fromkeys(metrics, float(np.mean(guessed))))

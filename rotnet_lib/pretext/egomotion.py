"""Egomotion on still images: how was this image moved and turned (Agrawal, Carreira, Malik, ICCV 2015, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from rotnet_lib.lazy import nn, torch
from rotnet_lib.models.arch import scaled
from rotnet_lib.pretext.examples import Example, pictures_of
from rotnet_lib.pretext.parts.moved_task import MotionOptions, MovedTask
from rotnet_lib.pretext.task import TASKS
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.task import Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone

_MAPS, _FEATURES = (256, 128), 500
"""Channels of the two convolutions and features of the layer above a pair's maps, at width 1."""
_KINDS = ("down", "right", "turn")
"""What the three answers are about: see `MovedTask.motions`."""
_TITLES = ("Steps down, accuracy", "Steps to the right, accuracy", "Turn, accuracy")


@TASKS.register("egomotion")
class Egomotion(MovedTask):
    """Tell by how many steps an image was moved downwards, to the right, and turned.

    Both pictures go through one backbone; two convolutions and two layers see both. The loss is the sum of three
    cross-entropies, one for each kind of motion. Metrics `down_top1`, `right_top1` and `turn_top1`, percent.
    """

    metrics: Mapping[str, Metric] = MappingProxyType(
        {f"{kind}_top1": Metric(title=title) for kind, title in zip(_KINDS, _TITLES, strict=True)}
    )
    title = "Egomotion"
    paper = "egomotion"
    same_in_processes: ClassVar[Mapping[str, Any]] = {"dropout": 0.0}

    class Options(MotionOptions):
        """The motions, and the dropout."""

        dropout: float = Field(0.5, ge=0, lt=1, description="dropout in the layer above the convolutions")

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        from rotnet_lib.pretext.parts.parts_network import PartsNetwork

        self.prepare(backbone, data, options)
        channels, height, width = backbone.shape(backbone.taps[-1], self.side)
        first, second = (scaled(count, backbone.width) for count in _MAPS)
        features = scaled(_FEATURES, backbone.width)
        head = nn.Sequential(
            nn.Unflatten(1, (2 * channels, height, width)),
            nn.Conv2d(2 * channels, first, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(second * height * width, features),
            nn.ReLU(inplace=True),
            nn.Dropout(options.dropout),
            nn.Linear(features, sum(self.motions)),
        )
        self.module = PartsNetwork(backbone, 2, nn.Identity(), head)
        self.metrics = {f"{kind}_top1": Metric(chance=100 / count) for kind, count in zip(_KINDS, self.motions, strict=True)}

    def step(self, batch: Batch) -> Step:
        return self._score(batch, self.draw(batch))

    def evaluate(self, batch: Batch) -> Step:
        return replace(self._score(batch, self.of_test(batch)), terms={})

    def examples(self, batch: Batch) -> list[Example]:
        """Each image and the same after its motion."""
        motions = self.of_test(batch)
        pairs = self.pairs(batch.images, motions)
        answers = [logits.float().softmax(1).max(1) for logits in self._logits(pairs)]
        probability, said = (torch.stack(found, 1).tolist() for found in zip(*answers, strict=True))
        return [
            Example(shown, 2, f"true {self.described(*true)}\nsaid {self.described(*answer)}", answer == true, tuple(sure))
            for shown, true, answer, sure in zip(pictures_of(pairs, 2), motions.tolist(), said, probability, strict=True)
        ]

    def _logits(self, pairs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, n) for each kind of motion, n of which there are."""
        found: tuple[torch.Tensor, ...] = self.module(pairs).split(self.motions, 1)
        return found

    def _score(self, batch: Batch, motions: torch.Tensor) -> Step:
        losses, correct = {}, {}
        for kind, logits, true in zip(_KINDS, self._logits(self.pairs(batch.images, motions)), motions.unbind(1), strict=True):
            losses[f"loss_{kind}"] = torch.nn.functional.cross_entropy(logits, true)
            correct[f"{kind}_top1"] = logits.argmax(1) == true
        return Step(torch.stack(list(losses.values())).sum(), len(batch), correct, terms=losses)

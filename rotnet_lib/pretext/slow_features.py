"""Slow features: an image that was moved a little stays near itself (Agrawal et al., ICCV 2015, section 3.4; the baseline of
egomotion)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import Field

from rotnet_lib.lazy import nn, torch
from rotnet_lib.pretext.examples import Example, pictures_of
from rotnet_lib.pretext.parts.moved_task import MotionOptions, MovedTask
from rotnet_lib.pretext.task import TASKS
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.task import Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.runs.config import TrainingConfig


@TASKS.register("slow-features")
class SlowFeatures(MovedTask):
    """Features of an image and of the same after a motion are near each other, those of two images are not.

    The features are the backbone's last maps, the motions those of egomotion. With d the distance of a pair's features, y = 1
    for an image and itself moved and y = 0 for an image and another one moved, of which there are equally many, the loss is
    the mean of (y d^2 + (1 - y) max(0, m - d)^2) / 2. Metric `slow_top1`: percent of images nearer to themselves than to the
    other image.
    """

    metrics: Mapping[str, Metric] = MappingProxyType({"slow_top1": Metric(chance=50.0, title="Own image told from another")})
    title = "Slow features"
    paper = "egomotion"

    class Options(MotionOptions):
        """The motions, and the margin."""

        margin: float = Field(100.0, gt=0, description="m, margin on the distance between two images")

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        from rotnet_lib.pretext.parts.parts_network import PartsNetwork

        self.prepare(backbone, data, options)
        self.margin = options.margin
        self.module = PartsNetwork(backbone, 2, nn.Flatten(), nn.Unflatten(1, (2, -1)))

    def optimizers(self, config: TrainingConfig) -> Sequence[torch.optim.Optimizer]:
        from rotnet_lib.pretext.parts.partners import check_parts

        check_parts(config)
        return super().optimizers(config)

    def step(self, batch: Batch) -> Step:
        return self._score(self.pairs(batch.images, self.draw(batch)))

    def evaluate(self, batch: Batch) -> Step:
        return self._score(self.pairs(batch.images, self.of_test(batch)))

    def examples(self, batch: Batch) -> list[Example]:
        """Each image, the same after its motion, and the image that it is told from, after its own."""
        from rotnet_lib.pretext.parts.partners import partners

        pairs = self.pairs(batch.images, self.of_test(batch))
        own, other = (squares.sqrt().tolist() for squares in self._distances(pairs))
        pictures = pictures_of(pairs, 2)
        which = partners(len(batch), batch.images.device).tolist()
        return [
            Example(
                [*shown, pictures[partner][1]],
                3,
                f"distance after the motion {near:.3g}, of the other image {far:.3g}",
                near < far,
            )
            for shown, partner, near, far in zip(pictures, which, own, other, strict=True)
        ]

    def _distances(self, pairs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Squared distance (B,) of each image from itself moved, and from another one moved, in float32 or better."""
        from rotnet_lib.pretext.parts.partners import partners

        features = self.module(pairs)
        with torch.autocast(features.device.type, enabled=False):
            still, moved = features.to(torch.promote_types(features.dtype, torch.float32)).unbind(1)
            other = moved[partners(len(moved), moved.device)]
            return (still - moved).square().sum(1), (still - other).square().sum(1)

    def _score(self, pairs: torch.Tensor) -> Step:
        own, other = self._distances(pairs)
        told = (own < other)[: len(own) if len(own) > 1 else 0]  # an image alone has no other to be told from
        return Step(contrastive(own, other, self.margin), 2 * len(own), {"slow_top1": told})


def contrastive(own: torch.Tensor, other: torch.Tensor, margin: float) -> torch.Tensor:
    """The mean of d^2 / 2 over pairs that belong together and of max(0, m - d)^2 / 2 over pairs that do not, half and half.

    Args:
        own, other: (B,) squared distances of either kind.
        margin: m.
    """
    apart = (margin - other.clamp(min=1e-12).sqrt()).clamp(min=0)  # no gradient at 0, where the root has none
    return (own.mean() + apart.square().mean()) / 4

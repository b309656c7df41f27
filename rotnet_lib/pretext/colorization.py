"""Colorization: which colours has this image, of which only the lightness is seen (Zhang, Isola, Efros, ECCV 2016)."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from rotnet_lib.lazy import nn, torch
from rotnet_lib.models.inputs import LAB_L
from rotnet_lib.pretext.examples import Example
from rotnet_lib.pretext.parts.ab_task import AbOptions, AbTask
from rotnet_lib.pretext.task import TASKS
from rotnet_lib.training.task import Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone


@TASKS.register("colorization")
class Colorization(AbTask):
    """Tell the colour of each place of an image by its lightness: a distribution over 313 bins of a and b.

    The true colour is spread over its nearest bins. The loss is the mean over places of the cross-entropy, weighed by the
    true colour's nearest bin: rare colours count more (section 2.2). Images without colour have no weight. Metrics: see
    `AbTask`.
    """

    title = "Colorization"
    paper = "colorization"
    inputs: ClassVar[str] = LAB_L

    class Options(AbOptions):
        """How colours are coded and weighed, and what is put on the backbone."""

        neighbours: int = Field(5, ge=1, le=313, description="nearest bins that a true colour is spread over")
        uniform: float = Field(
            0.5, gt=0, le=1, description="share of the uniform distribution in the weights of rare colours; 1: all weigh 1"
        )

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        from rotnet_lib.pretext.parts.ab_bins import bin_centres, class_weights, entropy, smoothed
        from rotnet_lib.pretext.parts.dense import dense_head

        self.options = options
        self.cut_backbone(backbone, data, options.stride)
        head = dense_head(options.head, self.channels, len(bin_centres()), backbone.width)
        self.module = nn.Sequential(OrderedDict(backbone=backbone, head=head))
        codes = self.count_colours(self.module, data, options.neighbours)
        centres, prior = (self.module.get_buffer(name) for name in ("centres", "prior"))
        weights = class_weights(smoothed(prior, centres), options.uniform)
        self.module.register_buffer("weights", weights)
        weighed = weights[:, None] * codes
        constant = (weighed.sum() / codes.sum()).item() * entropy(weighed.sum(0))
        self.notes += (
            f"Of answers that do not depend on the image, the best has a loss of {constant:.3f} nats a place on the colours of "
            "the training images.",
        )

    def step(self, batch: Batch) -> Step:
        loss, values, _ = self._score(batch)
        return Step(loss, len(batch), values)

    def evaluate(self, batch: Batch) -> Step:
        loss, values, said = self._score(batch)
        return Step(loss, len(batch), values, **said)

    def examples(self, batch: Batch) -> list[Example]:
        return self.painted(batch, self.module(batch.images))

    def _score(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor], dict[str, Any]]:
        from rotnet_lib.models.colour import rgb_to_lab
        from rotnet_lib.pretext.parts.ab_task import in_colour, places_of
        from rotnet_lib.pretext.parts.dense import in_float32

        logits = self.module(batch.images)
        pixels = self.sight.shrunk(batch.images)
        lab = rgb_to_lab(pixels)
        bins, shares = self.code(lab, self.options.neighbours)
        nats = -(shares * in_float32(places_of(logits)).log_softmax(1).gather(1, bins)).sum(1)
        # In a grey image nothing says that its colours are not just missing.
        weights = self.module.get_buffer("weights")[bins[:, 0]].view(len(batch), -1) * in_colour(lab)[:, None]
        return (weights * nats.view(len(batch), -1)).mean(), *self.measured(logits, pixels, lab, bins[:, 0])

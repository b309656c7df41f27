"""Split-brain autoencoders: colour from lightness, and lightness from colour (Zhang, Isola, Efros, CVPR 2017)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from rotnet_lib.lazy import nn, torch
from rotnet_lib.models.inputs import LAB
from rotnet_lib.pretext.examples import Example
from rotnet_lib.pretext.parts.ab_task import AbOptions, AbTask
from rotnet_lib.pretext.parts.sampled import sampled
from rotnet_lib.pretext.task import TASKS
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.task import Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone

_BINS, _BIN = 50, 2.0
"""Bins of L, and how much of L one has."""


@TASKS.register("split-brain")
class SplitBrain(AbTask):
    """Tell, at each place of an image, colour by lightness and lightness by colour, each by one half of the network.

    The halves share nothing: the first sees L and says which of 313 bins of a and b, the second sees a and b and says which of
    50 bins of L. The loss is the sum of both cross-entropies, without weights and without soft codes; no gradient of one half's
    reaches the other. Classifiers read the concatenated channels of both halves.

    Metrics: those of `AbTask`, of the first half; `l_top1`, percent of places whose bin of L is right; `l_error`, the distance
    of the mean of the bins from the true L. Guessing is the most frequent bin, and the mean of L.
    """

    metrics: Mapping[str, Metric] = MappingProxyType(
        {
            **AbTask.metrics,
            "l_top1": Metric(title="Lightness bin accuracy"),
            "l_error": Metric("", "lower", title="Error in lightness"),
        }
    )
    title = "Split-Brain"
    paper = "split-brain"
    inputs: ClassVar[str] = LAB
    archs: ClassVar[tuple[str, ...]] = ("nin4-split", "alexnet-split")

    class Options(AbOptions):
        """What is put on the backbone's halves."""

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        from rotnet_lib.pretext.parts.ab_bins import bin_centres, entropy
        from rotnet_lib.pretext.parts.dense import SplitHeads

        self.options = options
        self.cut_backbone(backbone, data, options.stride)
        heads = SplitHeads(options.head, self.channels, (len(bin_centres()), _BINS), backbone.width)
        self.module = nn.Sequential(OrderedDict(backbone=backbone, heads=heads))
        self.count_colours(self.module, data, 1)
        prior = self._count_lightness(data)
        constant = entropy(self.module.get_buffer("prior")), entropy(prior)
        self.notes += (
            f"Of answers that do not depend on the image, the best has a loss of {sum(constant):.3f} nats a place on the "
            f"colours of the training images: {constant[0]:.3f} for a and b, {constant[1]:.3f} for L.",
            "The halves share nothing. Classifiers on a layer read the channels of both; those that start layers of the arch "
            "afresh above it (classifier rest) have two groups in convolutions, none in fully connected layers.",
        )

    def _count_lightness(self, data: Dataset) -> torch.Tensor:
        """How often each bin of L is, (50,); the metrics of L get what guessing gives."""
        from rotnet_lib.models.colour import lightness

        found = torch.cat([lightness(self.sight.shrunk(batch)).flatten() for batch in sampled(data.train)])
        prior = _bins_of(found).bincount(minlength=_BINS) / len(found)
        guessed = {"l_top1": 100 * prior.max().item(), "l_error": (found - found.mean()).abs().mean().item()}
        self.metrics = {name: replace(metric, chance=guessed.get(name, metric.chance)) for name, metric in self.metrics.items()}
        return prior

    def step(self, batch: Batch) -> Step:
        terms, values, _ = self._score(batch)
        return Step(terms["loss_ab"] + terms["loss_l"], len(batch), values, terms=terms)

    def evaluate(self, batch: Batch) -> Step:
        terms, values, said = self._score(batch)
        return Step(terms["loss_ab"] + terms["loss_l"], len(batch), values, **said)

    def examples(self, batch: Batch) -> list[Example]:
        """As `AbTask.painted`, and each image in its own colours with the lightness that the second half says."""
        from rotnet_lib.models.colour import lab_to_rgb, rgb_to_lab

        of_ab, of_l = self.module(batch.images)
        light = self.sight.enlarged(_mean(of_l), self.size)
        shown = lab_to_rgb(torch.cat([light, rgb_to_lab(batch.images)[:, 1:]], 1)).round().to(torch.uint8)
        return [
            replace(
                example,
                pictures=[*example.pictures, picture],
                columns=4,
                caption=example.caption.replace("answer:", "answer of colours, answer of lightness: colours"),
            )
            for example, picture in zip(self.painted(batch, of_ab), shown.permute(0, 2, 3, 1).cpu().numpy(), strict=True)
        ]

    def _score(self, batch: Batch) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, Any]]:
        from torch.nn.functional import cross_entropy

        from rotnet_lib.models.colour import rgb_to_lab
        from rotnet_lib.pretext.parts.ab_task import places_of
        from rotnet_lib.pretext.parts.dense import in_float32

        of_ab, of_l = self.module(batch.images)
        pixels = self.sight.shrunk(batch.images)
        lab = rgb_to_lab(pixels)
        bins, light = self.code(lab, 1)[0][:, 0], lab[:, :1]
        true = _bins_of(places_of(light)[:, 0])
        logits = in_float32(places_of(of_l))
        terms = {"loss_ab": cross_entropy(in_float32(places_of(of_ab)), bins), "loss_l": cross_entropy(logits, true)}
        values, said = self.measured(of_ab, pixels, lab, bins)
        values |= {
            "l_top1": logits.argmax(1) == true,
            "l_error": (_mean(of_l.detach()) - light).abs().flatten(),
        }
        return terms, values, said


def _bins_of(light: torch.Tensor) -> torch.Tensor:
    """L in [0, 100] to bins, int64 in [0, 50)."""
    return (light / _BIN).floor().long().clamp(0, _BINS - 1)


def _mean(logits: torch.Tensor) -> torch.Tensor:
    """Logits (B, 50, h, w) to the mean of the bins' middles, (B, 1, h, w)."""
    from rotnet_lib.pretext.parts.dense import in_float32

    shares = in_float32(logits).softmax(1)
    middles = _BIN * (torch.arange(_BINS, device=logits.device) + 0.5)
    return (shares * middles[:, None, None]).sum(1, keepdim=True)

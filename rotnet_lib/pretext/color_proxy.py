"""Colour as a proxy task: hue and chroma of single pixels of a grey image (Larsson, Maire, Shakhnarovich, CVPR 2017)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import torch
from rotnet_lib.models.arch import scaled
from rotnet_lib.models.inputs import GREY
from rotnet_lib.pretext.examples import Example
from rotnet_lib.pretext.parts.sampled import no_colours, sampled
from rotnet_lib.pretext.task import TASKS, PretextTask
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.task import Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.runs.protocols import Values

_HIDDEN = 1024
"""Features of the layer above the hypercolumn, at width 1."""
_HUE_WEIGHT = 5.0
"""Of the hue's loss, times the pixel's chroma: about one over the mean chroma (Larsson et al. 2016)."""
_LEAST_CHROMA = 0.02
"""Of the most colourful pixel of data that are not grey."""
_PICTURE = 56
"""Pixels a side that an example is coloured at, at most."""
_CELL = 3
"""Pixels of a bin's side in the picture of frequencies."""


@TASKS.register("color-proxy")
class ColorProxy(PretextTask):
    """Tell hue and chroma of single pixels of an image that is shown in grey, from all layers' maps there.

    There are K bins of each, of one pixel. The loss is the mean over pixels of the cross-entropy of chroma and, times five and
    the pixel's chroma, that of hue: where there is little chroma, hue means little.

    Metrics: `hue_top1` and `chroma_top1`, percent of pixels whose bin is right (a grey pixel's hue is 0); `colour_top1`, of
    those whose name of a colour is; `lab_error` and `psnr` (dB), how far the pixels so coloured, with their true mean of R, G
    and B, are from the true ones. Guessing is the most frequent bin or name, and grey for the other two.
    """

    metrics: Mapping[str, Metric] = MappingProxyType(
        {
            "hue_top1": Metric(title="Hue accuracy"),
            "chroma_top1": Metric(title="Chroma accuracy"),
            "colour_top1": Metric(title="Accuracy of colours' names"),
            "lab_error": Metric("", "lower", title="Error in Lab"),
            "psnr": Metric("dB", title="PSNR"),
        }
    )
    title = "ColorProxy"
    paper = "color-proxy"
    inputs: ClassVar[str] = GREY
    in_colour: ClassVar[bool] = True
    same_in_processes: ClassVar[Mapping[str, Any]] = {"dropout": 0.0}
    protocol: ClassVar[Mapping[str, Values]] = {
        # RotNet's on both, since the paper's could not be found; a lower rate on small images, for layers without batch norm.
        "cifar10": {"epochs": 100, "lr": 0.02, "lr_milestones": (0.3, 0.6, 0.8)},
        "imagenet": {"augment": "random-crop", "epochs": 30, "lr_milestones": (1 / 3, 2 / 3)},
    }

    class Options(BaseModel):
        """Which pixels are asked about, how finely, and the dropout."""

        model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

        bins: int = Field(32, ge=2, le=256, description="K, bins of hue and of chroma")
        places: int = Field(128, ge=1, description="pixels that are asked about, per image")
        border: float = Field(0.14, ge=0, lt=0.5, description="part of the side at each border where no pixel is asked about")
        dropout: float = Field(0.5, ge=0, lt=1, description="dropout in the layer above the hypercolumn")

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        from rotnet_lib.pretext.parts.hue import NAMES, hue_names
        from rotnet_lib.pretext.parts.hypercolumn import HypercolumnNetwork

        self.options = options
        self.size = data.image_size
        self.margin = round(options.border * self.size)
        self.span = self.size - 2 * self.margin
        if self.span < 1:
            raise RotnetError(
                f"task_options.border: {options.border:g} of {self.size} px at each border leaves no pixel to ask about. "
                f"Take at most {(self.size - 1) // 2 / self.size:.3g}."
            )
        backbone.cut_after_convolutions()
        hidden = scaled(_HIDDEN, backbone.width)
        self.module = HypercolumnNetwork(backbone, self.size, hidden, 2 * options.bins, options.dropout)
        self.module.register_buffer("names", hue_names(options.bins), persistent=False)
        self.target_names = NAMES
        self._count_colours(data)

    def _count_colours(self, data: Dataset) -> None:
        """Count hues and chromas of training images. Raises RotnetError if they are grey."""
        from rotnet_lib.pretext.parts.ab_bins import entropy
        from rotnet_lib.pretext.parts.hue import NAMES

        count = self.options.bins
        joint, weighed, named = torch.zeros(count, count), torch.zeros(count), torch.zeros(len(NAMES))
        away = torch.zeros(3)
        most, images = 0.0, 0
        for batch in sampled(data.train):
            pixels = _at(batch, *self._grid(batch, self._a_side))
            chroma, bins, names = self._truth(pixels)
            joint.index_put_((bins[0], bins[1]), torch.ones(len(pixels)), accumulate=True)
            weighed.index_add_(0, bins[0], chroma)
            named += names.bincount(minlength=len(NAMES))
            grey = pixels.mean(1, keepdim=True).expand(-1, 3)
            error, psnr = _away(grey, pixels, len(batch))
            away += torch.stack([chroma.sum(), error.sum(), psnr.sum()])
            most, images = max(most, chroma.max().item()), images + len(batch)
        if most < _LEAST_CHROMA:
            raise no_colours(data, images, f"no pixel's chroma is {_LEAST_CHROMA:g} of 1 or more")
        total = joint.sum().item()
        self.module.register_buffer("prior", joint / total)
        guessed = {
            "hue_top1": 100 * joint.sum(1).max().item() / total,
            "chroma_top1": 100 * joint.sum(0).max().item() / total,
            "colour_top1": 100 * named.max().item() / total,
            "lab_error": away[1].item() / total,
            "psnr": away[2].item() / images,
        }
        self.metrics = {name: replace(metric, chance=guessed[name]) for name, metric in self.metrics.items()}
        constant = entropy(joint.sum(0)) + _HUE_WEIGHT * away[0].item() / total * entropy(weighed)
        self.notes = (
            f"Of answers that do not depend on the image, the best has a loss of {constant:.3f} nats a pixel on the colours of "
            "the training images.",
        )

    @property
    def _a_side(self) -> int:
        """Pixels a side of the grid that is asked about in tests: about as many as in training."""
        return max(1, min(self.span, math.isqrt(self.options.places)))

    def step(self, batch: Batch) -> Step:
        rows, columns = (self.margin + batch.randint(self.span, self.options.places, 2)).unbind(2)
        loss, terms, values, _ = self._score(batch, rows, columns)
        return Step(loss, len(batch), values, terms=terms)

    def evaluate(self, batch: Batch) -> Step:
        loss, _, values, said = self._score(batch, *self._grid(batch.images, self._a_side))
        return Step(loss, len(batch), values, **said)

    def _grid(self, images: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows and columns of `side` x `side` pixels within the border, evenly spread, row by row: (B, side * side) each."""
        steps = ((torch.arange(side, device=images.device) + 0.5) * self.span / side).long() + self.margin
        return steps.repeat_interleave(side).expand(len(images), -1), steps.repeat(side).expand(len(images), -1)

    def _truth(self, pixels: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
        """Of pixels (n, 3): chroma, the bins of hue and chroma, and the colour's name; (n,) each."""
        from rotnet_lib.pretext.parts.hue import GREY_CHROMA, binned, hue_and_chroma

        hue, chroma = hue_and_chroma(pixels)
        bins = binned(hue, self.options.bins), binned(chroma, self.options.bins)
        names = self.module.get_buffer("names")[bins[0]]
        return chroma, bins, torch.where(chroma < GREY_CHROMA, 0, names)

    def _score(
        self, batch: Batch, rows: torch.Tensor, columns: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, Any]]:
        from torch.nn.functional import cross_entropy

        from rotnet_lib.pretext.parts.dense import in_float32

        answers = in_float32(self.module(batch.images, rows, columns))
        logits = answers.split(self.options.bins, 1)
        pixels = _at(batch.images, rows, columns)
        chroma, bins, names = self._truth(pixels)
        hue_loss, chroma_loss = (cross_entropy(own, true, reduction="none") for own, true in zip(logits, bins, strict=True))
        terms = {"loss_chroma": chroma_loss.mean(), "loss_hue": (chroma * hue_loss).mean()}
        named = self._named(answers.detach())
        error, psnr = _away(self._painted(answers.detach(), pixels.mean(1)), pixels, len(batch))
        values = {
            "hue_top1": logits[0].argmax(1) == bins[0],
            "chroma_top1": logits[1].argmax(1) == bins[1],
            "colour_top1": named.argmax(1) == names,
            "lab_error": error,
            "psnr": psnr,
        }
        images = torch.arange(len(batch), device=pixels.device).repeat_interleave(rows.shape[1])
        said = {"targets": names, "places": images, "scores": {"colour_top1": named}}
        return terms["loss_chroma"] + _HUE_WEIGHT * terms["loss_hue"], terms, values, said

    def _named(self, answers: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the colours' names, from the answers (n, 2K), as if hue and chroma were independent."""
        from rotnet_lib.pretext.parts.hue import GREY_CHROMA, NAMES

        count = self.options.bins
        hue, chroma = (own.softmax(1) for own in answers.split(count, 1))
        grey = chroma[:, : max(1, round(GREY_CHROMA * count))].sum(1, keepdim=True)
        shares = hue.new_zeros(len(hue), len(NAMES))
        shares = shares.index_add_(1, self.module.get_buffer("names"), hue * (1 - grey))
        return torch.cat([grey, shares[:, 1:]], 1).clamp(min=1e-12).log()

    def _painted(self, answers: torch.Tensor, grey: torch.Tensor) -> torch.Tensor:
        """Pixels (n, 3) of 255 by the answers (n, 2K), the means of hue (on its circle) and chroma, and the true grey (n,)."""
        from rotnet_lib.pretext.parts.hue import pixels_of

        count = self.options.bins
        middles = (torch.arange(count, device=answers.device) + 0.5) / count
        hue, chroma = (own.softmax(1) for own in answers.split(count, 1))
        turn = 2 * math.pi * middles
        angle = torch.atan2((hue * turn.sin()).sum(1), (hue * turn.cos()).sum(1))
        return pixels_of((angle / (2 * math.pi)) % 1, (chroma * middles).sum(1), grey)

    def examples(self, batch: Batch) -> list[Example]:
        """Each image in grey, in colour, and as the network colours it, at 56 x 56 pixels at most."""
        from rotnet_lib.pretext.parts.dense import in_float32

        side = min(self.span, _PICTURE)
        rows, columns = self._grid(batch.images, side)
        pixels = _at(batch.images, rows, columns)
        painted = self._painted(in_float32(self.module(batch.images, rows, columns)), pixels.mean(1))
        error, psnr = _away(painted, pixels, len(batch))
        shown = torch.stack([pixels.mean(1, keepdim=True).expand(-1, 3), pixels, painted], 1)
        pictures = shown.round().to(torch.uint8).view(len(batch), side, side, 3, 3).permute(0, 3, 1, 2, 4).cpu().numpy()
        return [
            Example(list(own), 3, f"grey, image, answer: {away:.1f} away in Lab, {db:.1f} dB", None)
            for own, away, db in zip(pictures, error.view(len(batch), -1).mean(1).tolist(), psnr.tolist(), strict=True)
        ]

    def charts(self) -> list[Example]:
        prior = self.module.get_buffer("prior").cpu()
        darkness = (prior.clamp(min=1e-6).log10() + 6) / 6
        plane = (255 * (1 - darkness)).round().to(torch.uint8).t().flip(0)  # hue to the right, chroma upwards
        picture = plane.repeat_interleave(_CELL, 0).repeat_interleave(_CELL, 1)[:, :, None].expand(-1, -1, 3).numpy()
        least = 100 * prior[:, 0].sum()
        caption = (
            "how often each hue (red, green, blue to red, from left to right) and chroma (upwards) occurs, in logarithmic "
            f"grey: {least:.1f} % of pixels have the least chroma"
        )
        return [Example([picture], 1, caption, None)]


def _at(images: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Images (B, 3, S, S) at pixels (B, n): (B * n, 3) float32, those of an image one after the other."""
    side = images.shape[-1]
    places = (rows * side + columns)[:, None].expand(-1, 3, -1)
    return images.flatten(2).gather(2, places).transpose(1, 2).flatten(0, 1).float()


def _away(painted: torch.Tensor, pixels: torch.Tensor, images: int) -> tuple[torch.Tensor, torch.Tensor]:
    """How far pixels (n, 3) are from the true ones: in Lab, (n,), and by the PSNR of each image's, in dB, (images,)."""
    from rotnet_lib.models.colour import rgb_to_lab
    from rotnet_lib.pretext.parts.psnr import psnr

    away = (rgb_to_lab(painted) - rgb_to_lab(pixels)).square().sum(1).sqrt()
    return away, psnr(painted.reshape(images, -1), pixels.reshape(images, -1))

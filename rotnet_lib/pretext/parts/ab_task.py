"""What tasks have in common that answer with a colour's bin at each place of the backbone's last map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from rotnet_lib.lazy import torch
from rotnet_lib.pretext.examples import Example
from rotnet_lib.pretext.parts.sampled import no_colours, sampled
from rotnet_lib.pretext.task import PretextTask
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.task import Told

if TYPE_CHECKING:
    from torch import nn

    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.runs.config import TrainingConfig
    from rotnet_lib.runs.protocols import Values
    from rotnet_lib.training.answers import Answers

_GREY = 5.0
"""|a| and |b| up to which a pixel counts as grey (the released code of Zhang et al. 2016)."""
_TEMPERATURE = 0.38
"""Of the annealed mean, by which a distribution over bins becomes a colour (Zhang et al. 2016, section 2.3)."""


class AbOptions(BaseModel):
    """What is put on the backbone."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    head: Literal["fc", "conv"] = Field(
        "fc", description="layers above the backbone; fc: fc6 and fc7 as convolutions; conv: one of 3x3, for small images"
    )
    stride: int = Field(4, ge=1, description="stride of the first convolution, if the arch's is larger; it is kept")


class AbTask(PretextTask):
    """A task whose network says which of 313 bins of colour each place of an image has.

    A place's true colour is that of the image averaged over the square of pixels that belongs to it.

    Metrics: `ab_top1` and `colour_top1`, percent of places whose bin, and whose name of a colour, is right; `ab_error`, the
    distance of the annealed mean of the bins from the true a and b; `psnr`, dB, of the images so coloured, with their true L,
    at the map's resolution. Guessing is the most frequent bin or name, and grey for the other two.
    """

    metrics: Mapping[str, Metric] = MappingProxyType(
        {
            "ab_top1": Metric(title="Bin accuracy"),
            "colour_top1": Metric(title="Accuracy of colours' names"),
            "ab_error": Metric("", "lower", title="Error in Lab"),
            "psnr": Metric("dB", title="PSNR"),
        }
    )
    protocol: ClassVar[Mapping[str, Values]] = {
        # Nothing is published for small images: RotNet's length, at a rate of Adam that suits a start without k-means.
        "cifar10": {"epochs": 100, "lr": 0.001, "lr_milestones": (0.3, 0.6, 0.8), "weight_decay": 0.001},
        # The authors' code: 450 000 steps of 80 images, 1e-5 from step 240 000, 3e-6 from 300 000, 1e-6 from 400 000.
        "imagenet": {
            "augment": "random-crop",
            "batch_size": 80,
            "epochs": 28,
            "lr": 3e-5,
            "lr_milestones": (8 / 15, 2 / 3, 8 / 9),
            "lr_decay": (1 / 3, 0.3, 1 / 3),
            "weight_decay": 0.001,
        },
    }

    in_colour: ClassVar[bool] = True
    keeps_stride: ClassVar[bool] = True
    notes: tuple[str, ...]

    def optimizers(self, config: TrainingConfig) -> Sequence[torch.optim.Optimizer]:
        from rotnet_lib.training.optimizers import adam

        return (adam([p for p in self.module.parameters() if p.requires_grad], config),)

    def cut_backbone(self, backbone: Backbone, data: Dataset, stride: int) -> None:
        """Cut a backbone after its last convolution, for good with a stride no larger than that; note where places lie."""
        from rotnet_lib.pretext.parts.ab_bins import NAMES
        from rotnet_lib.pretext.parts.dense import Sight

        backbone.cut_after_convolutions()
        own = backbone.stem_stride
        backbone.keep_stem_stride(min(stride, own))
        self.size = data.image_size
        self.channels, side, _ = backbone.shape(backbone.taps[-1], self.size)
        self.sight = Sight.through(backbone.blocks.values(), side)
        self.target_names = NAMES
        self.notes = (
            f"Colours are told at {side} x {side} places, one each {self.sight.pitch} pixels of images of {self.size} pixels.",
        )
        if backbone.kept_stride:
            self.notes += (
                f"The first convolution has stride {backbone.kept_stride} in place of {own}, for classifiers on this backbone "
                "too; in the networks for PASCAL VOC it has its own again.",
            )

    def count_colours(self, module: nn.Module, data: Dataset, neighbours: int) -> torch.Tensor:
        """Count the colours of training images, for what guessing gives, and keep them in buffers of the module.

        `centres`: (Q, 2). `candidates`: see `soft_code`. `names`: (Q,), indices into `NAMES`. `prior`: (Q,), how often each bin
        is a place's nearest. Images without colour are not counted.

        Returns (Q, Q): of places whose nearest bin is that of the row, the sum of their soft codes.

        Raises RotnetError if all images are grey.
        """
        from rotnet_lib.models.colour import rgb_to_lab
        from rotnet_lib.pretext.parts.ab_bins import NAMES, bin_centres, candidates, name_of_bins, soft_code

        centres = bin_centres()
        among = candidates(centres, neighbours)
        codes = torch.zeros(len(centres), len(centres))
        chroma, psnr, seen, images = 0.0, 0.0, 0, 0
        for batch in sampled(data.train):
            pixels = self.sight.shrunk(batch)
            lab = rgb_to_lab(pixels)
            kept = in_colour(lab)
            pixels, lab = pixels[kept], lab[kept]
            colours = places_of(lab[:, 1:])
            bins, weights = soft_code(colours, centres, among, neighbours)
            codes.index_put_((bins[:, :1], bins), weights, accumulate=True)
            chroma += colours.norm(dim=1).sum().item()
            psnr += _psnr(lab, torch.zeros_like(lab[:, 1:]), pixels).sum().item()
            seen, images = seen + len(batch), images + len(pixels)
        if not images:
            raise no_colours(data, seen, f"no place's a or b is beyond {_GREY:g} from grey")
        prior = codes.sum(1) / codes.sum()
        names = name_of_bins(centres)
        module.register_buffer("centres", centres, persistent=False)
        module.register_buffer("candidates", among, persistent=False)
        module.register_buffer("names", names, persistent=False)
        module.register_buffer("prior", prior)
        guessed = {
            "ab_top1": 100 * prior.max().item(),
            "colour_top1": 100 * torch.zeros(len(NAMES)).index_add_(0, names, prior).max().item(),
            "ab_error": chroma / codes.sum().item(),
            "psnr": psnr / images,
        }
        self.metrics = {name: replace(metric, chance=guessed.get(name)) for name, metric in self.metrics.items()}
        return codes

    def code(self, lab: torch.Tensor, neighbours: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The soft code of each place of Lab maps (B, 3, h, w): bins and weights, (B * h * w, neighbours); see `soft_code`."""
        from rotnet_lib.pretext.parts.ab_bins import soft_code

        centres, among = (self.module.get_buffer(name) for name in ("centres", "candidates"))
        return soft_code(places_of(lab[:, 1:]), centres, among, neighbours)

    def colours(self, logits: torch.Tensor) -> torch.Tensor:
        """The annealed mean of the bins: logits (B, Q, h, w) to a and b, (B, 2, h, w) float32."""
        from rotnet_lib.pretext.parts.dense import in_float32

        shares = torch.softmax(in_float32(places_of(logits)) / _TEMPERATURE, 1)
        # Not a product of matrices, which would be rounded to TF32 or bf16.
        means = (shares[:, :, None] * self.module.get_buffer("centres")).sum(1)
        return means.view(len(logits), *logits.shape[2:], 2).permute(0, 3, 1, 2)

    def measured(
        self, logits: torch.Tensor, pixels: torch.Tensor, lab: torch.Tensor, bins: torch.Tensor
    ) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """The metrics' values, and what else a test step says of the answers: targets, their places and scores, and bins.

        Args:
            logits: (B, Q, h, w).
            pixels: the shrunk images, (B, 3, h, w), of 255.
            lab: the same in Lab.
            bins: (n,) int64, the true bin of each of the n = B * h * w places.
        """
        from rotnet_lib.pretext.parts.ab_bins import NAMES
        from rotnet_lib.pretext.parts.dense import in_float32

        logits, names = logits.detach(), self.module.get_buffer("names")
        shares = in_float32(places_of(logits)).softmax(1)
        named = shares.new_zeros(len(shares), len(NAMES)).index_add_(1, names, shares)
        true = names[bins]
        colours = self.colours(logits)
        said = shares.argmax(1)
        values = {
            "ab_top1": said == bins,
            "colour_top1": named.argmax(1) == true,
            "ab_error": (colours - lab[:, 1:]).square().sum(1).sqrt().flatten(),
            "psnr": _psnr(lab, colours, pixels),
        }
        images = torch.arange(len(logits), device=logits.device).repeat_interleave(len(true) // len(logits))
        scores = {"colour_top1": named.clamp(min=1e-12).log()}
        return values, {
            "targets": true,
            "places": images,
            "scores": scores,
            "told": {"ab_top1": Told(bins, said, shares.shape[1])},
        }

    def painted(self, batch: Batch, logits: torch.Tensor) -> list[Example]:
        """The lightness of each image, the image, and the image as the network colours it."""
        from rotnet_lib.models.colour import rgb_to_lab

        images = batch.images
        lab = rgb_to_lab(images)
        said = self.sight.enlarged(self.colours(logits), self.size)
        rows = [_rgb(lab, torch.zeros_like(said)), images, _rgb(lab, said)]
        pictures = [row.permute(0, 2, 3, 1).cpu().numpy() for row in rows]
        error = (said - lab[:, 1:]).norm(dim=1).mean((1, 2)).tolist()
        psnr = _psnr(lab, said, images).tolist()
        return [
            Example(list(own), 3, f"lightness, image, answer: {away:.1f} away in Lab, {db:.1f} dB", None)
            for own, away, db in zip(zip(*pictures, strict=True), error, psnr, strict=True)
        ]

    def charts(self) -> list[Example]:
        from rotnet_lib.pretext.parts.ab_pictures import frequencies

        return [frequencies(*(self.module.get_buffer(name).cpu() for name in ("centres", "prior")))]

    def answer_charts(self, answers: Mapping[str, Answers]) -> list[Example]:
        from rotnet_lib.pretext.parts import ab_pictures

        return ab_pictures.answers(self.module.get_buffer("centres").cpu(), answers["ab_top1"].confusion)


def places_of(maps: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) to a row for each place, (B * h * w, C), those of an image one after the other."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2)


def in_colour(lab: torch.Tensor) -> torch.Tensor:
    """Which images have a place whose a or b is beyond 5 from 0: Lab (B, 3, h, w) to (B,) bool."""
    return (lab[:, 1:].abs() > _GREY).flatten(1).any(1)


def _rgb(lab: torch.Tensor, ab: torch.Tensor) -> torch.Tensor:
    """Images of the L of `lab`, (B, 3, h, w), and other a and b, as pixel values of 255 in uint8."""
    from rotnet_lib.models.colour import lab_to_rgb

    return lab_to_rgb(torch.cat([lab[:, :1], ab], 1)).round().to(torch.uint8)


def _psnr(lab: torch.Tensor, ab: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Peak signal-to-noise ratio of images with the L of `lab` and a and b of `ab`, in dB: (B,)."""
    from rotnet_lib.models.colour import lab_to_rgb
    from rotnet_lib.pretext.parts.psnr import psnr

    return psnr(lab_to_rgb(torch.cat([lab[:, :1], ab], 1)), pixels)

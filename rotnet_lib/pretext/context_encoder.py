"""Context encoders: what was in the hole (Pathak, Krähenbühl, Donahue, Darrell, Efros, CVPR 2016)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import torch
from rotnet_lib.pretext.examples import Example, pictures_of
from rotnet_lib.pretext.parts.removed import SPREAD
from rotnet_lib.pretext.task import TASKS, PretextTask
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.task import Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.pretext.parts.inpainting import InpaintingNetwork
    from rotnet_lib.runs.config import TrainingConfig
    from rotnet_lib.runs.protocols import Values

_MOST_REMOVED = 0.8
"""Above it the largest masks would leave next to nothing of an image, or less."""
_CRITIC_RATE = 0.1
"""Rate of the adversary as a part of the network's (the authors' code: 2e-4 and 2e-3)."""


@TASKS.register("context-encoder")
class ContextEncoder(PretextTask):
    """Fill the holes of an image, from what is around them.

    Regions of arbitrary shape are removed (`parts/masks.py`): their pixels get the training images' mean colour, which is 0 to
    the network. The loss is the squared error of the normalised picture within the holes, averaged over an image's removed
    pixels and colours, then over images (equation 1). What is around the holes costs nothing. With an adversary (equations 2
    and 3), which has an optimiser of its own, it is (1 - a) times that, and a times -log D of the filled holes.

    Images are as large as probes will show them, at the same stride of the first convolution.

    Metrics: `hole_error`, that squared error; 1 for the training images' mean colour everywhere, on those images. `hole_psnr`,
    the peak signal-to-noise ratio within an image's holes (`parts/psnr.py`), averaged over images, in dB.
    A test image has one mask, which its place in the split decides.
    """

    metrics: Mapping[str, Metric] = MappingProxyType(
        {
            "hole_error": Metric("", "lower", chance=1.0, title="Relative error in the holes"),
            "hole_psnr": Metric("dB", title="PSNR in the holes"),
        }
    )
    title = "Context encoder"
    paper = "context-encoder"
    module: InpaintingNetwork
    protocol: ClassVar[Mapping[str, Values]] = {
        # Adam at 1e-4, constant, 100 000 steps: the paper's, for features by random regions. Batch and decay of weights are not
        # known: 256, and none.
        "imagenet": {
            "augment": "random-crop",
            "batch_size": 256,
            "epochs": 20,
            "lr": 1e-4,
            "lr_milestones": (),
            "weight_decay": 0.0,
        },
        # None is published for small images. No crop of padded images: holes would lie in their black border.
        "cifar10": {"augment": "random-crop", "epochs": 100, "lr": 1e-3, "lr_milestones": (), "weight_decay": 0.0},
    }
    same_in_processes: ClassVar[Mapping[str, Any]] = {"dropout": 0.0}

    class Options(BaseModel):
        """The masks and the network above the backbone."""

        model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

        removed: float = Field(
            0.25,
            gt=0,
            description="share of an image's pixels that is removed on average; "
            f"of each image {1 - SPREAD:g} to {1 + SPREAD:g} times as much",
        )
        region: float = Field(
            0.0734,
            gt=0,
            description="how coarse the removed regions are: a cell of the masks' noise, as a share of the image's side",
        )
        dropout: float = Field(0.5, ge=0, lt=1, description="dropout in the layer between backbone and decoder")
        adversary: float = Field(
            0.0,
            ge=0,
            lt=1,
            description="a, weight of the adversarial loss (the authors' pictures: 0.001); 0: there is no adversary",
        )

        @field_validator("removed")
        @classmethod
        def _leaves_some(cls, removed: float) -> float:
            if removed > _MOST_REMOVED:
                largest = (1 + SPREAD) * removed
                raise ValueError(
                    f"{removed:g} is asked for, and masks of up to {largest:g} of the image would be "
                    f"{'larger than it' if largest > 1 else 'all but as large'}. Take at most {_MOST_REMOVED:g}"
                )
            return removed

        @field_validator("region")
        @classmethod
        def _within(cls, region: float) -> float:
            if region > 1:
                raise ValueError(f"regions of {region:g} of the image's side would be larger than the image. Take at most 1")
            return region

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        from rotnet_lib.pretext.parts.hole_critic import HoleCritic
        from rotnet_lib.pretext.parts.inpainting import InpaintingNetwork
        from rotnet_lib.pretext.parts.masks import RegionMasks

        side = data.image_size
        cell = options.region * side
        if cell < 1:
            raise RotnetError(
                f"task_options.region: {options.region:g} of {side} px is less than a pixel, and holes of single pixels could "
                f"be filled from those beside them. Take at least {-(-10_000 // side) / 10_000:g}, or a larger image_size."
            )
        backbone.cut_after_convolutions()
        self.weight = options.adversary
        critic = HoleCritic(side, backbone.width) if options.adversary else None
        self.module = InpaintingNetwork(backbone, RegionMasks(side, cell, options.removed), options.dropout, critic)

    def optimizers(self, config: TrainingConfig) -> Sequence[torch.optim.Optimizer]:
        from rotnet_lib.training.optimizers import adam, without

        critic = self.module.critic
        players = [adam(without(self.module, critic), config)]
        if critic:  # beta_1 of 0.5, as the authors' code has it
            group = {"params": list(critic.parameters()), "lr_factor": _CRITIC_RATE}
            players.append(torch.optim.Adam([group], lr=config.lr, betas=(0.5, 0.999), fused=True))
        return players

    def step(self, batch: Batch) -> Step:
        return self._score(batch.images, self.module.masks.draw(batch))

    def evaluate(self, batch: Batch) -> Step:
        return replace(self._score(batch.images, self.module.masks.of_test(batch.index)), terms={})

    def examples(self, batch: Batch) -> list[Example]:
        """Each image as the network sees it, as it is, and with its holes filled by the network."""
        masks = self.module.masks.of_test(batch.index)
        seen = self.with_holes(batch.images, masks)
        normal = self.module(seen)
        error, ratio = self._measured(normal, batch.images, masks)
        filled = torch.where(masks, self.module.backbone.normalize.pixels(normal).clamp(0, 255), batch.images.float())
        shown = torch.stack([seen, batch.images.float(), filled], 1).flatten(0, 1).round().to(torch.uint8)
        removed = masks.float().mean((1, 2, 3))
        return [
            Example(pictures, 3, f"seen, true, filled: {share:.0%} removed, error {of_squares:.2f}, {decibels:.1f} dB", None)
            for pictures, share, of_squares, decibels in zip(
                pictures_of(shown, 3), removed.tolist(), error.tolist(), ratio.tolist(), strict=True
            )
        ]

    def with_holes(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, S, S) uint8 with the mean colour where masks (B, 1, S, S) are true: float32 in [0, 255]."""
        return torch.where(masks, self.module.backbone.normalize.mean, images.float())

    def _measured(self, normal: torch.Tensor, images: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of each image, (B,): the relative error in its holes, and the signal-to-noise ratio there in dB.

        Args:
            normal: (B, 3, S, S) float32, the network's normalised pictures.
            images: (B, 3, S, S) uint8.
            masks: (B, 1, S, S) bool.
        """
        from rotnet_lib.pretext.parts.psnr import decibels

        normalize = self.module.backbone.normalize
        images = images.contiguous()  # the layout of the pictures, without which arithmetic takes several times as long
        squares = ((normal - normalize(images)).square() * masks).sum((2, 3), keepdim=True)  # (B, 3, 1, 1)
        squares = squares / masks.sum((2, 3), keepdim=True)
        of_pixels = (squares.detach() * normalize.std.square()).mean((1, 2, 3))
        return squares.mean((1, 2, 3)), decibels(of_pixels)

    def _score(self, images: torch.Tensor, masks: torch.Tensor) -> Step:
        normal = self.module(self.with_holes(images, masks))
        with torch.autocast(normal.device.type, enabled=False):
            error, ratio = self._measured(normal, images, masks)
        values = {"hole_error": error.detach(), "hole_psnr": ratio}
        if not self.module.critic:
            return Step(error.mean(), len(images), values)
        real = self.module.backbone.normalize(images)
        deceives, tells = self.module.critic.losses(*(torch.where(masks, pictures, 0.0) for pictures in (real, normal)))
        loss = (1 - self.weight) * error.mean() + self.weight * deceives + tells
        terms = {"loss_hole": error.mean(), "loss_adversary": deceives, "loss_critic": tells}
        return Step(loss, len(images), values, terms=terms)

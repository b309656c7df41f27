"""RotNet's pretext task: which of K rotations was applied to an image (Gidaris et al. 2018, section 3)."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import nn

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Batch
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.network import Network
from rotnet_lib.pretext.pu import Plausibility, PuWeights
from rotnet_lib.pretext.task import TASKS, PretextTask
from rotnet_lib.training.task import Step


def rotate(images: torch.Tensor, angle: float) -> torch.Tensor:
    """Rotate images counter-clockwise by `angle` degrees about their centre.

    Multiples of 90 are exact: a transpose and flips, no interpolation, (N, C, H, W) -> (N, C, W, H) for 90 and 270.
    Other angles are interpolated bilinearly and cropped to the square centre in which no empty area shows
    (`inscribed_side` pixels wide); they need square images.

    Args:
        images: (N, C, H, W), uint8 or float.
        angle: in degrees.

    Returns:
        A tensor of the same dtype; for multiples of 90 it may share memory with `images`.
    """
    quarters, rest = divmod(angle, 90)
    if rest == 0:
        return torch.rot90(images, int(quarters), dims=(-2, -1))
    side = inscribed_side(images.shape[-1], [angle])
    return _centre(_rotate_resampled(images, angle, side), side)


def rotate_all(images: torch.Tensor, angles: Sequence[float], crop_for: Sequence[float] = ()) -> torch.Tensor:
    """All rotated copies of a batch, label k = `angles[k]` degrees counter-clockwise.

    If any angle is no multiple of 90, every copy is cropped to the same centre: otherwise the size of the view would
    tell the two groups apart.

    Args:
        images: (N, C, S, S), uint8 or float.
        angles: K angles in degrees.
        crop_for: crop as if these angles were among them.

    Returns:
        (K*N, C, S', S') in channels-last memory: the N copies of the first angle, then those of the second, ...;
        S' = S if all angles are multiples of 90.

    Raises:
        ValueError: the images are not square, so that copies would differ in shape.
    """
    if images.shape[-1] != images.shape[-2]:
        raise ValueError(f"rotated copies share a batch, so images must be square, not {tuple(images.shape[-2:])}")
    side = inscribed_side(images.shape[-1], (*angles, *crop_for))
    copies = [_centre(rotate(images, angle), side) for angle in angles]
    return torch.cat(copies).contiguous(memory_format=torch.channels_last)


def rotate_each(
    images: torch.Tensor, angles: Sequence[float], labels: torch.Tensor, crop_for: Sequence[float] = ()
) -> torch.Tensor:
    """Each image rotated by the angle its label names.

    Args:
        images: (N, C, S, S), uint8 or float.
        angles: K angles in degrees.
        labels: (N,) int64 in [0, K).
        crop_for: crop as if these angles were among them.

    Returns:
        (N, C, S', S') in channels-last memory, S' as in `rotate_all`.
    """
    side = inscribed_side(images.shape[-1], (*angles, *crop_for))
    shape = (*images.shape[:2], side, side)
    rotated = torch.empty(shape, dtype=images.dtype, device=images.device, memory_format=torch.channels_last)
    for label, angle in enumerate(angles):
        chosen = labels == label
        rotated[chosen] = _centre(rotate(images[chosen], angle), side)
    return rotated


def inscribed_side(side: int, angles: Sequence[float]) -> int:
    """Side in pixels of the largest upright square, centred on the pixel grid, that every rotation fills.

    `side` itself where all angles are multiples of 90; 22 for 32 pixels at 45 degrees.
    """
    largest = side
    for angle in angles:
        if angle % 90:
            turn = math.radians(angle)
            # Sampling points are pixel centres: between the outermost two lie side - 1 pixels.
            inside = (side - 1) / (abs(math.cos(turn)) + abs(math.sin(turn))) + 1
            largest = min(largest, math.floor(inside + 1e-9))
    return largest - (side - largest) % 2  # the same number of pixels cut on both sides keeps right angles exact


def _rotate_resampled(images: torch.Tensor, angle: float, side: int) -> torch.Tensor:
    """(N, C, S, S) sampled on a `side` x `side` grid of unit pixels turned about the centre."""
    turn = math.radians(angle)
    span = torch.arange(side, device=images.device, dtype=torch.float32) - (side - 1) / 2
    y, x = torch.meshgrid(span, span, indexing="ij")
    # Row numbers grow downwards, so this looks up each output pixel where a counter-clockwise turn took it from.
    source_x = math.cos(turn) * x - math.sin(turn) * y
    source_y = math.sin(turn) * x + math.cos(turn) * y
    scale = 2 / (images.shape[-1] - 1)  # align_corners: -1 and 1 are the centres of the outermost pixels
    grid = torch.stack([source_x, source_y], -1) * scale
    grid = grid.expand(len(images), -1, -1, -1)
    sampled = torch.nn.functional.grid_sample(images.float(), grid, mode="bilinear", align_corners=True)
    return sampled.round().to(images.dtype) if images.dtype == torch.uint8 else sampled.to(images.dtype)


def _centre(images: torch.Tensor, side: int) -> torch.Tensor:
    margin = (images.shape[-1] - side) // 2
    return images[..., margin : margin + side, margin : margin + side] if margin else images


@TASKS.register("rotation")
class Rotation(PretextTask):
    """Predict the rotation. Metric `rotation_top1`: percent of rotated test copies recognised.

    The loss is the mean over images and their K copies of the cross-entropy: -1/N sum_i 1/K sum_y log F^y(g(X_i|y)).
    Crop and flip are drawn once an image, before its rotation, so the K copies show the same crop (where they share a
    batch: the copies of the other modes are samples of their own).

    Attributes:
        weighs: whether the weights of `weigh_copies`, where there are some, count in this epoch.
    """

    weighs: bool = True

    class Options(BaseModel):
        """Which rotations, and how an image's copies are spread over batches."""

        model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

        angles: tuple[float, ...] = Field((0, 90, 180, 270), description="degrees, counter-clockwise; label k is angles[k]")
        copies: Literal["all", "shuffled", "one", "one-large-batch"] = Field(
            "all",
            description="all: the K copies of an image in one batch; shuffled: the K-fold set of copies in random order; one: "
            "copies drawn at random, one at a time, in batches a Kth the size; one-large-batch: the same in batches as large "
            "as the others'. An epoch has K gradient samples an image in each case",
        )
        crop_for: tuple[float, ...] = Field(
            (), description="crop the copies as if these angles, in degrees, were among the rotations"
        )
        gamma: float = Field(
            2.0, gt=0, description="with pu_weights: a rotated copy weighs 1 - p^gamma, p its probability of being upright"
        )
        pu_after: float = Field(
            0.0,
            ge=0,
            lt=1,
            description="with pu_weights: they count after this fraction of the epochs, in the last epoch at least",
        )

        @field_validator("angles")
        @classmethod
        def _distinct(cls, angles: tuple[float, ...]) -> tuple[float, ...]:
            if len(angles) < 2:
                raise ValueError(f"at least two rotations are needed to tell apart, not {list(angles)}")
            turns = [angle % 360 for angle in angles]
            repeated = [angle for position, angle in enumerate(angles) if angle % 360 in turns[:position]]
            if repeated:
                raise ValueError(f"{repeated[0]:g} degrees stands twice (modulo 360) in {list(angles)}")
            return angles

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        count = len(options.angles)
        self.options = options
        self.angles = options.angles
        self.copies = 1 if options.copies == "all" else count
        self.batch_copies = count if options.copies in ("shuffled", "one-large-batch") else 1
        self.module = self.make_module(backbone, data)
        self.chance = {"rotation_top1": 100 / count}
        self.target_names = [f"{angle:g} degrees" for angle in options.angles]

    def make_module(self, backbone: Backbone, data: Dataset) -> nn.Module:
        """What is trained: images (N, 3, S, S) to logits (N, K)."""
        return Network(backbone, len(self.angles), data.image_size)

    def weigh_copies(self, plausibility: Plausibility) -> None:
        """Let copies that pass for upright count less: L = 1/(NK) sum w_{i,y} CE (see `PuWeights`).

        Its rows are the images trained on and its columns this task's angles (see `Plausibility.check`).
        """
        self.references = (PuWeights(plausibility, self.options.gamma),)

    def starts_epoch(self, epoch: int, epochs: int) -> None:
        self.weighs = epoch >= min(round(self.options.pu_after * epochs), epochs - 1)

    def step(self, batch: Batch) -> Step:
        if self.options.copies == "all":
            images, labels = self._all_copies(batch)
        else:
            labels = batch.copies
            if self.options.copies != "shuffled":
                labels = batch.randint(len(self.angles))
            images = rotate_each(batch.images, self.angles, labels, self.options.crop_for)
        return self.score(images, labels, batch)

    def evaluate(self, batch: Batch) -> Step:
        """All K copies of every image, however training spreads them; every copy weighs the same."""
        images, labels = self._all_copies(batch)
        logits = self.module(images)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        return Step(loss, {"rotation_top1": logits.argmax(1) == labels}, labels)

    def score(self, images: torch.Tensor, labels: torch.Tensor, batch: Batch) -> Step:
        """Loss and metrics of a training batch's copies, (n, 3, S', S') with labels (n,) int64 in [0, K)."""
        return self.rotation_step(self.module(images), labels, batch)

    def rotation_step(self, logits: torch.Tensor, labels: torch.Tensor, batch: Batch) -> Step:
        """The cross-entropy of logits (n, K), weighted where copies are weighed.

        The n copies stand as `step` makes them: one or more times all images of the batch.
        """
        losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        if self.references and self.weighs:
            (weights,) = self.references
            losses = losses * weights(batch.index.repeat(len(labels) // len(batch)), labels)
        return Step(losses.mean(), {"rotation_top1": logits.argmax(1) == labels}, labels)

    def _all_copies(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.arange(len(self.angles), device=batch.images.device).repeat_interleave(len(batch))
        return rotate_all(batch.images, self.angles, self.options.crop_for), labels

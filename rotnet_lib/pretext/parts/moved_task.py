"""What tasks have in common whose network sees an image and the same image moved and turned (Agrawal et al., ICCV 2015)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import torch
from rotnet_lib.pretext.parts.parts_task import PartsTask, below, least_side, remedies

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.runs.protocols import Values


_PRIME = 7919
"""Divides no number of motions, so that its multiples go through all of them."""


class MotionOptions(BaseModel):
    """How far images are moved and turned."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    shifts: int = Field(3, ge=1, le=50, description="largest shift along each axis, in steps, to each side")
    step: float = Field(
        1 / 28, gt=0, lt=1, description="one step of the shift, as a fraction of the image's side; at least a pixel"
    )
    turns: int = Field(10, ge=1, le=180, description="largest turn to each side, in steps")
    turn: float = Field(30.0, gt=0, lt=180, description="largest turn in degrees")
    stride: int = Field(4, ge=1, description="stride of the first convolution in the pretext task, if the arch's is larger")


class MovedTask(PartsTask):
    """A task on pairs of an image's middle and the same after a motion, drawn from a grid of motions.

    Both show as much of the image as every motion fills. A test image has one motion, which its place in the split decides.

    Attributes:
        side: of what the network sees, in pixels.
        pixels: of a step of a shift.
    """

    protocol: ClassVar[Mapping[str, Values]] = {
        # The paper's experiment on MNIST, the only one on still images: 40 000 steps of 125 pairs, x0.5 every 10 000.
        "cifar10": {
            "augment": "random-crop",
            "batch_size": 125,
            "epochs": 100,
            "lr": 0.01,
            "lr_milestones": (0.25, 0.5, 0.75),
            "lr_decay": 0.5,
        },
        # Its schedule on KITTI (the authors' code): 250 000 steps of 128 pairs, x0.5 every 20 000.
        "imagenet": {
            "augment": "random-crop",
            "batch_size": 128,
            "epochs": 25,
            "lr": 0.001,
            "lr_milestones": tuple(step * 20 / 250 for step in range(1, 13)),
            "lr_decay": 0.5,
        },
    }

    def prepare(self, backbone: Backbone, data: Dataset, options: MotionOptions) -> None:
        """Cut a backbone after its last convolution, and settle what it will see.

        Raises RotnetError if too little of the images is left for the backbone.
        """
        self.cut_backbone(backbone, data, options.stride)
        self.motion = options
        self.pixels = _pixels(options, data.image_size)
        self.side = _side(options, data.image_size)
        least, size = backbone.min_image_size, data.image_size
        if self.side < least:

            def fits(image_size: int = size, **changed: float) -> bool:
                asked = options.model_copy(update=changed)
                return _side(asked, image_size) >= least_side(backbone, min(asked.stride, backbone.stem_stride))

            raise RotnetError(
                f"task_options.turn: moved by up to {options.shifts * self.pixels} px and turned by up to {options.turn:g} "
                f"degrees, images of {size} px have {max(0, self.side)} px that every motion fills, and {backbone.arch} takes "
                f"at least {least}{self.at_stride(backbone)}. Any one of these works: "
                + remedies(
                    ("a turn of {:g} or less", range(int(options.turn), 0, -1), lambda turn: fits(turn=turn)),
                    ("a step of {:g} or less", below(options.step), lambda step: step > 0 and fits(step=step)),
                    ("shifts of {} or less", range(options.shifts - 1, 0, -1), lambda shifts: fits(shifts=shifts)),
                    ("stride {}", range(backbone.stem_stride - 1, 0, -1), lambda stride: fits(stride=stride)),
                    ("image_size {}", range(size + 1, 20 * size), lambda image_size: fits(image_size)),
                )
                + "."
            )
        degrees = options.turn / options.turns
        self.notes = (
            f"Pairs of {self.side} pixels out of {size}: moved by up to {options.shifts} steps of {self.pixels} pixels along "
            f"both axes, turned by up to {options.turns} steps of {degrees:g} degrees.",
        )

    @property
    def motions(self) -> tuple[int, int, int]:
        """How many motions there are of each kind: downwards, to the right, turns."""
        return (2 * self.motion.shifts + 1, 2 * self.motion.shifts + 1, 2 * self.motion.turns + 1)

    def draw(self, batch: Batch) -> torch.Tensor:
        """Motions of training images: (B, 3) int64, number n of each kind in [0, n of `motions`); the middle one is none."""
        return torch.stack([batch.randint(count) for count in self.motions], 1)

    def of_test(self, batch: Batch) -> torch.Tensor:
        """Motions of test images, as `draw`: any, but always the same, whoever asks, and all of them where there are enough."""
        _, columns, turns = self.motions
        number = batch.index * _PRIME % math.prod(self.motions)
        return torch.stack([number // (columns * turns), number // turns % columns, number % turns], 1)

    def pairs(self, images: torch.Tensor, motions: torch.Tensor) -> torch.Tensor:
        """The middle of each image, and the same after its motion.

        Args:
            images: (B, 3, S, S) uint8.
            motions: (B, 3), as `draw`.

        Returns (B * 2, 3, side, side) uint8, each image's pair one after the other.
        """
        from rotnet_lib.pretext.parts.motion import moved

        margin = (images.shape[-1] - self.side) // 2
        still = images[..., margin : margin + self.side, margin : margin + self.side]
        shift = (motions[:, :2] - self.motion.shifts) * self.pixels
        turn = (motions[:, 2] - self.motion.turns) * (self.motion.turn / self.motion.turns)
        both = torch.stack([still, moved(images, shift, turn, self.side)], 1)
        return both.flatten(0, 1).contiguous(memory_format=torch.channels_last)

    def described(self, down: int, right: int, turn: int) -> str:
        """A motion in words: `2 px down, 1 px left, turned 12 degrees`."""
        options = self.motion
        rows, columns = (down - options.shifts) * self.pixels, (right - options.shifts) * self.pixels
        degrees = (turn - options.turns) * options.turn / options.turns
        return (
            f"{abs(rows)} px {'down' if rows >= 0 else 'up'}, {abs(columns)} px {'right' if columns >= 0 else 'left'}, "
            f"turned {degrees:g} degrees"
        )


def _pixels(options: MotionOptions, image_size: int) -> int:
    return max(1, round(options.step * image_size))


def _side(options: MotionOptions, image_size: int) -> int:
    from rotnet_lib.pretext.parts.motion import largest_side

    return largest_side(image_size, options.shifts * _pixels(options, image_size), options.turn)

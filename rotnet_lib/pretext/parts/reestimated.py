"""Batch norm estimated anew on whole images, for others who use a backbone on these."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotnet_lib.errors import RotnetError

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.training.image_pass import ImagePass

_IMAGES = 256
"""From which it is estimated: about 10^5 responses a channel even where maps are small."""


def check_two_images(data: Dataset) -> None:
    """Raises RotnetError for a set of one image: batch norm could not be estimated on it, and there is no other to compare."""
    for parameter, split in (("train_size", data.train), ("test_size", data.test)):
        if len(split) < 2:
            raise RotnetError(
                f"{parameter}: the task needs at least 2 images in each split, and {data.title} has {len(split)} here. "
                "Raise it, or take another dataset."
            )


def reestimate(backbone: Backbone, images: ImagePass) -> None:
    """Set the running statistics of each batch norm to those of what it gets of 256 training images."""
    from rotnet_lib.models.rescaling import rescale_by_data

    rescale_by_data(backbone, images.spread(_IMAGES))

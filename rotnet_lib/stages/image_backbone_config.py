"""What the stages share that show images to a backbone: that the images are as its run's."""

from typing import ClassVar

import torch
from pydantic import Field

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.runs.config import EXPERIMENT, ImagesConfig
from rotnet_lib.stages.backbone_config import BackboneConfig


class ImageBackboneConfig(BackboneConfig, ImagesConfig):
    """A backbone, and images like those it was trained on unless others are asked for."""

    followed: ClassVar[tuple[str, ...]] = ("dataset", "image_size", "crop_pct", "train_size", "test_size", "stream", "shrink")

    dataset: str = Field(None, description="None: that of the backbone's run")  # type: ignore[assignment]
    grey: bool = Field(  # type: ignore[assignment]
        None, description="take the colour out of the images; None: as the backbone's run", json_schema_extra=EXPERIMENT
    )

    def make_backbone(self, data: Dataset) -> Backbone:
        """The backbone for a dataset: see `open_backbone`."""

        def some(count: int, places: torch.Generator) -> torch.Tensor:
            return data.train.read(torch.randperm(len(data.train), generator=places)[:count])

        return self.open_backbone((data.mean, data.std), some)

"""What the stages that read a backbone's layers share: which ones, and that their data follow the backbone's run."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from pydantic import Field, field_validator, model_validator

from rotnet_lib.config import EXPERIMENT, ImagesConfig
from rotnet_lib.data.dataset import Dataset
from rotnet_lib.evaluation.backbone_config import BackboneConfig
from rotnet_lib.models import Backbone
from rotnet_lib.models.backbone import sample_backbone


class LayersConfig(BackboneConfig, ImagesConfig):
    """A backbone and its layers, on images like those it was trained on unless others are asked for."""

    followed: ClassVar[tuple[str, ...]] = ("dataset", "image_size", "crop_pct", "train_size", "test_size", "stream", "shrink")

    dataset: str = Field(None, description="None: that of the backbone's run")  # type: ignore[assignment]
    grey: bool = Field(  # type: ignore[assignment]
        None, description="take the colour out of the images; None: as the backbone's run", json_schema_extra=EXPERIMENT
    )
    layer: tuple[str, ...] = Field(
        ("conv2",), min_length=1, description="a layer, several (conv1,conv2) or all", json_schema_extra=EXPERIMENT
    )

    @classmethod
    def needs(cls, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        layers: tuple[str, ...] = _split(parameters.get("layer", cls.model_fields["layer"].default))
        return layers

    @field_validator("layer", mode="before")
    @classmethod
    def _listed(cls, layer: Any) -> Any:
        return _split(layer)

    @model_validator(mode="after")
    def _layers_of_arch(self) -> Self:
        backbone = sample_backbone(self.arch)
        for layer in self.layer:
            if self.layer != ("all",):
                backbone.check_layer(layer)
        if len(set(self.layer)) != len(self.layer):
            raise ValueError(f"layer: one of {', '.join(self.layer)} stands twice")
        return self

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers named, `all` spelled out."""
        return sample_backbone(self.arch).taps if self.layer == ("all",) else self.layer

    def make_backbone(self, data: Dataset) -> Backbone:
        """The backbone for a dataset: see `open_backbone`."""

        def some(count: int, places: torch.Generator) -> torch.Tensor:
            return data.train.read(torch.randperm(len(data.train), generator=places)[:count])

        return self.open_backbone((data.mean, data.std), some)


def _split(layer: Any) -> Any:
    return layer if isinstance(layer, list | tuple) else tuple(part.strip() for part in str(layer).split(","))

"""What the stages that read a backbone's layers share: which ones."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from rotnet_lib.models import ARCHS
from rotnet_lib.runs.config import EXPERIMENT
from rotnet_lib.stages.image_backbone_config import ImageBackboneConfig


class LayersConfig(ImageBackboneConfig):
    """A backbone and its layers, on images like those it was trained on unless others are asked for."""

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
        backbone = ARCHS[self.arch]
        for layer in self.layer:
            if self.layer != ("all",):
                backbone.check_layer(layer)
        if len(set(self.layer)) != len(self.layer):
            raise ValueError(f"layer: one of {', '.join(self.layer)} stands twice")
        return self

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers named, `all` spelled out."""
        return ARCHS[self.arch].taps if self.layer == ("all",) else self.layer


def _split(layer: Any) -> Any:
    return layer if isinstance(layer, list | tuple) else tuple(part.strip() for part in str(layer).split(","))

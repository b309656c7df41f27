"""Parameters of the stages that look at layers of a backbone as they are, without training anything on them."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from rotnet_lib.runs.stage_config import EXPERIMENT
from rotnet_lib.stages.backbone_config import ImageBackboneConfig, Layers, all_spelled_out, layer_names


class LayersConfig(ImageBackboneConfig):
    """Layers of a backbone. `all` are those that its weights have: a pretext task may have cut it."""

    layer: Layers = Field(
        ("all",), min_length=1, description="a layer, several (conv1,conv2) or all", json_schema_extra=EXPERIMENT
    )

    @classmethod
    def needs(cls, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(layer_names(parameters.get("layer", cls.model_fields["layer"].default)))

    @classmethod
    def loads(cls, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(layer for layer in cls.needs(parameters) if layer != "all")

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers named, `all` spelled out."""
        return all_spelled_out(self.layer, self.arch)

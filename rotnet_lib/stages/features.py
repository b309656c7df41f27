"""Pooled features of a backbone's layers, for the k-NN probe and for files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from rotnet_lib.lazy import torch
from rotnet_lib.runs.resolution import ALL
from rotnet_lib.runs.stage_config import EXPERIMENT, taking
from rotnet_lib.stages.backbone_config import UNTRAINED
from rotnet_lib.stages.layers_config import LayersConfig

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.split import Split
    from rotnet_lib.data.stream import StreamedSplit
    from rotnet_lib.evaluation.pooled_features import PooledFeatures


class FeaturesConfig(LayersConfig):
    """Layers of a frozen backbone, and the images that they are computed of."""

    stage: ClassVar[str] = "features"

    labels_per_class: int | None = Field(
        ge=1, description="use only the first K training images per class", json_schema_extra=EXPERIMENT | taking(ALL)
    )

    def describe(self, origin: str) -> str:
        """Readable start of a name: `knn-random-nin4-conv2-20-labels`."""
        extras = [
            f"-at-{self.checkpoint:g}" if self.checkpoint else "",
            f"-{self.labels_per_class}-labels" if self.labels_per_class else "",
        ]
        whose = f"-{self.backbone}" if self.backbone in UNTRAINED else ""
        return f"{origin}{whose}-{self.arch}-{'-'.join(self.layer)}{''.join(extras)}"


@dataclass(frozen=True)
class SplitFeatures:
    """The features of both splits.

    Attributes:
        train: of the training images, or of those of `labels_per_class`.
        test: of the test images, or of the training images that are held out (`Dataset.validation`).
        images: the training images, as the result of a run counts them.
    """

    train: PooledFeatures
    test: PooledFeatures
    images: Split | StreamedSplit

    @property
    def layers(self) -> tuple[str, ...]:
        """From the order that was asked for; of `all` those that the weights have."""
        return tuple(self.train.layers)


def features_of_splits(config: FeaturesConfig, data: Dataset, device: torch.device) -> SplitFeatures:
    """The features that a config asks for, by one pass of its backbone over each split.

    Args:
        config: says the backbone and the layers.
        data: loaded as the config asks.
        device: where to compute.

    Raises RotnetError as `make_backbone`, `pooled_features` and `first_per_class` do.
    """
    from rotnet_lib.evaluation.pooled_features import pooled_features

    backbone = config.make_backbone(data)
    layers = [layer for layer in config.layers if layer in backbone.taps]
    backbone.cut_after(max(layers, key=backbone.taps.index))
    backbone.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = data.train
    if config.labels_per_class is not None:
        images = images.first_per_class(config.labels_per_class, data.classes)
    images, test = images.to(device), data.test.to(device)
    return SplitFeatures(pooled_features(backbone, layers, images), pooled_features(backbone, layers, test), images)

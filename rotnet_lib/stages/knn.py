"""The knn stage: accuracy of a backbone's layers by their nearest neighbours, without training."""

from __future__ import annotations

import time
from typing import ClassVar, Self

from pydantic import Field, model_validator

from rotnet_lib.runs.directory import open_run
from rotnet_lib.runs.result import StageResult, build_result
from rotnet_lib.stages.features import FeaturesConfig, features_of_splits
from rotnet_lib.stages.register import stage


class KnnConfig(FeaturesConfig):
    """The weighted k-nearest-neighbour classifier on frozen features (docs/protocol.md, "k-NN probe").

    Wu et al. 2018, section 3.4. Each layer's output is averaged over the map and scaled to unit length. The k training images
    of the largest cosine s to a test image vote for their class, each with weight exp(s / temperature). Nothing is trained,
    images are not augmented, and all layers are computed in one pass over each split.
    """

    stage: ClassVar[str] = "knn"

    neighbours: int = Field(200, ge=1, description="k, the number of training images that vote")
    temperature: float = Field(0.07, gt=0, description="a neighbour of cosine s votes with weight exp(s / temperature)")

    @model_validator(mode="after")
    def _enough_images(self) -> Self:
        """As far as the config knows: how many images there are is looked at in the run."""
        if self.train_size is not None and self.neighbours > self.train_size:
            raise ValueError(
                f"neighbours: {self.neighbours} asked for, but train_size leaves {self.train_size} training images. Allowed: "
                f"1 to {self.train_size}"
            )
        return self

    @property
    def metric_names(self) -> tuple[str, ...]:
        return tuple(f"{layer}_top1" for layer in self.layers)

    @property
    def slug(self) -> str:
        return self.describe("knn")


@stage(KnnConfig)
def find_neighbours(config: KnnConfig) -> StageResult:
    """Classify the test images by their nearest training images, layer by layer.

    Metrics: `<layer>_top1`, percent. A finished run is read, not computed again.

    Raises:
        RotnetError: there are fewer training images than neighbours; and as `load_dataset`, `features_of_splits` and
            `RunDirectory.open` do.
    """
    from rotnet_lib.evaluation.hits import accuracy
    from rotnet_lib.evaluation.nearest_neighbours import check_neighbours, classify
    from rotnet_lib.stages.train import gather_data_record, load_data
    from rotnet_lib.training.devices import select_device

    begin = time.perf_counter()
    directory = open_run(config)
    if directory.finished:
        return StageResult(directory, directory.result())
    device = select_device(config)
    data = load_data(config)
    features = features_of_splits(config, data, device)
    check_neighbours(config.neighbours, len(features.train))
    truth = features.test.labels
    metrics, by_target = {}, {}
    for layer in features.layers:
        said = classify(
            features.test.layers[layer],
            features.train.layers[layer],
            features.train.labels,
            len(data.classes),
            neighbours=config.neighbours,
            temperature=config.temperature,
        )
        name = f"{layer}_top1"
        metrics[name], by_target[name] = accuracy(said == truth, truth, data.classes)
    result = build_result(
        directory,
        config,
        data=gather_data_record(data, features.images),
        metrics=metrics,
        by_target=by_target,
        training=None,
        device=device,
        begin=begin,
    )
    return StageResult(directory, result)

"""The probe stage's support vector machine: features of several layers, C by held-out labels, the solution, its figures."""

import time
from collections.abc import Sequence

import pandas as pd
import torch

from rotnet_lib.errors import RotnetError
from rotnet_lib.evaluation.grid_features import grid_features
from rotnet_lib.evaluation.hits import accuracy
from rotnet_lib.evaluation.svm import fit_svm, svm_scores
from rotnet_lib.runs.directory import open_run
from rotnet_lib.runs.result import build_result
from rotnet_lib.seeds import generator
from rotnet_lib.stages.probe import ProbeConfig
from rotnet_lib.stages.train import Outcome, gather_data_record, load_data, training_images
from rotnet_lib.training.devices import select_device

PENALTIES = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2)
"""Values of C that are tried: those of DCGAN's published code, from 1e-4 on, and smaller ones, for thousands of features."""
_ONE_OF = 10
"""Of so many training images of a class one is held out, and at least one."""


def svm_probe(config: ProbeConfig) -> Outcome:
    """Tell the classes of the test images apart by support vector machines on frozen features; a finished run is read.

    The layers' maps are pooled to a grid and laid side by side (`evaluation.grid_features`); each feature is standardised by
    its mean and standard deviation over the training images. C is the one of `PENALTIES` with most right answers on training
    images that are held out, the smallest of several; with it the solution is found again from all training images.

    Raises:
        RotnetError: the training images are of one class, or one of their classes has a single image; and as `load_data`,
            `grid_features`, `fit_svm` and `RunDirectory.open` do.
    """
    begin = time.perf_counter()
    directory = open_run(config)
    if directory.finished:
        return Outcome(directory, directory.result(), pd.DataFrame())
    device = select_device(config)
    data = load_data(config)
    train = training_images(config, data, None)
    backbone = config.make_backbone(data)
    backbone.cut_after(max(config.layers, key=backbone.taps.index))
    backbone.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    (features, labels), (test_features, truth) = (
        grid_features(
            backbone,
            config.layers,
            images.to(device),
            grid=config.grid,
            views=config.views,
            combine=config.combine,
            half=config.half,
        )
        for images in (train, data.test)
    )
    mean, std = features.mean(0), features.std(0)
    std[std == 0] = 1.0  # of a feature that is the same for all images
    for part in (features, test_features):
        part.sub_(mean).div_(std)
    held = held_out(labels.cpu(), data.classes, config.seed).to(device)
    kept, tried = (features[~held], labels[~held]), (features[held], labels[held])
    hits = [int(_right(*kept, *tried, len(data.classes), c).sum()) for c in PENALTIES]
    best = hits.index(max(hits))
    right = _right(features, labels, test_features, truth, len(data.classes), PENALTIES[best])
    [name] = config.metric_names
    metric, by_class = accuracy(right, truth, data.classes)
    result = build_result(
        directory,
        config,
        data=gather_data_record(data, train),
        metrics={name: metric},
        by_target={name: by_class},
        notes=(_note(config.grid, features.shape[1], hits, int(held.sum())),),
        training=None,
        device=device,
        begin=begin,
    )
    return Outcome(directory, result, pd.DataFrame())


def held_out(labels: torch.Tensor, classes: tuple[str, ...], seed: int) -> torch.Tensor:
    """Which of the training images C is chosen on: (n,) bool, a tenth of each class and at least one image of it.

    Args:
        labels: (n,) int64, on the CPU.
        classes: their names.
        seed: of the draw.

    Raises RotnetError naming the first class of which a single image is there.
    """
    draws = torch.randperm(len(labels), generator=generator(labels.device, seed, "svm"))
    found = torch.zeros(len(labels), dtype=torch.bool)
    for label, name in enumerate(classes):
        members = draws[labels[draws] == label]
        if len(members) == 1:
            raise RotnetError(
                f"classifier svm: class '{name}' has a single training image, and C is chosen on held-out images, at least one "
                "of each class. Take two images of each class or more (labels_per_class, train_size)."
            )
        found[members[: -(-len(members) // _ONE_OF)]] = True
    return found


def _right(
    features: torch.Tensor, labels: torch.Tensor, others: torch.Tensor, truth: torch.Tensor, classes: int, c: float
) -> torch.Tensor:
    """Which of the other images (m, F) an SVM of these features (n, F) answers right: (m,) bool."""
    return svm_scores(fit_svm(features, labels, classes, c), others).argmax(1) == truth


def _note(grid: int, features: int, hits: Sequence[int], images: int) -> str:
    """What the SVM saw and how its C was chosen, for the run's page."""
    best = hits.index(max(hits))
    tried = ", ".join(f"{c:g}: {100 * count / images:.1f} %" for c, count in zip(PENALTIES, hits, strict=True))
    said = (
        f"An SVM for each class against all others, on {features:,} features: maps pooled to {grid} x {grid}. The weight C of "
        f"its errors is {PENALTIES[best]:g}, chosen on {images} held-out training images (right answers by C: {tried})."
    )
    if best in (0, len(hits) - 1):
        said += f" That is the {'largest' if best else 'smallest'} that was tried: a better one may lie beyond."
    return said

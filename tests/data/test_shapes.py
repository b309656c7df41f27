"""`shapes`: repeatable, balanced, and upright by the object alone: the backgrounds do not tell the orientation."""

import numpy as np
import pytest
from PIL import Image

from rotnet_lib.data import shapes
from rotnet_lib.data.shapes.backgrounds import draw_background
from rotnet_lib.data.shapes.drawing import MAX_TILT, Placement, draw_object
from rotnet_lib.data.shapes.objects import OBJECTS

FloatArray = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def test_same_arguments_give_the_same_images() -> None:
    first, labels = shapes.generate("train", 30, seed=3)
    second, same_labels = shapes.generate("train", 30, seed=3)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(labels, same_labels)


def test_a_larger_set_begins_with_the_smaller() -> None:
    few, few_labels = shapes.generate("test", 13)
    many, many_labels = shapes.generate("test", 40)
    np.testing.assert_array_equal(few, many[:13])
    np.testing.assert_array_equal(few_labels, many_labels[:13])


def test_seeds_splits_and_indices_share_no_image() -> None:
    sets = [shapes.generate(split, 150, seed=seed)[0] for split in shapes.SPLITS for seed in (0, 1)]
    images = np.concatenate(sets)
    assert len({image.tobytes() for image in images}) == len(images)
    # Nor the same scene under other noise: in coarse thumbnails, any two images still differ.
    coarse = images.reshape(len(images), 4, 8, 4, 8, 3).mean(axis=(2, 4)).reshape(len(images), -1)
    squares = (coarse**2).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * coarse @ coarse.T
    np.fill_diagonal(distances, np.inf)
    assert distances.min() / coarse.shape[1] > 10.0


@pytest.mark.parametrize("image_size", [16, 32, 64])
def test_shapes_types_and_range(image_size: int) -> None:
    images, labels = shapes.generate("train", 10, image_size=image_size)
    assert images.shape == (10, image_size, image_size, 3)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert images.std() > 20


def test_no_image_is_an_empty_set() -> None:
    images, labels = shapes.generate("test", 0)
    assert images.shape == (0, 32, 32, 3)
    assert labels.shape == (0,)


@pytest.mark.parametrize("count", [50, 57])
def test_classes_are_balanced(count: int) -> None:
    _, labels = shapes.generate("train", count)
    per_class = np.bincount(labels, minlength=len(shapes.CLASSES))
    assert per_class.max() - per_class.min() <= 1


def test_a_larger_image_shows_the_same_scene() -> None:
    small, _ = shapes.generate("test", 20, image_size=32)
    large, _ = shapes.generate("test", 20, image_size=64)
    # Averaged over 4x4 small pixels, the pixel noise is gone.
    coarse = [x.reshape(20, 8, x.shape[1] // 8, 8, x.shape[1] // 8, 3).mean(axis=(2, 4)) for x in (small, large)]
    assert np.abs(coarse[0] - coarse[1]).mean() < 4
    assert np.abs(coarse[0] - np.roll(coarse[1], 1, axis=0)).mean() > 20


@pytest.mark.parametrize(
    ("split", "count", "options", "message"),
    [
        ("validation", 1, {}, "choose one of train, test"),
        ("train", -1, {}, "count=-1"),
        ("train", 1, {"seed": -2}, "seed=-2"),
        ("train", 1, {"image_size": 15}, "image_size=15"),
    ],
)
def test_wrong_arguments_say_what_is_allowed(split: str, count: int, options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shapes.generate(split, count, **options)


def test_placement_of_points() -> None:
    points = [(1.0, 0.0), (0.0, 1.0)]
    right, down = Placement(50, 60, half_size=10, tilt=90).apply(points)  # a quarter turn clockwise on the screen
    assert right == pytest.approx((50, 70))
    assert down == pytest.approx((40, 60))
    right, down = Placement(50, 60, half_size=10, mirrored=True).apply(points)
    assert right == pytest.approx((40, 60))
    assert down == pytest.approx((50, 70))


def silhouettes(kind: str, count: int = 8, side: int = 128) -> FloatArray:
    """(count, side, side) masks in [0, 1] of one kind, centred, of one size, tilted and mirrored at random."""
    masks = []
    for index in range(count):
        rng = np.random.default_rng(index)
        tilt, mirrored = rng.uniform(-MAX_TILT, MAX_TILT), bool(rng.integers(2))
        placement = Placement(side / 2, side / 2, 0.4 * side, tilt, mirrored)
        palette = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
        mask = draw_object(Image.new("RGB", (side, side)), OBJECTS[kind](rng), palette, placement)
        masks.append(np.asarray(mask, dtype=np.float64) / 255)
    return np.stack(masks)


@pytest.mark.parametrize("kind", shapes.CLASSES)
def test_objects_fit_their_frame_and_have_an_up(kind: str) -> None:
    masks = silhouettes(kind)
    assert masks.mean() > 0.08  # large enough to be seen
    assert masks[:, 0].sum() + masks[:, -1].sum() + masks[:, :, 0].sum() + masks[:, :, -1].sum() == 0
    # Two upright ones overlap more than an upright one and a turned one, for each of the three turns.
    mean = masks.mean(axis=0)
    upright = (masks * mean).sum()
    for turns in (1, 2, 3):
        assert (masks * np.rot90(mean, turns)).sum() < 0.95 * upright


def backgrounds(count: int, start: int) -> FloatArray:
    """(count, 32, 32, 3) in [0, 255], without an object."""
    images = [draw_background(np.random.default_rng([start, i]), 128)[0].reduce(4) for i in range(count)]
    return np.stack([np.asarray(image, dtype=np.float64) for image in images])


def test_backgrounds_have_no_direction_in_the_mean() -> None:
    grey = backgrounds(1000, start=0).mean(axis=3)
    row, column = np.mgrid[-1:1:32j, -1:1:32j]
    statistics = {
        "top - bottom": grey[:, :16].mean(axis=(1, 2)) - grey[:, 16:].mean(axis=(1, 2)),
        "left - right": grey[:, :, :16].mean(axis=(1, 2)) - grey[:, :, 16:].mean(axis=(1, 2)),
        "row gradient": (grey * row).mean(axis=(1, 2)),
        "column gradient": (grey * column).mean(axis=(1, 2)),
        "horizontal - vertical edges": np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2))
        - np.abs(np.diff(grey, axis=1)).mean(axis=(1, 2)),
    }
    for name, values in statistics.items():
        standard_error = values.std() / np.sqrt(len(values))
        assert abs(values.mean()) < 4 * standard_error, name


def direction_features(images: FloatArray) -> FloatArray:
    """(N, 32, 32, 3) -> (N, 97) standardised: 4x4 thumbnails in colour, coarse signed and unsigned edges, a bias."""
    count = len(images)
    thumbnails = images.reshape(count, 4, 8, 4, 8, 3).mean(axis=(2, 4)).reshape(count, -1)
    grey = images.mean(axis=3)
    edges = [np.diff(grey, axis=axis)[:, :28, :28] for axis in (1, 2)]
    maps = [f(edge).reshape(count, 2, 14, 2, 14).mean(axis=(2, 4)) for edge in edges for f in (np.copy, np.abs, np.square)]
    maps += [np.maximum(edge, 0).reshape(count, 2, 14, 2, 14).mean(axis=(2, 4)) for edge in edges]
    maps += [grey.reshape(count, 2, 16, 2, 16).std(axis=(2, 4))]
    features = np.concatenate([thumbnails, *(m.reshape(count, -1) for m in maps)], axis=1)
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    return np.concatenate([features, np.ones((count, 1))], axis=1)


def rotation_accuracy(train: FloatArray, test: FloatArray) -> float:
    """Accuracy on `test` of a linear classifier of the four rotations, fitted to `train`; 0.25 is chance."""
    features, targets = [], []
    for images in (train, test):
        features.append(direction_features(np.concatenate([np.rot90(images, k, axes=(1, 2)) for k in range(4)])))
        targets.append(np.repeat(np.arange(4), len(images)))
    weights = np.zeros((features[0].shape[1], 4))
    for _ in range(100):  # logistic regression by gradient descent
        logits = features[0] @ weights
        probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        weights -= 0.3 * features[0].T @ (probabilities - np.eye(4)[targets[0]]) / len(logits)
    return float(np.mean((features[1] @ weights).argmax(axis=1) == targets[1]))


@pytest.mark.slow
def test_rotation_is_told_by_the_object_and_not_by_the_background() -> None:
    background_only = rotation_accuracy(backgrounds(700, start=1), backgrounds(500, start=2))
    assert abs(background_only - 0.25) < 0.04
    with_object = rotation_accuracy(*(shapes.generate(split, 500)[0].astype(np.float64) for split in shapes.SPLITS))
    assert with_object > 0.3  # the same weak classifier sees something as soon as there is an object

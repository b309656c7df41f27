"""Scenes: repeatable, with boxes and masks of what is to be seen, objects of all sizes and none hidden."""

import numpy as np
import pytest

from rotnet_lib.data import shapes
from rotnet_lib.data.shapes.scenes import KINDS, VOID, Scene, _Painted, render_scene, scene

COUNT = 120


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [scene("train", index, 96) for index in range(COUNT)]


def test_a_scene_is_a_function_of_its_arguments() -> None:
    first, second = scene("test", 3, 64), scene("test", 3, 64)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.boxes, second.boxes)
    others = [scene("train", 3, 64), scene("test", 4, 64), scene("test", 3, 68), scene("test", 3, 64, seed=1)]
    assert len({first.image.tobytes(), *(other.image.tobytes() for other in others)}) == 5


def test_kinds_and_splits_are_those_of_shapes() -> None:
    assert KINDS == shapes.CLASSES
    with pytest.raises(ValueError, match="validation"):
        scene("validation", 0, 64)


def test_shapes_types_and_ranges(scenes: list[Scene]) -> None:
    sizes = set()
    for drawn in scenes:
        height, width, channels = drawn.image.shape
        sizes.add((width, height))
        count = len(drawn.labels)
        assert channels == 3
        assert 1 <= count <= 5
        assert drawn.image.dtype == drawn.mask.dtype == np.uint8
        assert drawn.mask.shape == (height, width)
        assert drawn.boxes.shape == (count, 4)
        assert drawn.difficult.shape == drawn.truncated.shape == (count,)
        left, top, right, bottom = drawn.boxes.T
        assert (left >= 0).all()
        assert (top >= 0).all()
        assert (left < right).all()
        assert (top < bottom).all()
        assert (right <= width).all()
        assert (bottom <= height).all()
    assert sizes == {(96, 72), (72, 96), (96, 96)}


def test_any_size_may_be_drawn() -> None:
    drawn = render_scene(np.random.default_rng(0), 90, 41)
    assert drawn.image.shape == (41, 90, 3)
    assert drawn.mask.shape == (41, 90)


def test_boxes_are_those_of_the_pixels_seen(scenes: list[Scene]) -> None:
    """Where a scene has one object of a kind and no other hides its border, its ids in the mask span its box."""
    checked = 0
    for drawn in scenes:
        for box, label in zip(drawn.boxes.tolist(), drawn.labels, strict=True):
            if (drawn.labels == label).sum() > 1:
                continue
            rows, columns = np.nonzero(drawn.mask == 1 + label)
            span = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            # The border of a nearer object may take a pixel of a farther one's edge.
            assert (np.abs(span - box) <= (0 if len(drawn.labels) == 1 else 2)).mean() >= 0.5
            assert span[0] >= box[0]
            assert span[1] >= box[1]
            assert span[2] <= box[2]
            assert span[3] <= box[3]
            checked += 1
    assert checked > COUNT


def test_the_mask_has_the_objects_ids_and_a_border_about_each(scenes: list[Scene]) -> None:
    for drawn in scenes:
        assert set(np.unique(drawn.mask)) <= {0, VOID, *(1 + drawn.labels).tolist()}
        assert (drawn.mask == VOID).any()
        # No object's pixel touches the background, nor another kind of object, but across the border.
        for first, second in ((drawn.mask[1:], drawn.mask[:-1]), (drawn.mask[:, 1:], drawn.mask[:, :-1])):
            apart = (first != second) & (first != VOID) & (second != VOID)
            assert not apart.any()


def test_the_border_is_a_pixel_wide_in_small_scenes() -> None:
    drawn = next(found for found in (scene("train", index, 96) for index in range(50)) if len(found.labels) == 1)
    inside = drawn.mask == 1 + drawn.labels[0]
    grown = np.zeros_like(inside)
    padded = np.pad(inside, 1)
    for down in range(3):
        for across in range(3):
            grown |= padded[down : down + inside.shape[0], across : across + inside.shape[1]]
    np.testing.assert_array_equal(drawn.mask == VOID, grown & ~inside)


def test_objects_are_painted_where_the_mask_says() -> None:
    """The same scene with and without the object differs inside its box, and outside by no more than noise."""
    drawn = next(found for found in (scene("train", index, 96) for index in range(50)) if len(found.labels) == 1)
    inside = drawn.mask == 1 + drawn.labels[0]
    colours = drawn.image[inside].reshape(-1, 3).astype(float)
    around = drawn.image[drawn.mask == 0].reshape(-1, 3).astype(float)
    # Each of the object's colours stands out from the two main ones of the background.
    distance = np.linalg.norm(colours[:, None] - np.median(around, axis=0), axis=2)
    assert np.median(distance) > 60


def test_an_object_may_hide_up_to_half_of_another() -> None:
    painted = _Painted(40, 30)
    square = np.ones((20, 20), bool)
    painted.add(3, square, (10, 5))
    assert not painted.leaves_visible(square, (14, 5))  # hides 16 of 20 columns
    assert not painted.leaves_visible(square, (19, 5))
    assert painted.leaves_visible(square, (20, 5))
    assert not painted.leaves_visible(square, (31, 5))  # itself cut to 9 of 20 columns by the edge
    painted.add(4, square[:, :9], (21, 5))  # 45 %
    assert not painted.leaves_visible(square[:, :2], (10, 5))  # 45 + 10 %
    drawn = painted.scene(np.zeros((30, 40, 3), np.uint8))
    assert drawn.boxes.tolist() == [[10, 5, 21, 25], [21, 5, 30, 25]]
    assert drawn.labels.tolist() == [3, 4]
    assert drawn.difficult.tolist() == [True, False]  # the first shows 55 %
    assert drawn.truncated.tolist() == [False, False]


def test_small_or_cut_off_is_said() -> None:
    painted = _Painted(100, 100)
    for label, (side, corner) in enumerate([(15, (50, 50)), (20, (70, 70)), (30, (-5, 10))]):
        painted.add(label, np.ones((side, side), bool), corner)
    drawn = painted.scene(np.zeros((100, 100, 3), np.uint8))
    assert drawn.difficult.tolist() == [True, False, False]
    assert drawn.truncated.tolist() == [False, False, True]
    assert drawn.boxes[2].tolist() == [0, 10, 25, 40]


def test_every_object_is_seen(scenes: list[Scene]) -> None:
    for drawn in scenes:
        for label in drawn.labels:
            assert (drawn.mask == 1 + label).sum() >= 8


def test_sizes_differ_and_a_part_is_difficult_or_cut_off(scenes: list[Scene]) -> None:
    boxes = np.concatenate([drawn.boxes for drawn in scenes])
    size = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) / 96
    assert size.min() < 0.2
    assert size.max() > 0.65
    difficult = np.concatenate([drawn.difficult for drawn in scenes])
    assert 0.05 < difficult.mean() < 0.35
    assert difficult[size < 0.16].all()  # 15 of 96 pixels
    assert 0.05 < np.concatenate([drawn.truncated for drawn in scenes]).mean() < 0.5
    counts = np.bincount(np.concatenate([drawn.labels for drawn in scenes]), minlength=len(KINDS))
    assert counts.min() > 0.3 * counts.mean()


def test_what_is_cut_off_lies_at_the_edge(scenes: list[Scene]) -> None:
    single = [drawn for drawn in scenes if len(drawn.labels) == 1 and drawn.truncated[0]]
    assert single
    for drawn in single:
        height, width = drawn.mask.shape
        left, top, right, bottom = drawn.boxes[0]
        assert left == 0 or top == 0 or right == width or bottom == height

"""Average precision by hand, by a plain loop, and against detectron2's where that is installed."""

from pathlib import Path

import numpy as np
import pytest

from rotnet_lib.data.voc.overlap import iou
from rotnet_lib.voc.average_precision import Curve, Truth, curve

BOX = [0.0, 0.0, 10.0, 10.0]
OTHER = [50.0, 50.0, 60.0, 60.0]
NOWHERE = [80.0, 0.0, 90.0, 10.0]


def truth(*boxes: list[float], difficult: tuple[int, ...] = ()) -> Truth:
    marks = np.zeros(len(boxes), bool)
    marks[list(difficult)] = True
    return Truth(np.array(boxes).reshape(-1, 4), marks)


def found(truths: list[Truth], *detections: tuple[int, list[float], float]) -> Curve | None:
    images, boxes, scores = zip(*detections, strict=True) if detections else ((), (), ())
    return curve(truths, np.array(images, np.int64), np.array(boxes, float).reshape(-1, 4), np.array(scores, float))


def test_everything_found_is_1():
    result = found([truth(BOX), truth(OTHER)], (0, BOX, 0.5), (1, OTHER, 0.4))
    assert result.recall.tolist() == [0.5, 1]
    assert result.precision.tolist() == [1, 1]
    assert result.average_precision_11() == pytest.approx(1)
    assert result.average_precision_area() == pytest.approx(1)


def test_nothing_found_is_0():
    for result in (found([truth(BOX)]), found([truth(BOX)], (0, NOWHERE, 0.9))):
        assert result.average_precision_11() == result.average_precision_area() == 0


def test_one_of_two_found_by_hand():
    # Recall 0, 0.1, ..., 0.5 at precision 1/2, the others not reached: 6 of 11 steps.
    result = found([truth(BOX), truth(OTHER)], (0, NOWHERE, 0.9), (0, BOX, 0.5))
    assert result.average_precision_11() == pytest.approx(6 / 11 / 2)
    assert result.average_precision_area() == pytest.approx(0.5 * 0.5)


def test_steps_of_recall_are_the_devkits_floating_point_numbers():
    truths = [truth(BOX) for _ in range(10)]
    result = found(truths, *[(image, BOX, 0.5) for image in range(3)])
    assert result.average_precision_11() == pytest.approx(3 / 11)  # recalls 0, 0.1, 0.2; 0.3 is short of 0.30000000000000004


def test_second_detection_of_an_object_is_wrong():
    result = found([truth(BOX, OTHER)], (0, BOX, 0.9), (0, BOX, 0.8), (0, OTHER, 0.7))
    assert result.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3])
    assert result.recall.tolist() == [0.5, 0.5, 1]


def test_surest_detection_of_an_object_is_the_right_one_whatever_the_order_given():
    result = found([truth(BOX)], (0, BOX, 0.1), (0, BOX, 0.9))
    assert result.precision.tolist() == [1, 0.5]


def test_difficult_objects_are_neither_to_be_found_nor_wrong():
    truths = [truth(BOX, OTHER, difficult=(0,))]
    result = found(truths, (0, BOX, 0.9), (0, BOX, 0.8), (0, OTHER, 0.7))
    assert result.objects == 1
    assert result.average_precision_11() == pytest.approx(1)
    assert found([truth(BOX, difficult=(0,))], (0, BOX, 0.9)) is None


def test_a_detection_belongs_to_the_object_it_overlaps_most_even_a_difficult_one():
    shifted = [1.0, 0.0, 11.0, 10.0]
    assert found([truth(BOX, shifted, difficult=(0,))], (0, BOX, 0.9)).average_precision_area() == 0
    assert found([truth(BOX, shifted, difficult=(1,))], (0, BOX, 0.9)).average_precision_area() == 1


def test_iou_must_be_over_one_half():
    assert found([truth(BOX)], (0, [0, 0, 10, 5.0], 0.9)).average_precision_area() == 0
    assert found([truth(BOX)], (0, [0, 0, 10, 5.1], 0.9)).average_precision_area() == 1


def test_a_detection_in_another_image_is_wrong():
    assert found([truth(BOX), truth()], (1, BOX, 0.9)).average_precision_area() == 0


def random_split(seed: int) -> tuple[list[Truth], np.ndarray, np.ndarray, np.ndarray]:
    """15 images of 0 to 4 objects (whole pixels), and detections about them, some in the wrong place, scores all different."""
    rng = np.random.default_rng(seed)
    truths, images, boxes = [], [], []
    for image in range(15):
        count = int(rng.integers(0, 5))
        corners = rng.integers(0, 40, (count, 2))
        objects = np.concatenate([corners, corners + rng.integers(10, 40, (count, 2))], 1)
        truths.append(Truth(objects.astype(float), rng.random(count) < 0.3))
        for box in [*objects.repeat(3, 0), *(objects + 25)]:
            images.append(image)
            moved = box + rng.integers(-6, 7, 4)
            boxes.append([moved[0], moved[1], max(moved[2], moved[0] + 2), max(moved[3], moved[1] + 2)])
    scores = rng.permutation(len(images)) / 1000
    return truths, np.array(images), np.array(boxes, float), scores


@pytest.mark.parametrize("seed", range(10))
def test_same_as_a_plain_loop(seed):
    truths, images, boxes, scores = random_split(seed)
    result = curve(truths, images, boxes, scores)
    taken, right, wrong, recall, precision = set(), 0, 0, [], []
    objects = sum(not mark for truth in truths for mark in truth.difficult)
    for place in sorted(range(len(scores)), key=lambda k: -scores[k]):
        image = images[place]
        best, where = 0.0, None
        for number, box in enumerate(truths[image].boxes):
            overlap = float(iou(boxes[place][None], box[None])[0, 0])
            if overlap > best:
                best, where = overlap, number
        if best > 0.5 and truths[image].difficult[where]:
            continue
        if best > 0.5 and (image, where) not in taken:
            taken.add((image, where))
            right += 1
        else:
            wrong += 1
        recall.append(right / objects)
        precision.append(right / (right + wrong))
    # A detection of a difficult object repeats a point in the library's curve.
    assert list(dict.fromkeys(zip(result.recall, result.precision, strict=True))) == list(
        dict.fromkeys(zip(recall, precision, strict=True))
    )
    steps = [max([p for r, p in zip(recall, precision, strict=True) if r >= 0.1 * step], default=0) for step in range(11)]
    assert result.average_precision_11() == pytest.approx(sum(steps) / 11)
    area, before = 0.0, 0.0
    for place, r in enumerate(recall):
        area += (r - before) * max(precision[place:])
        before = r
    assert result.average_precision_area() == pytest.approx(area)


@pytest.mark.parametrize("seed", range(5))
def test_same_as_detectron2(seed, tmp_path):
    evaluation = pytest.importorskip("detectron2.evaluation.pascal_voc_evaluation")
    truths, images, boxes, scores = random_split(seed)
    (tmp_path / "list.txt").write_text("\n".join(map(str, range(len(truths)))))
    for number, of_image in enumerate(truths):
        write_annotation(tmp_path / f"{number}.xml", of_image)
    lines = [
        f"{image} {score} {left + 1} {top + 1} {right} {bottom}"
        for image, score, (left, top, right, bottom) in zip(images, scores, boxes, strict=True)
    ]
    (tmp_path / "cat.txt").write_text("\n".join(lines))
    result = curve(truths, images, boxes, scores)
    for year_2007, mine in ((True, result.average_precision_11()), (False, result.average_precision_area())):
        recall, precision, theirs = evaluation.voc_eval(
            str(tmp_path / "{}.txt"), str(tmp_path / "{}.xml"), tmp_path / "list.txt", "cat", 0.5, year_2007
        )
        assert mine == pytest.approx(theirs, abs=1e-12)
        counted = recall.size - result.recall.size  # theirs has points before the first detection that counts
        assert result.recall == pytest.approx(recall[counted:])
        assert result.precision == pytest.approx(precision[counted:])


def write_annotation(path: Path, truth: Truth) -> None:
    objects = "".join(
        f"<object><name>cat</name><pose>x</pose><truncated>0</truncated><difficult>{int(mark)}</difficult><bndbox>"
        f"<xmin>{left + 1:.0f}</xmin><ymin>{top + 1:.0f}</ymin><xmax>{right:.0f}</xmax><ymax>{bottom:.0f}</ymax></bndbox>"
        "</object>"
        for (left, top, right, bottom), mark in zip(truth.boxes, truth.difficult, strict=True)
    )
    path.write_text(f"<annotation>{objects}</annotation>")

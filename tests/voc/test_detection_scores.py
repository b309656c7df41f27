"""Detections kept in a run's directory, and their mean average precision."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rotnet_lib.data.voc.objects import Objects
from rotnet_lib.data.voc.sets import VocSet
from rotnet_lib.data.voc.split import VocSplit
from rotnet_lib.errors import RotnetError
from rotnet_lib.voc.detection_scores import (
    Found,
    ProposalsOfSplit,
    ProposalsRecord,
    evaluate,
    read_detections,
    write_detections,
    write_proposals_record,
)

CLASSES = ("cat", "NA", "mug, large")
BOX, OTHER = [0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 40.25, 40.5]
GOOD = ProposalsRecord(
    train=ProposalsOfSplit(recall=0.95, mean_count=120.4), test=ProposalsOfSplit(recall=0.9, mean_count=99.6)
)


class Scenes(VocSplit):
    """Two images of which only this is known."""

    def objects(self, index: int) -> Objects:
        boxes = [[BOX, OTHER], [BOX]][index]
        labels = [[0, 1], [1]][index]
        return Objects(
            np.array(boxes, np.float32), np.array(labels), np.array([False, False, True][index : index + len(boxes)])
        )

    def image(self, index: int) -> np.ndarray:
        return np.zeros((50, 60, 3), np.uint8)


@pytest.fixture
def voc() -> VocSet:
    split = Scenes(Path("nowhere"), CLASSES, "test", ("0001", "2"))
    return VocSet("toy", "a toy", CLASSES, ("cat", "n/a", "mug"), "f", split, split)


def found(*rows: tuple[Sequence[float], float, int]) -> Found:
    boxes, scores, labels = zip(*rows, strict=True) if rows else ((), (), ())
    return Found(np.array(boxes, float).reshape(-1, 4), np.array(scores, np.float32), np.array(labels, np.int64))


def keep(directory: Path, voc: VocSet, *of_images: Found, record: ProposalsRecord = GOOD) -> None:
    write_detections(directory, voc, of_images)
    write_proposals_record(directory, record)


def test_what_is_read_is_what_was_written(voc, tmp_path):
    one = found((BOX, 0.123456789, 2), (OTHER, 0.3, 1))
    write_detections(tmp_path, voc, [one, found()])
    again, none = read_detections(tmp_path, voc)
    assert again.boxes.tolist() == one.boxes.tolist()
    assert np.array_equal(again.scores.astype(np.float32), one.scores)
    assert again.labels.tolist() == one.labels.tolist()
    assert len(none.scores) == 0
    write_detections(tmp_path, voc, [found(), one])
    assert [len(of.scores) for of in read_detections(tmp_path, voc)] == [0, 2]


def test_no_detection_at_all_is_a_map_of_0(voc, tmp_path):
    keep(tmp_path, voc, found(), found())
    assert evaluate("torchvision", voc, tmp_path).metrics == {"map": 0, "map_area": 0}


def test_one_image_too_few_leaves_nothing(voc, tmp_path):
    with pytest.raises(ValueError, match="shorter"):
        write_detections(tmp_path, voc, [found()])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "line",
    ["0001,dog,0.5,0,0,1,1", "0003,cat,0.5,0,0,1,1", "0001,cat,half,0,0,1,1", "0001,cat,nan,0,0,1,1", "0001,cat,1,0,0,inf,1"],
)
def test_what_was_not_written_so_is_named(line, voc, tmp_path):
    keep(tmp_path, voc, found(), found())
    with (tmp_path / "detections.csv").open("a") as file:
        file.write(line)
    with pytest.raises(RotnetError, match=r"detections in .*\.csv are missing, damaged or of other images .* Delete"):
        read_detections(tmp_path, voc)


@pytest.mark.parametrize("content", [None, "{", '{"train": null}', '{"train": null, "test": {"recall": NaN, "mean_count": 9}}'])
def test_figures_of_the_proposals_that_cannot_be_read_are_named(content, voc, tmp_path):
    keep(tmp_path, voc, found(), found())
    (tmp_path / "proposals.json").unlink() if content is None else (tmp_path / "proposals.json").write_text(content)
    with pytest.raises(RotnetError, match=r"figures of the proposals in .*/proposals\.json are missing"):
        evaluate("torchvision", voc, tmp_path)


def test_mean_is_over_the_classes_that_have_an_object_to_find(voc, tmp_path):
    # The cat is found after one mistake; the other class at once, and its difficult object does not count.
    keep(tmp_path, voc, found((OTHER, 0.9, 0), (BOX, 0.8, 0), (OTHER, 0.7, 1)), found((BOX, 0.9, 1), (BOX, 0.9, 2)))
    result = evaluate("torchvision", voc, tmp_path)
    assert result.by_target["map"] == pytest.approx({"cat": 50, "n/a": 100})
    assert result.metrics["map"] == pytest.approx(75)
    assert result.metrics["map_area"] == pytest.approx(75)
    details = result.details
    assert details.curves["cat"][0].tolist() == [0, 1]
    assert details.curves["cat"][1].tolist() == [0, 0.5]
    [note] = result.notes
    assert note.endswith("Without an object to find in the test split, and left out of the mean: mug.")
    assert "100 per test image; they overlap 95.0 % of the training objects and 90.0 % of the test objects" in note
    assert [(example.name, len(example.found.scores)) for example in details.examples] == [("0001", 3), ("2", 2)]


@pytest.mark.parametrize(
    ("engine", "installed", "said"),
    [
        ("torchvision", "torchvision", "through torchvision (detectron2, the other engine, is not installed here)."),
        ("torchvision", "detectron2", "through torchvision."),
        ("detectron2", "detectron2", "through detectron2."),
    ],
)
def test_the_engine_is_named(engine, installed, said, voc, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == installed else None)
    keep(tmp_path, voc, found(), found(), record=ProposalsRecord(train=None, test=None))
    sentence = evaluate(engine, voc, tmp_path).notes[0]
    assert sentence.startswith(f"Fast R-CNN {said}")
    assert "region proposal network's: not the published protocol" in sentence

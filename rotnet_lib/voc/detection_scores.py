"""Detections on a test split: written to a run's directory, read, and evaluated."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from rotnet_lib.data.voc.objects import Objects
from rotnet_lib.data.voc.proposals import Proposals
from rotnet_lib.data.voc.sets import VocSet
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import read_text, replacing, write_text
from rotnet_lib.voc.average_precision import Curve, Truth, curve
from rotnet_lib.voc.detector_settings import EngineName, default_engine
from rotnet_lib.voc.task import Evaluation

DETECTIONS, PROPOSALS = "detections.csv", "proposals.json"
"""In the run's directory: a row for each detection, and measures of the proposals."""

_COLUMNS = ("image", "class", "score", "left", "top", "right", "bottom")
_EXAMPLES = 6
"""Test images to draw, the first of the split."""


@dataclass(frozen=True)
class Found:
    """The detections in an image.

    Attributes:
        boxes: (k, 4) float: left, top, right, bottom as pixel edges of the stored image.
        scores: (k,) float in [0, 1].
        labels: (k,) int64, places in the classes.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


class ProposalsOfSplit(BaseModel):
    """Measures of the proposals of a split."""

    recall: float | None = Field(ge=0, le=1)
    """Share of the objects, without difficult ones, with a proposal of IoU >= 0.5; None if there is no such object."""
    mean_count: float = Field(ge=0, allow_inf_nan=False)
    """Mean number of proposals an image."""


class ProposalsRecord(BaseModel):
    """The schema of `proposals.json`. None for an RPN, whose proposals change with every step."""

    model_config = ConfigDict(extra="forbid")

    train: ProposalsOfSplit | None
    test: ProposalsOfSplit | None

    @classmethod
    def of(cls, train: Proposals | None, test: Proposals | None) -> "ProposalsRecord":
        return cls(train=_summary(train), test=_summary(test))


@dataclass(frozen=True)
class Example:
    """A test image with its objects and its detections.

    Attributes:
        name: its id.
        image: (H, W, 3) uint8.
        objects: of the annotation.
        found: the detections.
        classes: short names; labels are places in them.
    """

    name: str
    image: np.ndarray
    objects: Objects
    found: Found
    classes: tuple[str, ...]


@dataclass(frozen=True)
class DetectionDetails:
    """What the notebook shows of detections.

    Attributes:
        curves: class (short name) -> recall (k,) and precision (k,), in [0, 1].
        examples: some test images.
        proposals: measures of the proposals.
    """

    curves: dict[str, tuple[np.ndarray, np.ndarray]]
    examples: tuple[Example, ...]
    proposals: ProposalsRecord


def write_detections(directory: Path, voc: VocSet, found: Iterable[Found]) -> None:
    """Write the detections of each test image, in the split's order, as `detections.csv`, atomically.

    Scores are written in full, edges to a hundredth of a pixel.
    """
    with replacing(directory / DETECTIONS) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for name, of_image in zip(voc.test.names, found, strict=True):
            for box, score, label in zip(of_image.boxes, of_image.scores, of_image.labels, strict=True):
                writer.writerow([name, voc.classes[label], f"{score:.9g}", *(f"{edge:.2f}" for edge in box)])


def read_detections(directory: Path, voc: VocSet) -> list[Found]:
    """The detections of each test image. Raises RotnetError if the file is missing, damaged or of other images."""
    path = directory / DETECTIONS
    try:
        frame = pd.read_csv(io.StringIO(read_text(path, "")), dtype={"image": str, "class": str}, keep_default_na=False)
        images, labels = _places(frame["image"], voc.test.names), _places(frame["class"], voc.classes)
        boxes, scores = frame[list(_COLUMNS[3:])].to_numpy(np.float64), frame["score"].to_numpy(np.float64)
        if not np.isfinite(boxes).all() or not np.isfinite(scores).all():
            raise ValueError("a number that is not finite")
    except (OSError, RotnetError, ValueError, KeyError, OverflowError) as error:
        raise _unreadable("detections", path, error) from None
    order = np.argsort(images, kind="stable")
    ends = np.searchsorted(images[order], np.arange(1, len(voc.test)))
    return [Found(boxes[places], scores[places], labels[places]) for places in np.split(order, ends)]


def write_proposals_record(directory: Path, record: ProposalsRecord) -> None:
    """Write `proposals.json`, atomically."""
    write_text(directory / PROPOSALS, record.model_dump_json(indent=1) + "\n")


def read_proposals_record(directory: Path) -> ProposalsRecord:
    """The record that `write_proposals_record` wrote. Raises RotnetError if the file is missing or damaged."""
    path = directory / PROPOSALS
    try:
        return ProposalsRecord.model_validate_json(read_text(path, ""))
    except (OSError, RotnetError, ValueError) as error:
        raise _unreadable("figures of the proposals", path, error) from None


def evaluate(engine: EngineName, voc: VocSet, directory: Path) -> Evaluation:
    """VOC's mean average precision of the detections in a run's directory.

    `map` is the mean over the classes of VOC 2007's 11-point average precision; `map_area` uses the area under the curve, as
    VOC does since 2010. Classes with no test object but difficult ones are left out of both.
    """
    found = read_detections(directory, voc)
    objects = [voc.test.objects(index) for index in range(len(voc.test))]
    images = np.repeat(np.arange(len(found)), [len(of_image.scores) for of_image in found])
    boxes, scores, labels = (
        np.concatenate([getattr(of_image, name) for of_image in found]) for name in ("boxes", "scores", "labels")
    )
    curves: dict[str, Curve] = {}
    for label, name in enumerate(voc.short):
        truths = [Truth(of.boxes[of.labels == label], of.difficult[of.labels == label]) for of in objects]
        of_class = labels == label
        result = curve(truths, images[of_class], boxes[of_class], scores[of_class])
        if result is not None:
            curves[name] = result
    if not curves:
        raise RotnetError(f"the {voc.test.name} split of {voc.title} has no object that is not difficult: nothing to find.")
    by_class = {name: 100 * result.average_precision_11() for name, result in curves.items()}
    record = read_proposals_record(directory)
    examples = tuple(
        Example(voc.test.names[index], voc.test.image(index), objects[index], found[index], voc.short)
        for index in voc.test.spread(_EXAMPLES)
    )
    return Evaluation(
        metrics={
            "map": float(np.mean(list(by_class.values()))),
            "map_area": 100 * float(np.mean([result.average_precision_area() for result in curves.values()])),
        },
        by_target={"map": by_class},
        details=DetectionDetails(
            {name: (result.recall, result.precision) for name, result in curves.items()},
            examples,
            record,
        ),
        notes=(_sentence(engine, record, [name for name in voc.short if name not in curves]),),
    )


def _unreadable(what: str, path: Path, error: Exception) -> RotnetError:
    return RotnetError(
        f"the {what} in {path} are missing, damaged or of other images ({error}). Delete {path.parent} and run again."
    )


def _places(column: Iterable[str], names: Sequence[str]) -> np.ndarray:
    """(k,) int64, the place in `names` of each entry of a column. Raises KeyError for an unknown one."""
    place = {name: number for number, name in enumerate(names)}
    return np.array([place[name] for name in column], np.int64)


def _summary(proposals: Proposals | None) -> ProposalsOfSplit | None:
    if proposals is None:
        return None
    recall = None if np.isnan(proposals.recall) else proposals.recall
    return ProposalsOfSplit(recall=recall, mean_count=proposals.mean_count)


def _sentence(engine: EngineName, record: ProposalsRecord, left_out: list[str]) -> str:
    """`Fast R-CNN through torchvision. Selective search ...`."""
    missing = " (detectron2, the other engine, is not installed here)" if default_engine() != "detectron2" else ""
    said = [f"Fast R-CNN through {engine}{missing if engine == 'torchvision' else ''}."]
    if record.train and record.test:
        of_splits = {"training": record.train, "test": record.test}
        recalls = " and ".join(
            f"{100 * of.recall:.1f} % of the {name} objects" for name, of in of_splits.items() if of.recall is not None
        )
        said.append(
            f"Proposals are selective search's, {record.test.mean_count:.0f} per test image; they overlap {recalls} "
            "with an IoU of 0.5 or more."
        )
    else:
        said.append("Proposals are a region proposal network's: not the published protocol, which has selective search.")
    if left_out:
        said.append(f"Without an object to find in the test split, and left out of the mean: {', '.join(left_out)}.")
    return " ".join(said)

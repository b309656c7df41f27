"""What a network saw in training, and what it answered: pictures and counts that a run keeps for its page.

They are written when the training has ended and read whenever the page is drawn, so that the page needs no data and no network.
"""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydantic import BaseModel, ValidationError

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import read_text, write_text
from rotnet_lib.lazy import torch
from rotnet_lib.pretext.examples import Example
from rotnet_lib.runs.directory import RunDirectory

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch, Loader
    from rotnet_lib.training.answers import Answers
    from rotnet_lib.training.task import Task

SEEN = "seen.json"
"""In a run's directory. Runs from before there was this file have none."""

_SHOWN = 6
"""Images that are shown, of the training and of the test split."""
_SIDE = 112
"""Pixels of a kept picture's longer side, at most: pages have 3 MB."""
_MATRIX = 100
"""Answers to choose from, up to which all pairs are kept; of more, those pairs that are mistaken most."""
_PAIRS = 20


class Picture(BaseModel):
    """A picture: PNG in base64, (h, w, 3) of 8 bits."""

    png: str

    @classmethod
    def of(cls, pixels: np.ndarray) -> Picture:
        """From (h, w, 3) uint8; made smaller where it is large."""
        image = Image.fromarray(np.ascontiguousarray(pixels))
        if max(image.size) > _SIDE:
            image.thumbnail((_SIDE, _SIDE))
        with io.BytesIO() as file:
            image.save(file, "PNG", optimize=True)
            return cls(png=base64.b64encode(file.getvalue()).decode())

    @property
    def pixels(self) -> np.ndarray:
        """(h, w, 3) uint8."""
        with Image.open(io.BytesIO(base64.b64decode(self.png))) as image:
            return np.asarray(image.convert("RGB"))


class Named(BaseModel):
    """A picture and the name of its class."""

    picture: Picture
    name: str


class Shown(BaseModel):
    """An example of a task; see `Example`."""

    pictures: list[Picture]
    columns: int
    caption: str
    right: bool | None
    probability: list[float]
    beside: int = 1

    @classmethod
    def of(cls, example: Example) -> Shown:
        """From a task's example."""
        return cls(
            pictures=[Picture.of(pixels) for pixels in example.pictures],
            columns=example.columns,
            caption=example.caption,
            right=example.right,
            probability=list(example.probability),
            beside=example.beside,
        )

    @property
    def example(self) -> Example:
        """As the task gave it, but for the size of large pictures."""
        pictures = [picture.pixels for picture in self.pictures]
        return Example(pictures, self.columns, self.caption, self.right, tuple(self.probability), self.beside)


class Mistaken(BaseModel):
    """A test image, upright, its place in the split, the right answer, the wrong one, and the probability of that in [0, 1]."""

    picture: Picture
    place: int
    true: str
    said: str
    probability: float


class Pair(BaseModel):
    """How many inputs whose right answer is `true` were taken for `said`, of how many."""

    true: str
    said: str
    count: int
    of: int


class Confusion(BaseModel):
    """Which answer is given for which, on the whole test split.

    Attributes:
        metric: whose answers they are; of several, the metric with the most right ones.
        names: the answers to choose from.
        counts: a row for each right answer, how often each was given; None where there are more than 100 to choose from.
        pairs: the wrong answers given most, the most frequent first.
        mistakes: the wrong answers of the highest probability, the surest first; empty where an image has several answers.
    """

    metric: str
    names: list[str]
    counts: list[list[int]] | None
    pairs: list[Pair]
    mistakes: list[Mistaken]


class Seen(BaseModel):
    """What a run keeps for its page.

    Attributes:
        training: some of the images that it was trained on, augmented.
        made: what the task makes of those, with the trained network's answers; empty for a task that shows nothing.
        examples: the same of test images.
        charts: what the task knows of its training images, or made on the way (`PretextTask.charts`).
        answered: what the task shows of all its answers on the test split (`PretextTask.answer_charts`).
        confusion: of the answers; None for a task without answers to choose from.
        problem: why there are no examples though the task has some: its error. Pictures must not cost a training.
    """

    training: list[Named]
    made: list[Shown] = []
    examples: list[Shown] = []
    charts: list[Shown] = []
    answered: list[Shown] = []
    confusion: Confusion | None = None
    problem: str = ""


def first_batch(loader: Loader, drawn: torch.Tensor | None = None) -> Batch:
    """Training images as they are at the beginning of an epoch, augmented, `_SHOWN` at most.

    Args:
        loader: of the training.
        drawn: the images that epochs draw from (see `Task.drawn_images`); None: all, the first of the first epoch.
    """
    order = None if drawn is None else drawn.cpu()[torch.arange(loader.entries) % len(drawn)] * loader.copies
    with closing(loader.epoch(0, order)) as batches:
        batch = next(batches)
    kept = slice(0, _SHOWN)
    return dataclasses.replace(
        batch,
        images=batch.images[kept],
        labels=batch.labels[kept],
        copies=batch.copies[kept],
        index=batch.index[kept],
        places=None,
        whole=None,
    )


def named_images(batch: Batch, classes: Sequence[str]) -> list[Named]:
    """The images of a batch with their classes."""
    pixels = batch.images.permute(0, 2, 3, 1).cpu().numpy()
    return [
        Named(picture=Picture.of(image), name=classes[label])
        for image, label in zip(pixels, batch.labels.cpu().tolist(), strict=True)
    ]


def make_seen(task: Task, loader: Loader, data: Dataset, answers: Mapping[str, Answers], seed: int) -> Seen:
    """What a trained task's network saw, and what it answers.

    Args:
        task: as it was trained, its module on the device; it is put into evaluation mode.
        loader: of the training.
        data: the test split is on the device too.
        answers: as `Trainer.gather_answers` returns them.
        seed: of what the task draws at random for its examples.
    """
    from rotnet_lib.evaluation.task_figures import examples_of_batch, spread_batch
    from rotnet_lib.pretext.task import PretextTask

    task.module.eval()
    batch = first_batch(loader, task.drawn_images)
    seen = Seen(training=named_images(batch, data.classes), confusion=_confusion(task, data, answers))
    if isinstance(task, PretextTask):
        try:
            seen.made = [Shown.of(example) for example in examples_of_batch(task, batch, seed)]
            seen.charts = [Shown.of(chart) for chart in task.charts()]
            seen.answered = [Shown.of(picture) for picture in task.answer_charts(answers)]
            seen.examples = [Shown.of(example) for example in examples_of_batch(task, spread_batch(data.test, _SHOWN), seed)]
        except (
            Exception
        ) as error:  # a task is anybody's code, and hours of training are behind it: the page says what was wrong
            seen.problem = f"{type(error).__name__}: {error}"
    return seen


def _confusion(task: Task, data: Dataset, answers: Mapping[str, Answers]) -> Confusion | None:
    named = {metric: found for metric, found in answers.items() if found.named}
    if not named:
        return None
    metric, best = max(named.items(), key=lambda item: int(item[1].confusion.trace()))
    names, counts = list(task.target_names), best.confusion
    wrong = counts - np.diag(counts.diagonal())
    most = [divmod(int(place), len(names)) for place in np.argsort(-wrong, axis=None, kind="stable")[:_PAIRS]]
    pairs = [
        Pair(true=names[true], said=names[said], count=int(wrong[true, said]), of=int(counts[true].sum()))
        for true, said in most
        if wrong[true, said]
    ]
    surest = best.surest_mistakes
    # All in one copy from the device.
    shown = data.test.read([found.place for found in surest]).permute(0, 2, 3, 1).cpu().numpy() if surest else ()
    mistakes = [
        Mistaken(
            picture=Picture.of(image),
            place=found.place,
            true=names[found.true],
            said=names[found.said],
            probability=found.probability,
        )
        for found, image in zip(surest, shown, strict=True)
    ]
    matrix = counts.tolist() if len(names) <= _MATRIX else None
    return Confusion(metric=metric, names=names, counts=matrix, pairs=pairs, mistakes=mistakes)


def write_seen(directory: Path, seen: Seen) -> None:
    """Write it into a run's directory. Raises StorageError if the system refuses to write."""
    write_text(directory / SEEN, seen.model_dump_json())


def read_seen(run: RunDirectory) -> Seen | None:
    """What a finished run kept, checked against its result; None for a run from before runs kept it.

    Raises RotnetError if the file is missing or damaged though the run has written it.
    """
    if SEEN not in (run.result().files or {}):
        return None
    run.check_files([SEEN])
    path, again = run.path / SEEN, f"Delete {run.path} and run again."
    try:
        return Seen.model_validate_json(read_text(path, again))
    except ValidationError as error:
        raise RotnetError(f"{path} is damaged: {error.errors()[0]['msg']}. {again}") from None

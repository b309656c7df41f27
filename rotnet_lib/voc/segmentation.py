"""The FCN, its training samples, and the evaluation of its masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from rotnet_lib.data.image_files import DamagedImage, read_indices
from rotnet_lib.data.voc.sets import VocSet
from rotnet_lib.data.voc.split import VOID, VocSplit
from rotnet_lib.data.voc.writing import write_mask
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import replacing
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.seeds import seeded
from rotnet_lib.voc.segmentation_config import SegmentationConfig
from rotnet_lib.voc.segmentation_scores import (
    BACKGROUND,
    all_alike,
    confusion,
    intersection_over_union,
    most_frequent,
    pixel_accuracy,
    read_confusion,
    write_confusion,
)
from rotnet_lib.voc.task import Evaluation, VocTask

CONFUSION, MASKS = "confusion.csv", "masks"
"""In the run's directory: the confusion matrix of the test split, and the predicted masks of some of its images."""

_PICTURES = 8
"""How many test images have their predictions kept and drawn."""


class SegmentationTask(VocTask):
    """The FCN: trained on crops of a fixed size, tested on whole images.

    Args:
        backbone: prepared; its layers are used, not copied.
        config: the stage's.
        voc: the data.

    Raises RotnetError if mmsegmentation is not installed.
    """

    def __init__(self, backbone: Backbone, config: SegmentationConfig, voc: VocSet) -> None:
        from rotnet_lib.voc.fcn import Fcn  # imports mmsegmentation, which is not needed to show a finished run

        self.config = config
        self.voc = voc
        with seeded(config.seed, "segmentation"):
            self.module: Fcn = Fcn(backbone, len(voc.classes), config.dropout)
        self._mean = tuple(round(float(channel)) for channel in backbone.normalize.mean.flatten())

    def sample(self, index: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Image (3, S, S) uint8 and mask (S, S) uint8, S = image_size, randomly scaled, mirrored and cropped.

        A scaled image that is smaller than the crop gets a random place in it. The rest of the crop has the mean colour and
        does not count.
        """
        scale, mirrored, *place = rng.uniform(size=4)
        low, high = self.config.scales
        image, mask = (Image.fromarray(pixels) for pixels in (self.voc.train.image(index), self.voc.train.mask(index)))
        window = _Window.draw(image.size, low + (high - low) * scale, self.config.image_size, place)
        shown = Image.new("RGB", (self.config.image_size,) * 2, self._mean)
        shown.paste(image.resize(window.size, Image.Resampling.BILINEAR, window.source), window.target)
        truth = Image.new("L", shown.size, VOID)
        truth.paste(mask.resize(window.size, Image.Resampling.NEAREST, window.source), window.target)
        step = -1 if mirrored < 0.5 else 1
        pixels, ids = np.asarray(shown)[:, ::step], np.asarray(truth)[:, ::step]
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), torch.from_numpy(ids.copy())

    def collate(self, samples: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (N, 3, S, S) uint8 and masks (N, S, S) uint8."""
        images, masks = zip(*samples, strict=True)
        return torch.stack(images), torch.stack(masks)

    def loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"pixels": self.module.loss(*batch)}

    @torch.no_grad()
    def predict(self, device: torch.device, directory: Path) -> None:
        """Segment the test images, one at a time since their sizes differ.

        Writes `masks/<image>.png` (ids with VOC's palette) for 8 images over the whole split, then `confusion.csv`.
        """
        test, ids = self.voc.test, 1 + len(self.voc.classes)
        for path in (directory / MASKS).glob("*.png"):  # of a run that was interrupted here, by an earlier version perhaps
            path.unlink()
        total, pictured = np.zeros((ids, ids), np.int64), test.spread(_PICTURES)
        for index in tqdm(range(len(test)), desc="segmenting", unit=" images", mininterval=0.5):
            pixels = torch.from_numpy(test.image(index)).permute(2, 0, 1)
            answer = self.module(pixels[None].to(device))[0].argmax(0).byte().cpu().numpy()
            total += confusion(test.mask(index), answer, ids)
            if index in pictured:
                with replacing(_mask_path(directory, test, index)) as temporary:
                    write_mask(temporary, answer)
        write_confusion(directory / CONFUSION, total, _names(self.voc))


@dataclass(frozen=True)
class _Window:
    """The part of an image that a crop shows.

    Attributes:
        source: its left, top, right and bottom in the image, in pixels of the image.
        size: its width and height in the crop.
        target: its left and top in the crop.
    """

    source: tuple[float, float, float, float]
    size: tuple[int, int]
    target: tuple[int, int]

    @classmethod
    def draw(cls, size: tuple[int, int], scale: float, side: int, place: Sequence[float]) -> "_Window":
        """The window of a crop of `side` pixels in an image of width and height `size`, scaled by `scale`.

        `place` is (x, y) in [0, 1): its place between the outermost places that are possible.
        """
        axes = []
        for length, at in zip(size, place, strict=True):
            scaled = max(1, round(length * scale))
            begin = int(at * (abs(scaled - side) + 1))  # of the crop in the scaled image, or of that in a larger crop
            inner, outer = (begin, 0) if scaled > side else (0, begin)
            shown = min(scaled, side)
            axes.append((inner * length / scaled, (inner + shown) * length / scaled, shown, outer))
        (left, right, width, x), (top, bottom, height, y) = axes
        return cls((left, top, right, bottom), (width, height), (x, y))


@dataclass(frozen=True)
class Segmented:
    """A test image with its true and its predicted mask.

    Attributes:
        name: the image's id.
        image: (H, W, 3) uint8.
        truth: (H, W) uint8: 0 background, 1 + label, 255 not counted.
        prediction: (H, W) uint8, without 255.
    """

    name: str
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray


@dataclass(frozen=True)
class SegmentationDetails:
    """What a segmentation run's notebook draws.

    Attributes:
        pictures: of some test images.
        names: background and classes, in the order of the masks' ids.
        left_out: those that neither occur in the test split nor are predicted there. They are left out of the mean.
        confusion: (ids, ids) int64, the number of pixels by true and predicted id.
    """

    pictures: tuple[Segmented, ...]
    names: tuple[str, ...]
    left_out: tuple[str, ...]
    confusion: np.ndarray


def evaluate_segmentation(config: SegmentationConfig, voc: VocSet, directory: Path) -> Evaluation:
    """Mean IoU over background and classes, and pixel accuracy, in percent. No network is needed.

    The border that VOC draws around objects (255) does not count. An id that neither occurs nor is predicted has no IoU. It is
    left out of the mean and named in the details.

    Raises RotnetError if the predictions in `directory` are missing, damaged or of other classes.
    """
    names = _names(voc)
    matrix = read_confusion(directory / CONFUSION, names)
    if not matrix.sum():
        raise RotnetError(f"{voc.title}: no pixel of the {voc.test.name} split counts, so nothing can be measured on it.")
    found = intersection_over_union(matrix)
    by_class = {name: 100 * float(iou) for name, iou in zip(names, found, strict=True) if not np.isnan(iou)}
    pictures = tuple(
        Segmented(voc.test.names[index], voc.test.image(index), voc.test.mask(index), _read_mask(directory, voc.test, index))
        for index in _kept_masks(directory, voc.test)
    )
    left_out = tuple(name for name in names if name not in by_class)
    notes = [f"Chance is what taking every pixel for {names[most_frequent(matrix)]} gives, the most frequent class."]
    if left_out:
        notes.append(f"Left out of the mean, since no test pixel shows or is taken for it: {', '.join(left_out)}.")
    return Evaluation(
        metrics=_measures(matrix),
        by_target={"miou": by_class},
        details=SegmentationDetails(pictures, names, left_out, matrix),
        notes=tuple(notes),
        chance=_measures(all_alike(matrix)),
    )


def _measures(matrix: np.ndarray) -> dict[str, float]:
    """The stage's metrics of a confusion matrix, in percent."""
    return {
        "miou": 100 * float(np.nanmean(intersection_over_union(matrix))),
        "pixel_accuracy": 100 * pixel_accuracy(matrix),
    }


def _names(voc: VocSet) -> tuple[str, ...]:
    return (BACKGROUND, *voc.short)


def _mask_path(directory: Path, split: VocSplit, index: int) -> Path:
    return directory / MASKS / f"{split.names[index]}.png"


def _kept_masks(directory: Path, split: VocSplit) -> list[int]:
    """The places of the test images whose predicted masks are in a run's directory: which, has changed with versions.

    Raises RotnetError if some are missing.
    """
    kept = [index for index in range(len(split)) if _mask_path(directory, split, index).exists()]
    if len(kept) != min(_PICTURES, len(split)):
        raise RotnetError(
            f"{directory / MASKS} has the masks of {len(kept)} test images, not of {min(_PICTURES, len(split))}. "
            "Delete the run's folder to make it again."
        )
    return kept


def _read_mask(directory: Path, split: VocSplit, index: int) -> np.ndarray:
    """The predicted mask of a test image. Raises RotnetError if it is damaged, or none of that image and these classes."""
    path, again = _mask_path(directory, split, index), "Delete the run's folder to make it again."
    try:
        mask = np.array(read_indices(path))
    except DamagedImage as error:
        raise RotnetError(f"damaged image {path}: {error}. {again}") from None
    width, height = split.size(index)
    if mask.shape != (height, width) or mask.max() > len(split.classes):
        raise RotnetError(f"{path} is no mask of {width} x {height} pixels with ids up to {len(split.classes)}. {again}")
    return mask

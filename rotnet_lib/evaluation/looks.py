"""What is shown of a network: its attention maps and filters, and the images that a RotNet mistakes."""

import dataclasses
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import ordered_batches
from rotnet_lib.data.split import Split
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.evaluation.rotation_answers import RotationAnswers
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.folding import first_filters
from rotnet_lib.models.inputs import RGB
from rotnet_lib.pretext.parts.rotate import rotate_all
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.training.devices import autocast


@dataclass(frozen=True)
class Look:
    """The attention maps and filters of one network.

    Attributes:
        title: its run's name, and the epoch if that is not the last.
        arch: its arch.
        attention: layer -> maps (I, S, S) float32, not negative, of the I chosen images; for the layers that it has.
        filters: see `filter_pictures`.
        task: that its run was trained on; empty where the run says none.
    """

    title: str
    arch: str
    attention: dict[str, np.ndarray]
    filters: np.ndarray
    task: str = ""


@dataclass(frozen=True)
class Picture:
    """A test image, or a rotated copy of one.

    Attributes:
        index: its place in the test split.
        pixels: (S, S, 3) uint8, as the network saw it.
        name: of its class.
    """

    index: int
    pixels: np.ndarray
    name: str


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction: a rotated copy's true and predicted angle in degrees, and the prediction's probability in [0, 1]."""

    picture: Picture
    true: float
    said: float
    probability: float


def attention_maps(features: torch.Tensor, power: int, side: int) -> torch.Tensor:
    """A(i,j) = sum over channels of |feature|^power, upsampled bilinearly (docs/protocol.md, "CIFAR-10").

    Args:
        features: (N, C, H, W), any float type.
        power: p, 1 or more.
        side: S, of the images in pixels.

    Returns:
        (N, S, S) float32, not negative.
    """
    attention = features.float().abs().pow(power).sum(1, keepdim=True)
    return torch.nn.functional.interpolate(attention, size=(side, side), mode="bilinear", align_corners=False)[:, 0]


def picture_of(data: Dataset, index: int) -> Picture:
    """A test image, upright, by its place in the test split."""
    return Picture(index, data.test.read([index])[0].permute(1, 2, 0).numpy(), data.classes[int(data.test.labels[index])])


def pictured_mistakes(answers: RotationAnswers, data: Dataset, rotation: Rotation.Options, count: int) -> list[Mistake]:
    """The `count` most confident wrong answers, with the copies as the network saw them."""
    found = []
    for index, true in answers.mistaken(count):
        place = answers.place(index)
        copy = rotate_all(data.test.read([place]), rotation.angles, rotation.crop_for)[true].permute(1, 2, 0).numpy()
        picture = dataclasses.replace(picture_of(data, place), pixels=copy)
        said = rotation.angles[answers.said[index, true]]
        found.append(Mistake(picture, rotation.angles[true], said, float(answers.probability[index, true])))
    return found


def taps_with_maps(backbone: Backbone, image_size: int) -> tuple[str, ...]:
    """The taps whose output is larger than one pixel. That of a fully connected layer has no places, so no attention map."""
    return tuple(tap for tap in backbone.taps if backbone.shape(tap, image_size)[1] > 1)


@torch.inference_mode()
def look(title: str, backbone: Backbone, layers: Sequence[str], images: torch.Tensor, power: int, *, task: str = "") -> Look:
    """A backbone's attention maps and its filters.

    Args:
        title: what the network is called.
        backbone: put into evaluation mode.
        layers: taps of it.
        images: (I, 3, S, S) uint8, on the backbone's device.
        power: of the features in an attention map.
        task: that its run was trained on, if any.
    """
    backbone.eval()
    with autocast(images.device):
        features = backbone.features(images, layers)
    attention = {layer: attention_maps(features[layer], power, images.shape[-1]).cpu().numpy() for layer in layers}
    return Look(title, backbone.arch, attention, filter_pictures(backbone), task)


def filter_pictures(backbone: Backbone) -> np.ndarray:
    """The first convolution's kernels as pictures (F, k, W, 3) float32, any sign.

    Those on RGB are pictures in colour as they are, W = k. Those on another kind of input are drawn in grey, a kernel's C
    channels side by side, W = C * k.
    """
    filters = first_filters(backbone)
    if backbone.inputs == RGB:
        return filters.permute(0, 2, 3, 1).cpu().numpy()
    beside = filters.transpose(1, 2).flatten(2)
    return beside[..., None].expand(*beside.shape, 3).cpu().numpy()


@torch.inference_mode()
def class_accuracy(network: torch.nn.Module, test: Split | StreamedSplit) -> tuple[float, int]:
    """Percent of the images of a split whose class a network predicts, and their number. Both are on one device."""
    right, seen = torch.zeros((), dtype=torch.int64, device=test.device), 0
    with closing(ordered_batches(test)) as batches:
        for batch in batches:
            with autocast(batch.images.device):
                right += (network(batch.images).argmax(1) == batch.labels).sum()
            seen += len(batch)
    return 100 * right.item() / seen, seen

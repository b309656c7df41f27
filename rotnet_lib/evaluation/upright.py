"""How plausible rotated copies are as upright images, by RotNets that were trained without them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.evaluation.out_of_fold import Scorer
from rotnet_lib.evaluation.rotation_answers import RotationAnswers, answer_rotations
from rotnet_lib.pretext.parts.pu import Plausibility
from rotnet_lib.pretext.parts.rotate import rotate_all
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.training.checkpoints import load_network


@dataclass(frozen=True)
class PlausibleCopy:
    """A rotated copy of a training image.

    Attributes:
        index: the image's place in the training split.
        name: of its class.
        angle: in degrees.
        p: its probability of being upright, in [0, 1].
        pixels: (S', S', 3) uint8, as the network saw it.
    """

    index: int
    name: str
    angle: float
    p: float
    pixels: np.ndarray


def answers_of_scorers(
    scorers: tuple[Scorer, ...], data: Dataset, rotation: Rotation.Options, device: torch.device
) -> tuple[RotationAnswers, list[str]]:
    """What the networks answer for all rotated copies of the training images.

    Args:
        scorers: out-of-fold networks, and the images that each of them scores.
        data: its training split holds these images.
        rotation: the rotations that the networks learned.
        device: where they compute.

    Returns:
        Each image's answers by its scorer, and the names of files that could not be read.
    """
    log_p, index, damaged = [], [], []
    for scorer in scorers:
        network = load_network(scorer.weights, data.image_size)
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        whole = len(scorer.places) == len(data.train)  # then `part` would only copy the images
        part = (data.train if whole else data.train.part(scorer.places)).to(device)
        answers = answer_rotations(network, part, rotation.angles, rotation.crop_for)
        log_p.append(answers.log_p)
        index.append(scorer.places[answers.index])
        damaged += part.damaged
    return RotationAnswers(rotation.angles, np.concatenate(log_p), np.concatenate(index)), damaged


def plausibility_of(answers: RotationAnswers, upright: int, images: Mapping[str, Any], count: int) -> Plausibility:
    """The probability of "upright" of every copy.

    Args:
        answers: on the images that could be read.
        upright: label of the upright copy.
        images: see `choice_of`.
        count: how many images there are.
    """
    p = np.zeros((count, len(answers.angles)), np.float32)
    p[answers.index] = answers.plausible(upright)
    return Plausibility(torch.from_numpy(p), answers.angles, images)


def upright_percent(plausibility: Plausibility) -> dict[str, float]:
    """`upright`: mean p of the rotated copies, in percent; `plausible`: percent of them whose p is above 0.5."""
    p = plausibility.p[plausibility.known][:, plausibility.rotated].double()
    return {"upright": 100 * p.mean().item(), "plausible": 100 * (p > 0.5).double().mean().item()}


def mean_by_class(plausibility: Plausibility, labels: torch.Tensor, classes: tuple[str, ...]) -> dict[str, float]:
    """Class -> mean p of its images' rotated copies, in percent. Classes none of whose images could be read are left out."""
    means = plausibility.p[:, plausibility.rotated].double().mean(1)
    found = {}
    for label, name in enumerate(classes):
        own = means[plausibility.known & (labels == label)]
        if len(own):
            found[name] = 100 * own.mean().item()
    return found


def most_plausible(plausibility: Plausibility, data: Dataset, rotation: Rotation.Options, count: int) -> list[PlausibleCopy]:
    """The rotated copies of the highest p, each with the pixels that the network saw."""
    p = plausibility.p[:, plausibility.rotated].where(plausibility.known[:, None], -1.0)
    order = p.flatten().argsort(descending=True, stable=True)[:count]
    found = []
    for place in order.tolist():
        index, column = divmod(place, len(plausibility.rotated))
        if not plausibility.known[index]:
            break  # fewer images than copies asked for
        label = plausibility.rotated[column]
        copy = rotate_all(data.train.read([index]), rotation.angles, rotation.crop_for)[label].permute(1, 2, 0).numpy()
        name = data.classes[int(data.train.labels[index])]
        found.append(PlausibleCopy(index, name, rotation.angles[label], float(p[index, column]), copy))
    return found

"""What a RotNet answers for every rotated copy of a split."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from rotnet_lib.data.loader import ordered_batches
from rotnet_lib.data.split import Split
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.pretext.rotate import rotate_all
from rotnet_lib.training.devices import autocast


@dataclass(frozen=True)
class RotationAnswers:
    """What a RotNet said of the K rotated copies of N images. Column k of each array is rotation `angles[k]`.

    Attributes:
        angles: in degrees, counter-clockwise.
        log_p: (N, K, K) float32, log-probabilities: log_p[n, k, j] is that of answer j for copy k of image n.
        index: (N,) int64, the images' places in their split; None: image n is at place n, none was left out as damaged.
    """

    angles: tuple[float, ...]
    log_p: np.ndarray
    index: np.ndarray | None = None

    @cached_property
    def said(self) -> np.ndarray:
        """(N, K) int64 in [0, K), the rotation answered."""
        said: np.ndarray = self.log_p.argmax(2)
        return said

    @cached_property
    def probability(self) -> np.ndarray:
        """(N, K) float32 in [0, 1], that of the answer."""
        probability: np.ndarray = np.exp(self.log_p.max(2))
        return probability

    @cached_property
    def loss(self) -> np.ndarray:
        """(N, K) float32, cross-entropy in nats; ln K for a guess."""
        return -self.log_p.diagonal(axis1=1, axis2=2)

    def plausible(self, upright: int) -> np.ndarray:
        """(N, K) float32 in [0, 1]: the probability that each copy is the upright one, which is number `upright`."""
        plausible: np.ndarray = np.exp(self.log_p[:, :, upright])
        return plausible

    @property
    def confusion(self) -> np.ndarray:
        """(K, K) float64: row the true rotation, column the answer, percent of the row."""
        count = len(self.angles)
        return np.stack([100 * np.bincount(self.said[:, true], minlength=count) / len(self.said) for true in range(count)])

    @property
    def accuracy(self) -> float:
        """Percent of all copies answered right."""
        return float(self.confusion.diagonal().mean())

    @property
    def by_rotation(self) -> dict[str, float]:
        """`90 degrees` -> percent of those copies answered right."""
        return {f"{angle:g} degrees": float(hits) for angle, hits in zip(self.angles, self.confusion.diagonal(), strict=True)}

    def mistaken(self, count: int) -> list[tuple[int, int]]:
        """(image, true rotation's number) of the `count` wrong answers given most confidently, the surest first."""
        images, copies = np.nonzero(self.said != np.arange(len(self.angles)))
        # Probabilities round to 1: the loss, how little was left for the truth, goes on where they are equal.
        order = np.lexsort((-self.loss[images, copies], -self.probability[images, copies]))[:count]
        return list(zip(images[order].tolist(), copies[order].tolist(), strict=True))

    def ambiguous(self, count: int) -> list[tuple[int, float]]:
        """(image, mean loss over its copies) of the `count` images where that is highest, the highest first."""
        means = self.loss.mean(1)
        order = np.argsort(-means, kind="stable")[:count]
        return list(zip(order.tolist(), means[order].tolist(), strict=True))

    def place(self, image: int) -> int:
        """Where image number `image` of these N stands in its split."""
        return image if self.index is None else int(self.index[image])


@torch.inference_mode()
def answer_rotations(
    predict: Callable[[torch.Tensor], torch.Tensor],
    split: Split | StreamedSplit,
    angles: Sequence[float],
    crop_for: Sequence[float] = (),
) -> RotationAnswers:
    """Ask a RotNet for the rotation of all K copies of every image.

    Args:
        predict: images (n, 3, S', S') uint8 to logits (n, K); a network in evaluation mode.
        split: the images, on the network's device.
        angles, crop_for: see `rotate_all`.
    """
    count = len(angles)
    found: list[tuple[torch.Tensor, torch.Tensor]] = []
    with closing(ordered_batches(split)) as batches:
        for batch in batches:
            with autocast(batch.images.device):
                logits = predict(rotate_all(batch.images, angles, crop_for))
            # Copies stand one rotation after the other: (K, n, K), then an image a row.
            log_p = logits.float().log_softmax(1).view(count, len(batch), count).transpose(0, 1)
            found.append((log_p, batch.index))
    log_probabilities, index = (torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
    return RotationAnswers(tuple(angles), log_probabilities, index)

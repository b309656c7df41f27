"""A RotNet's answers for all rotated copies of the images of a split."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from rotnet_lib.data.loader import ordered_batches
from rotnet_lib.data.split import Split
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.pretext.parts.rotate import rotate_all
from rotnet_lib.training.devices import autocast


@dataclass(frozen=True)
class RotationAnswers:
    """A RotNet's answers for the K rotated copies of N images. Column k of each array is rotation `angles[k]`.

    Attributes:
        angles: in degrees, counter-clockwise.
        log_p: (N, K, K) float32, log-probabilities; log_p[n, k, j] is of answer j for copy k of image n.
        index: (N,) int64, the images' places in their split; None: image n is at place n, so none was left out as damaged.
    """

    angles: tuple[float, ...]
    log_p: np.ndarray
    index: np.ndarray | None = None

    @cached_property
    def said(self) -> np.ndarray:
        """(N, K) int64 in [0, K), the predicted rotation."""
        said: np.ndarray = self.log_p.argmax(2)
        return said

    @cached_property
    def probability(self) -> np.ndarray:
        """(N, K) float32 in [0, 1], the probability of the predicted rotation."""
        probability: np.ndarray = np.exp(self.log_p.max(2))
        return probability

    @cached_property
    def loss(self) -> np.ndarray:
        """(N, K) float32, cross-entropy in nats; ln K at chance."""
        return -self.log_p.diagonal(axis1=1, axis2=2)

    def plausible(self, upright: int) -> np.ndarray:
        """(N, K) float32 in [0, 1], the probability that each copy is upright; `upright` is the label of that rotation."""
        plausible: np.ndarray = np.exp(self.log_p[:, :, upright])
        return plausible

    @property
    def images(self) -> int:
        """N, of how many images `accuracy` and each figure of `by_rotation` are the share of right answers."""
        return len(self.log_p)

    @property
    def confusion(self) -> np.ndarray:
        """(K, K) float64: rows are true rotations, columns predictions, in percent of the row."""
        count = len(self.angles)
        return np.stack([100 * np.bincount(self.said[:, true], minlength=count) / len(self.said) for true in range(count)])

    @property
    def accuracy(self) -> float:
        """Accuracy over all copies, in percent."""
        return float(self.confusion.diagonal().mean())

    @property
    def by_rotation(self) -> dict[str, float]:
        """`90 degrees` -> accuracy over the copies rotated by it, in percent."""
        return {f"{angle:g} degrees": float(hits) for angle, hits in zip(self.angles, self.confusion.diagonal(), strict=True)}

    def mistaken(self, count: int) -> list[tuple[int, int]]:
        """(image, true rotation's label) of the `count` most confident wrong answers, the most confident first."""
        images, copies = np.nonzero(self.said != np.arange(len(self.angles)))
        # Probabilities round to 1. Where they are equal, the loss still tells how little was left for the truth.
        order = np.lexsort((-self.loss[images, copies], -self.probability[images, copies]))[:count]
        return list(zip(images[order].tolist(), copies[order].tolist(), strict=True))

    def ambiguous(self, count: int) -> list[tuple[int, float]]:
        """(image, mean loss over its copies) of the `count` images where that is highest, the highest first."""
        means = self.loss.mean(1)
        order = np.argsort(-means, kind="stable")[:count]
        return list(zip(order.tolist(), means[order].tolist(), strict=True))

    def place(self, image: int) -> int:
        """The place in the split of image number `image` of these N."""
        return image if self.index is None else int(self.index[image])


@torch.inference_mode()
def answer_rotations(
    predict: Callable[[torch.Tensor], torch.Tensor],
    split: Split | StreamedSplit,
    angles: Sequence[float],
    crop_for: Sequence[float] = (),
) -> RotationAnswers:
    """A RotNet's predictions for all K rotated copies of every image of a split.

    Args:
        predict: images (n, 3, S', S') uint8 -> logits (n, K); a network in evaluation mode.
        split: the images, on the network's device.
        angles, crop_for: see `rotate_all`.
    """
    count = len(angles)
    found: list[tuple[torch.Tensor, torch.Tensor]] = []
    with closing(ordered_batches(split)) as batches:
        for batch in batches:
            with autocast(batch.images.device):
                logits = predict(rotate_all(batch.images, angles, crop_for))
            # Copies are ordered by rotation: (K, n, K), then transposed to one row for each image.
            log_p = logits.float().log_softmax(1).view(count, len(batch), count).transpose(0, 1)
            found.append((log_p, batch.index))
    log_probabilities, index = (torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
    return RotationAnswers(tuple(angles), log_probabilities, index)

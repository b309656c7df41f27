"""What a RotNet answers for every rotated copy of a split."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from rotnet_lib.data.loader import ordered_batches
from rotnet_lib.data.split import Split
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.pretext.rotation import rotate_all
from rotnet_lib.training.devices import autocast


@dataclass(frozen=True)
class RotationAnswers:
    """What a RotNet said of the K rotated copies of N images. Column k of each array is rotation `angles[k]`.

    Attributes:
        angles: in degrees, counter-clockwise.
        said: (N, K) int64 in [0, K), the rotation answered.
        probability: (N, K) float32 in [0, 1], that of the answer.
        loss: (N, K) float32, cross-entropy in nats; ln K for a guess.
        index: (N,) int64, the images' places in their split; None: image n is at place n, none was left out as damaged.
    """

    angles: tuple[float, ...]
    said: np.ndarray
    probability: np.ndarray
    loss: np.ndarray
    index: np.ndarray | None = None

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
    found: list[tuple[torch.Tensor, ...]] = []
    with closing(ordered_batches(split)) as batches:
        for batch in batches:
            with autocast(batch.images.device):
                logits = predict(rotate_all(batch.images, angles, crop_for))
            # Copies stand one rotation after the other: (K, n, K), then an image a row.
            log_p = logits.float().log_softmax(1).view(count, len(batch), count).transpose(0, 1)
            best, said = log_p.max(2)
            found.append((said, best.exp(), -log_p.diagonal(dim1=1, dim2=2), batch.index))
    return RotationAnswers(tuple(angles), *(torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True)))

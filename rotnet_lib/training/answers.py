"""Which answers a network gives for which on the test split, and where it is surest and wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rotnet_lib.training import collectives
from rotnet_lib.training.task import Step

_KEPT = 12
"""Mistakes that are kept."""


@dataclass(frozen=True)
class WrongAnswer:
    """A test image whose answer is wrong.

    Attributes:
        place: of the image in the test split.
        true: the right answer, an index into the task's `target_names`.
        said: the answer.
        probability: that the network gave it, in [0, 1].
    """

    place: int
    true: int
    said: int
    probability: float


@dataclass(frozen=True)
class Answers:
    """The answers that a metric is about, on the whole test split.

    Attributes:
        confusion: (K, K) int64, how often target k was answered by j.
        surest_mistakes: the wrong answers of the highest probability, the surest first; empty where an image has several
            answers.
        named: whether they are the task's `target_names`.
    """

    confusion: np.ndarray
    surest_mistakes: list[WrongAnswer]
    named: bool = True


class AnswerSums:
    """Counts the answers of test steps on this rank, of those that have `scores` or answers without names (`told`).

    Args:
        names: the task's `target_names`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._count = len(names)
        self._confusion: dict[str, torch.Tensor] = {}
        self._mistakes: dict[str, list[WrongAnswer]] = {}
        self._unnamed: set[str] = set()

    def add(self, step: Step, index: torch.Tensor) -> None:
        """Add a step. Waits for the device.

        Args:
            step: of the test split.
            index: (B,) int64, places in the split of the batch's images.
        """
        for metric, scores in step.scores.items():
            assert step.targets is not None  # what the scores are judged by
            probability, said = scores.detach().float().softmax(1).max(1)
            true, said, probability = step.targets.cpu(), said.cpu(), probability.cpu()
            self._add_pairs(metric, true, said, self._count)
            if len(true) == len(index):
                [wrong] = (true != said).nonzero(as_tuple=True)
                columns = (column[wrong].tolist() for column in (index.cpu(), true, said, probability))
                found = [WrongAnswer(*values) for values in zip(*columns, strict=True)]
                self._mistakes[metric] = _surest([*self._mistakes.get(metric, []), *found])
        for metric, told in step.told.items():
            self._unnamed.add(metric)
            self._add_pairs(metric, told.true.cpu(), told.said.cpu(), told.count)

    def _add_pairs(self, metric: str, true: torch.Tensor, said: torch.Tensor, count: int) -> None:
        pairs = (true * count + said).bincount(minlength=count**2).view(count, count)
        self._confusion[metric] = self._confusion[metric] + pairs if metric in self._confusion else pairs

    def all_gathered(self) -> dict[str, Answers]:
        """Metric -> its answers, over all ranks. Collective."""
        found: dict[str, Answers] = {}
        for confusion, mistakes, unnamed in collectives.all_gather((self._confusion, self._mistakes, self._unnamed)):
            for metric, counts in confusion.items():
                before = found.get(metric)
                wrong = [*(before.surest_mistakes if before else []), *mistakes.get(metric, [])]
                total = counts.numpy() + (before.confusion if before else 0)
                found[metric] = Answers(total, _surest(wrong), named=metric not in unnamed)
        return found


def _surest(mistakes: list[WrongAnswer]) -> list[WrongAnswer]:
    """Those to keep. Of equal probabilities, the image that comes first in the split."""
    return sorted(mistakes, key=lambda mistake: (-mistake.probability, mistake.place))[:_KEPT]

"""Which of a task's metrics are shares of right answers on the test split, of how many images, and their shares by target."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from rotnet_lib.training import collectives
from rotnet_lib.training.sums import added_up
from rotnet_lib.training.task import Step


@dataclass(frozen=True)
class Share:
    """What a metric that counts right answers counts them over.

    Copies and views of one image are not independent of each other, so that the number of images tells how exact the share is,
    and not the number of answers.

    Attributes:
        images: how many images were asked about; where there are fewer answers than images, that number.
        by_target: target's name -> percent of right answers among those with that target; empty if targets have no names.
        target_images: target's name -> number of images that were asked about with that target, each counted once, however
            many answers about it have it; of the same targets. Empty where steps have more targets than images and do not say
            which image each is of (`Step.places`).
    """

    images: int
    by_target: dict[str, float] = field(default_factory=dict)
    target_images: dict[str, int] = field(default_factory=dict)


class ShareSums:
    """Counts right answers of test steps on this rank. A metric is a share if its values are bool.

    Args:
        names: the task's `target_names`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._images: dict[str, int] = {}
        self._right: dict[str, torch.Tensor] = {}
        self._asked: dict[str, torch.Tensor] = {}
        self._known = True  # which image each target is of
        self._target_images = torch.zeros(len(names), dtype=torch.int64)

    def add(self, step: Step, images: int) -> None:
        """Add a step that was made of a batch of so many images. Waits for the device where targets have names."""
        shares = {metric: right for metric, right in step.values.items() if right.dtype == torch.bool}
        for metric, right in shares.items():
            self._images[metric] = self._images.get(metric, 0) + min(images, right.numel())
        if not self._names:
            return
        assert step.targets is not None  # since they have names
        targets, count = step.targets.cpu(), len(self._names)
        if step.places is None and len(targets) > images:
            self._known = False
        else:
            places = torch.arange(len(targets)) if step.places is None else step.places.cpu()
            distinct, _ = torch.stack([targets, places]).unique(dim=1)
            self._target_images += distinct.bincount(minlength=count)
        for metric, right in shares.items():
            self._asked[metric] = self._asked.get(metric, 0) + targets.bincount(minlength=count)
            self._right[metric] = self._right.get(metric, 0) + targets[right.cpu()].bincount(minlength=count)

    def all_gathered(self) -> dict[str, Share]:
        """Metric -> what it is a share of, over all ranks. Collective."""
        own = (self._images, self._right, self._asked, self._target_images, self._known)
        parts = collectives.all_gather(own)
        by_target = torch.stack([part[3] for part in parts]).sum(0) if all(part[4] for part in parts) else None
        images = added_up([part[0] for part in parts])
        right, asked = added_up([part[1] for part in parts]), added_up([part[2] for part in parts])
        return {
            metric: self._share(count, right.get(metric), asked.get(metric), by_target)
            for metric, count in images.items()
            if count
        }

    def _share(
        self, images: int, right: torch.Tensor | None, asked: torch.Tensor | None, by_target: torch.Tensor | None
    ) -> Share:
        if right is None or asked is None:
            return Share(images)
        counts = list(zip(self._names, right.tolist(), asked.tolist(), strict=True))
        accuracy = {name: 100 * hits / n for name, hits, n in counts if n}
        if by_target is None:
            return Share(images, accuracy)
        own = dict(zip(self._names, by_target.tolist(), strict=True))
        return Share(images, accuracy, {name: own[name] for name in accuracy})

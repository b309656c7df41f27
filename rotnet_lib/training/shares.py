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
            many answers about it have it; of the same targets. Where steps leave open which answer is about which image
            (`Step.places`), it is no more than that.
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
        self._copies = True
        self._of_copies, self._at_least = torch.zeros(len(names), dtype=torch.int64), torch.zeros(len(names), dtype=torch.int64)

    def add(self, step: Step, images: int) -> None:
        """Add a step that was made of a batch of so many images. Waits for the device where targets have names."""
        shares = {metric: right for metric, right in step.values.items() if right.dtype == torch.bool}
        for metric, right in shares.items():
            self._images[metric] = self._images.get(metric, 0) + min(images, right.numel())
        if not self._names:
            return
        assert step.targets is not None  # since they have names
        targets, count = step.targets.cpu(), len(self._names)
        if shares:
            self._add_images(targets, None if step.places is None else step.places.cpu(), images)
        for metric, right in shares.items():
            self._asked[metric] = self._asked.get(metric, 0) + targets.bincount(minlength=count)
            self._right[metric] = self._right.get(metric, 0) + targets[right.cpu()].bincount(minlength=count)

    def all_gathered(self) -> dict[str, Share]:
        """Metric -> what it is a share of, over all ranks. Collective."""
        own = (self._images, self._right, self._asked, self._copies, self._of_copies, self._at_least)
        parts = collectives.all_gather(own)
        copies = all(part[3] for part in parts)
        by_target = torch.stack([part[4] if copies else part[5] for part in parts]).sum(0)
        images = added_up([part[0] for part in parts])
        right, asked = added_up([part[1] for part in parts]), added_up([part[2] for part in parts])
        return {
            metric: self._share(count, right.get(metric), asked.get(metric), by_target)
            for metric, count in images.items()
            if count
        }

    def _add_images(self, targets: torch.Tensor, places: torch.Tensor | None, images: int) -> None:
        """Count the images of a batch that have each target, once each.

        Where a step does not say which images its targets are of, two counts are kept. One is of a pass in which each batch is
        all its images with one target, then all with the next. The other is the least that the two orders allow.
        """
        each, rest = divmod(len(targets), images)
        order = torch.arange(len(targets))
        if places is not None:
            orders = [places]
        elif len(targets) <= images:
            orders = [order]
        elif rest:
            orders = [torch.zeros_like(order)]  # for all that is known, all answers are about one image
        else:
            orders = [order % images, order // each]
        found = [self._distinct(targets, order) for order in orders]
        self._at_least += torch.stack(found).amin(0)
        self._of_copies += found[0]
        if len(orders) > 1:
            rows = targets.view(each, images)
            self._copies &= bool((rows == rows[:, :1]).all())

    def _distinct(self, targets: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """(names,) how many places there are with each target."""
        pairs = torch.stack([targets, places]).unique(dim=1)
        return pairs[0].bincount(minlength=len(self._names))

    def _share(self, images: int, right: torch.Tensor | None, asked: torch.Tensor | None, by_target: torch.Tensor) -> Share:
        if right is None or asked is None:
            return Share(images)
        counts = list(zip(self._names, right.tolist(), asked.tolist(), by_target.tolist(), strict=True))
        return Share(
            images,
            {name: 100 * hits / n for name, hits, n, _ in counts if n},
            {name: own for name, _, n, own in counts if n},
        )

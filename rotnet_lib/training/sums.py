"""Means over an epoch, or over a split, of what a task's steps measure."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch

from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training import collectives
from rotnet_lib.training.task import Step

_Number = TypeVar("_Number", int, float, torch.Tensor)


class StepSums:
    """Running sums of steps on this rank, kept on the device so that no step waits for it.

    Args:
        metrics: the task's.
    """

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        self.inputs = 0
        self._metrics = metrics
        self._totals: dict[str, torch.Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, step: Step) -> None:
        """Add a step. Raises ValueError for a metric that the task does not declare."""
        self.inputs += step.inputs
        for name, value in ({"loss": step.loss} | dict(step.terms)).items():
            self._add(name, value.detach().float() * step.inputs, step.inputs)
        for name, values in step.values.items():
            check_declared(name, self._metrics)
            values = values.detach()
            self._add(name, (values if values.dtype == torch.bool else values.float()).sum(), values.numel())

    def _add(self, name: str, value: torch.Tensor, count: int) -> None:
        self._totals[name] = self._totals[name] + value if name in self._totals else value
        self._counts[name] = self._counts.get(name, 0) + count

    def all_gathered(self, prefix: str) -> tuple[int, dict[str, float]]:
        """Over all ranks: the number of inputs; `<prefix>_loss`, its terms, `<prefix>_<metric>` in its unit. Collective."""
        own = (self.inputs, {name: total.item() for name, total in self._totals.items()}, self._counts)
        parts = collectives.all_gather(own)
        totals, counts = added_up([part[1] for part in parts]), added_up([part[2] for part in parts])
        scale = {name: self._metrics[name].scale if name in self._metrics else 1.0 for name in totals}
        means = {f"{prefix}_{name}": scale[name] * total / counts[name] for name, total in totals.items()}
        return sum(part[0] for part in parts), means


def check_declared(name: str, metrics: Mapping[str, Metric]) -> None:
    """Raises ValueError if a task measures what it does not declare: nobody would know its unit."""
    if name not in metrics:
        raise ValueError(f"the task measures '{name}', and declares {', '.join(metrics) or 'no metrics'}")


def added_up(parts: Sequence[Mapping[str, _Number]]) -> dict[str, _Number]:
    """Name -> sum over the ranks. A rank that got no batch of a small test split has no names."""
    totals: dict[str, _Number] = {}
    for part in parts:
        totals |= {name: totals[name] + value if name in totals else value for name, value in part.items()}
    return totals

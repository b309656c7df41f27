"""Learning rates as functions of how far the run is."""

import math

from rotnet_lib.runs.config import ScheduleConfig, TrainingConfig

_RISE = 0.25
"""Share of a one-cycle schedule in which the rate rises."""


def epochs_after(share: float, epochs: int) -> int:
    """A share of a run in whole epochs, at least one: 0.3 of 100 is 30."""
    return max(1, round(share * epochs))


def learning_rate(config: TrainingConfig, step: int, steps_per_epoch: int) -> float:
    """The rate for step `step` (from 0) of a run that is counted in epochs.

    `step`: `lr`, times the factor of each milestone passed; a milestone is a fraction of the epochs, rounded to whole
    epochs (0.3 of 100: the rate changes after epoch 30), at least one, so that a shorter run keeps the schedule's shape.
    `one-cycle`: linearly up to `lr` over the first quarter of the steps, linearly down to 0 over the rest.
    """
    epoch = step // steps_per_epoch
    passed = [epoch >= epochs_after(milestone, config.epochs) for milestone in config.lr_milestones]
    return _rate(config, passed, step, config.epochs * steps_per_epoch)


def iteration_rate(config: ScheduleConfig, iteration: int, iterations: int) -> float:
    """The rate for iteration `iteration` (from 0) of a run that is counted in iterations; as `learning_rate` otherwise."""
    passed = [iteration >= round(milestone * iterations) for milestone in config.lr_milestones]
    return _rate(config, passed, iteration, iterations)


def _rate(config: ScheduleConfig, passed: list[bool], step: int, steps: int) -> float:
    if config.schedule == "one-cycle":
        # The middle of the step, so that neither the first nor the last has a rate of zero.
        progress = (step + 0.5) / steps
        return config.lr * min(progress / _RISE, (1 - progress) / (1 - _RISE))
    return config.lr * math.prod(factor for factor, behind in zip(config.lr_factors, passed, strict=True) if behind)

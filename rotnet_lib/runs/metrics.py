"""What a metric is: its unit, which direction is better, what guessing gives."""

import math
from dataclasses import dataclass
from typing import Literal

PERCENT = "%"

Better = Literal["higher", "lower"]
"""Which direction of a metric is."""


@dataclass(frozen=True)
class Metric:
    """A figure that a training has, declared before it is measured.

    Attributes:
        unit: `%` for a share in [0, 1], shown in percent; else the unit of a plain mean, such as `dB`; empty: none.
        better: which direction is.
        chance: what guessing gives, in `unit`; None: not known, or without meaning.
        leaves_chance: whether training that stays at `chance` has failed, and is stopped (see `trainer.StuckCheck`).
        tested: whether it means something on the test split; otherwise its figure is of the training images.
        title: what pages call it, such as `Rotation accuracy`; empty: by its name.
    """

    unit: str = PERCENT
    better: Better = "higher"
    chance: float | None = None
    leaves_chance: bool = False
    tested: bool = True
    title: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a metric that must leave chance and is none that rises from there in percent."""
        if self.leaves_chance and (self.unit, self.better) != (PERCENT, "higher"):
            raise ValueError("leaves_chance is for metrics in percent of which higher is better")

    @property
    def scale(self) -> float:
        """Factor on a mean of the values of inputs."""
        return 100.0 if self.unit == PERCENT else 1.0


def decimals(value: float, unit: str) -> int:
    """How many decimals of a figure are shown: two of a percentage; of others so many that there are three digits, but two."""
    if unit == PERCENT or value == 0 or not math.isfinite(value):
        return 2
    return max(2, 2 - math.floor(math.log10(abs(value))))


def digits(value: float, unit: str = PERCENT) -> str:
    """A figure as it is shown, without its unit: `89.06`."""
    return f"{value:.{decimals(value, unit)}f}"


def with_unit(value: float, unit: str = PERCENT) -> str:
    """A figure as it is shown: `89.06 %`, `21.50 dB`, `0.0123`."""
    return f"{digits(value, unit)} {unit}".rstrip()

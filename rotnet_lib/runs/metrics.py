"""What a metric is: its unit, which direction is better, what guessing gives."""

from dataclasses import dataclass
from typing import Literal

PERCENT = "%"


@dataclass(frozen=True)
class Metric:
    """A figure that a training has, declared before it is measured.

    Attributes:
        unit: `%` for a share in [0, 1], shown in percent; else the unit of a plain mean, such as `dB`; empty: none.
        better: which direction is.
        chance: what guessing gives, in `unit`; None: not known, or without meaning.
        leaves_chance: whether training that stays at `chance` has failed, and is stopped (see `trainer.StuckCheck`).
        tested: whether it means something on the test split; otherwise its figure is of the training images.
    """

    unit: str = PERCENT
    better: Literal["higher", "lower"] = "higher"
    chance: float | None = None
    leaves_chance: bool = False
    tested: bool = True

    @property
    def scale(self) -> float:
        """Factor on a mean of the values of inputs."""
        return 100.0 if self.unit == PERCENT else 1.0


def with_unit(value: float, unit: str = PERCENT) -> str:
    """A figure as it is shown: `89.06 %`, `21.50 dB`."""
    return f"{value:.2f} {unit}".rstrip()

"""Which rotations a task predicts, in degrees."""

from collections.abc import Sequence


def upright_label(angles: Sequence[float]) -> int | None:
    """The place of the angle, in degrees, that leaves an image as it is; None where none does."""
    return next((label for label, angle in enumerate(angles) if angle % 360 == 0), None)

"""Whether an arch takes notice of the width factor."""

from collections.abc import Sequence
from functools import cache

from rotnet_lib.lazy import torch
from rotnet_lib.models.arch import ARCHS


def width_matters(arch: str, widths: Sequence[float]) -> bool:
    """Whether an arch has another number of weights at one of these widths than at another. Nothing is computed.

    Raises RotnetError for an unknown arch.
    """
    return len({_weights(arch, float(width)) for width in widths}) > 1


@cache
def _weights(arch: str, width: float) -> int:
    with torch.device("meta"):  # shapes without numbers: nothing is drawn, and the global generator stays as it is
        blocks = ARCHS[arch].blocks(width, 3)
    return sum(parameter.numel() for block in blocks.values() for parameter in block.parameters())

"""What a backbone's first convolution reads: the register of kinds of input.

A backbone is given RGB pixels whatever its kind. Its first module makes of them what the first convolution reads, so that
datasets, augmentation and stages know of no kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rotnet_lib.registry import Registry

if TYPE_CHECKING:
    from rotnet_lib.models.normalize import Normalize


@dataclass(frozen=True)
class InputKind:
    """A kind of input, declared.

    Attributes:
        name: under which it is registered, and which a checkpoint's header names.
        channels: of what its module gives, C: the first convolution has as many.
        make: (mean, std) of R, G and B in the training images, of 255 -> the module, from uint8 or float images in [0, 255],
            (N, 3, H, W), to float (N, C, H, W). It has no parameters, and keeps in buffers all that depends on `mean` and
            `std`: a checkpoint is read into a module made of others. A value of 0 stands for no content, since images are
            padded with zeros behind it.
    """

    name: str
    channels: int
    make: Callable[[Sequence[float], Sequence[float]], Normalize]


INPUTS = Registry[InputKind]("kind of input")

RGB, GREY, LAB_L, LAB, GRADIENT, SOBEL, RGB_TANH = "rgb", "grey", "lab-l", "lab", "gradient", "sobel", "rgb-tanh"


def declare_inputs(kind: InputKind) -> None:
    """Enter a kind of input in the register."""
    INPUTS.register(kind.name)(kind)


def _rgb(mean: Sequence[float], std: Sequence[float]) -> Normalize:
    from rotnet_lib.models.normalize import Normalize

    return Normalize(mean, std)


def _grey(mean: Sequence[float], std: Sequence[float]) -> Normalize:
    from rotnet_lib.models.colour_inputs import Grey

    return Grey(mean, std)


def _lightness(mean: Sequence[float], std: Sequence[float]) -> Normalize:
    from rotnet_lib.models.colour_inputs import Lightness

    return Lightness(mean, std)


def _lab(mean: Sequence[float], std: Sequence[float]) -> Normalize:
    from rotnet_lib.models.colour_inputs import Lab

    return Lab(mean, std)


def _gradient(mean: Sequence[float], std: Sequence[float]) -> Normalize:
    from rotnet_lib.models.gradient_inputs import Gradient

    return Gradient(mean, std)


def _sobel(mean: Sequence[float], std: Sequence[float]) -> Normalize:
    from rotnet_lib.models.gradient_inputs import Sobel

    return Sobel(mean, std)


def _rgb_tanh(mean: Sequence[float], std: Sequence[float]) -> Normalize:
    from rotnet_lib.models.normalize import TanhRange

    return TanhRange(mean, std)


declare_inputs(InputKind(RGB, channels=3, make=_rgb))
declare_inputs(InputKind(GREY, channels=1, make=_grey))
declare_inputs(InputKind(LAB_L, channels=1, make=_lightness))
declare_inputs(InputKind(LAB, channels=3, make=_lab))
declare_inputs(InputKind(GRADIENT, channels=2, make=_gradient))
declare_inputs(InputKind(SOBEL, channels=2, make=_sobel))
declare_inputs(InputKind(RGB_TANH, channels=3, make=_rgb_tanh))

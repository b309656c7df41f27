"""The smallest images that layers in a row can take."""

from collections.abc import Iterable

from torch import nn

_Sliding = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d
_Adaptive = nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d


def smallest_side(blocks: Iterable[nn.Module]) -> int:
    """The shorter side of the smallest maps, in pixels, of which one pixel reaches the end of these blocks.

    From the last layer to the first: a convolution or pool that is to give n pixels needs (n - 1) * stride + kernel - 2 *
    padding, and at least one; an adaptive pool is content with one. Layers count in the order in which they are registered,
    as in a `Sequential`. No arch has dilated convolutions or pools that round up, which this does not reckon with.
    """
    layers = [layer for block in blocks for layer in block.modules()]
    return max(_needed(layers, axis) for axis in (0, 1))


def _needed(layers: list[nn.Module], axis: int) -> int:
    """Pixels along one axis: 0 is down, 1 across."""
    pixels = 1
    for layer in reversed(layers):
        if isinstance(layer, _Adaptive):
            pixels = 1
        elif isinstance(layer, _Sliding):
            kernel, stride, padding = (_along(axis, of) for of in (layer.kernel_size, layer.stride, layer.padding))
            pixels = max(1, (pixels - 1) * stride + kernel - 2 * padding)
    return pixels


def _along(axis: int, sizes: int | str | tuple[int, ...]) -> int:
    """A layer's size along an axis, given for both axes at once or for each."""
    assert not isinstance(sizes, str), "a convolution says its padding in pixels"
    return sizes if isinstance(sizes, int) else sizes[axis]

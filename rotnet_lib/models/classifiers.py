"""Classifiers on a layer's feature maps (docs/protocol.md, "CIFAR-10": the probes).

Each is a module from feature maps (N, C, H, W) to logits (N, classes).
"""

from collections.abc import Callable

from torch import nn

from rotnet_lib.models.nin import ConvBlock, scaled
from rotnet_lib.registry import Registry

ClassifierMaker = Callable[[tuple[int, int, int], int, float], nn.Module]
"""(feature shape (C, H, W), classes, width factor of the backbone) -> module from (N, C, H, W) to logits (N, classes)."""

CLASSIFIERS = Registry[ClassifierMaker]("classifier")


def make_classifier(name: str, shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """A freshly initialised classifier. Raises RotnetError for an unknown name."""
    return CLASSIFIERS[name](shape, classes, width)


@CLASSIFIERS.register("linear")
def linear(shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """Batch norm without affine parameters, then one linear layer on the flattened map."""
    channels, height, breadth = shape
    return nn.Sequential(nn.BatchNorm2d(channels, affine=False), nn.Flatten(), nn.Linear(channels * height * breadth, classes))


@CLASSIFIERS.register("nonlinear")
def nonlinear(shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """Three fully connected layers, min(20 * classes, 2048) hidden units, batch norm and ReLU between them.

    The hidden size is the published one whatever the backbone's width.
    """
    channels, height, breadth = shape
    hidden = min(20 * classes, 2048)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(channels * height * breadth, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, classes),
    )


@CLASSIFIERS.register("conv")
def conv(shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """A third NIN block (3x3, 1x1, 1x1: 192 channels x width), global average pooling, one linear layer."""
    channels = scaled(192, width)
    return nn.Sequential(ConvBlock(shape[0], [channels] * 3, 3), global_pool_linear(channels, classes))


def global_pool_linear(channels: int, classes: int) -> nn.Module:
    """Global average pooling and one linear layer: the head of a NIN."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))

"""Classifiers on a layer's feature maps (docs/protocol.md: the probes).

Each is a module from feature maps (N, C, H, W) to logits (N, classes).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import nn
from rotnet_lib.models.arch import scaled
from rotnet_lib.models.nin import conv_block
from rotnet_lib.registry import Registry

if TYPE_CHECKING:
    from rotnet_lib.models.backbone import Backbone

ClassifierMaker: TypeAlias = "Callable[[Backbone, str, tuple[int, int, int], int], nn.Module]"
"""(backbone, layer, feature shape (C, H, W), classes) -> module from (N, C, H, W) to logits (N, classes)."""

CLASSIFIERS = Registry[ClassifierMaker]("classifier")

SVM = "svm"
"""A classifier that is no module: the probe stage finds its solution (`evaluation.svm`) and trains nothing in steps."""


def make_classifier(name: str, backbone: Backbone, layer: str, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A freshly initialised classifier.

    Args:
        name: which one.
        backbone: what it will stand on; its arch and width decide sizes, its weights nothing.
        layer: the tap it reads.
        shape: (C, H, W) of the features it will be given; C is a multiple of the layer's channels where several views of an
            image are concatenated.
        classes: number of logits.

    Raises RotnetError for an unknown name, and if the classifier cannot take features of that shape.
    """
    return CLASSIFIERS[name](backbone, layer, shape, classes)


@CLASSIFIERS.register("linear")
def linear(backbone: Backbone, layer: str, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Adaptive max pool, batch norm without affine parameters, one linear layer.

    The pool's side is the largest that leaves at most 9 600 elements (x the backbone's width), no larger than the map: 12, 7,
    5, 6, 6 on conv1..conv5 of an AlexNet at 224 pixels, as in the paper's tables 5 and 6.
    """
    channels, height, breadth = shape
    side = max(1, math.isqrt(int(9600 * backbone.width / channels)))
    height, breadth = min(side, height), min(side, breadth)
    return nn.Sequential(
        nn.AdaptiveMaxPool2d((height, breadth)),
        nn.BatchNorm2d(channels, affine=False),
        nn.Flatten(),
        nn.Linear(channels * height * breadth, classes),
    )


@CLASSIFIERS.register("nonlinear")
def nonlinear(backbone: Backbone, layer: str, shape: tuple[int, int, int], classes: int) -> nn.Module:
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
def conv(backbone: Backbone, layer: str, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A third NIN block (3x3, 1x1, 1x1: 192 channels x width), global average pooling, one linear layer."""
    channels = scaled(192, backbone.width)
    return nn.Sequential(conv_block(shape[0], [channels] * 3, 3), global_pool_linear(channels, classes))


@CLASSIFIERS.register("rest")
def rest(backbone: Backbone, layer: str, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The blocks of the backbone's own arch above the layer, started afresh, and its head: what pretraining would put there.

    On an AlexNet's conv4 this is the paper's table 4: a conv5 block, pool, 4096-4096-classes; on its conv5, the same without
    the block; on the conv2 of a frozen one, supervised training on a fixed stem. On a NIN's conv2 it is `conv` with as many
    blocks as the arch has. On the last layer only the head is left.

    Raises RotnetError if the features have other channels than the layer, for the blocks above take just those, and if the
    map is too small for them.
    """
    from rotnet_lib.models.backbone import make_backbone
    from rotnet_lib.models.smallest import smallest_side

    # From the arch, not from the backbone: the blocks above the layer may have been cut off that one.
    fresh = make_backbone(backbone.arch, width=backbone.width, mean=(0,) * 3, std=(1,) * 3)
    expected, _, _ = fresh.shape(layer, fresh.min_image_size)
    if shape[0] != expected:
        raise RotnetError(
            f"classifier 'rest' takes the {expected} channels of {layer} as the blocks of {backbone.arch} do, not {shape[0]}: "
            "average the features of several views (combine=average), or take another classifier, such as nonlinear."
        )
    channels, _, _ = fresh.shape(fresh.taps[-1], fresh.min_image_size)
    above = [fresh.blocks[name] for name in fresh.taps[fresh.taps.index(layer) + 1 :]]
    least = smallest_side(above)
    if min(shape[1:]) < least:
        raise RotnetError(
            f"classifier 'rest': the blocks of {backbone.arch} above {layer} take maps of at least {least}x{least}, not "
            f"{shape[1]}x{shape[2]}: raise image_size, or take another classifier, such as nonlinear."
        )
    return nn.Sequential(*above, global_pool_linear(channels, classes))


def global_pool_linear(channels: int, classes: int) -> nn.Module:
    """Global average pooling and one linear layer: the head of a network."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))

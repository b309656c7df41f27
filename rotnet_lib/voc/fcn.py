"""mmsegmentation's FCN on the AlexNet. Importing this file imports mmsegmentation, so it is imported where it is used.

Images are padded to sides that are multiples of 32, so that the upsampled scores lie over the image. The centre of cell i of
fc6's map is 32 i + 15.5 pixels from the image's edge. mmsegmentation's upsampling assumes that the cells divide the image
evenly: for such sides it takes 32 i + 16, which is right to half a pixel.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rotnet_lib.data.voc.split import VOID
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone

try:
    with warnings.catch_warnings():
        # mmcv-lite says of an attention layer, which nothing here uses, that it lacks its compiled operator.
        warnings.filterwarnings("ignore", "Fail to import ``MultiScaleDeformableAttention``", UserWarning)
        from mmengine.structures import PixelData
        from mmseg.models import EncoderDecoder
        from mmseg.registry import MODELS
        from mmseg.structures import SegDataSample
except ModuleNotFoundError as error:
    raise RotnetError(
        f"segmentation needs mmsegmentation, but there is no module '{error.name}' here. It is among the pins: `make setup`, "
        "or `pip install --no-deps -r requirements.txt` in a checkout."
    ) from None

TRUNK = ("conv1", "conv2", "conv3", "conv4", "conv5")
STRIDE = 32
"""Pixels of the image for each cell of fc6's and fc7's maps."""
_WINDOW = 6
"""Side of the map that fc6 was trained on, in cells."""
_SCORE_STD = 0.01
"""Standard deviation of the score layer's initial weights, as of all new layers of the transfer tasks; its biases are 0."""


@MODELS.register_module(force=True)  # force: importing this file again, as notebooks do, is no error
class FullyConvolutionalAlexNet(nn.Module):
    """An AlexNet without batch norm as mmsegmentation's backbone: its layers, slid over the image.

    conv1..conv5 are unchanged. The adaptive pool before fc6 becomes the 3/2 max pool that it is at 224 pixels. fc6 becomes a
    6 x 6 convolution, its input padded with 3 zeros on each side, which turns a map of n cells into one of n + 1. fc7 becomes
    a 1 x 1 convolution. Both have the linear layers' weights and are followed by dropout of single values.

    Args:
        backbone: an AlexNet with batch norm folded (`models.folding.fold`). Its conv layers are used, not copied.
        dropout: share of values that is dropped in training.
    """

    def __init__(self, backbone: Backbone, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict({name: backbone.blocks[name] for name in TRUNK})
        fc6, fc7 = (_linear(backbone.blocks[name]) for name in ("fc6", "fc7"))
        self.pool = nn.MaxPool2d(3, stride=2)
        self.fc6 = nn.Sequential(as_convolution(fc6, _WINDOW, padding=3), nn.ReLU(inplace=True), nn.Dropout(dropout))
        self.fc7 = nn.Sequential(as_convolution(fc7, 1), nn.ReLU(inplace=True), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalised images (N, C, H, W), sides multiples of 32 and at least 64, to [fc7's map (N, D, H / 32, W / 32)]."""
        for block in self.blocks.values():
            x = block(x)
        return [self.fc7(self.fc6(self.pool(x)))]


class Fcn(nn.Module):
    """mmsegmentation's `EncoderDecoder`: `FullyConvolutionalAlexNet`, an `FCNHead` on fc7's map, bilinear upsampling by 32.

    Args:
        backbone: an AlexNet with batch norm folded.
        classes: without the background.
        dropout: behind fc6 and fc7.

    The score layer is initialised by torch's global generator.
    """

    def __init__(self, backbone: Backbone, classes: int, dropout: float) -> None:
        super().__init__()
        self.normalize = backbone.normalize
        features = _linear(backbone.blocks["fc7"]).out_features
        self.segmentor = EncoderDecoder(
            backbone={"type": FullyConvolutionalAlexNet.__name__, "backbone": backbone, "dropout": dropout},
            decode_head={
                "type": "FCNHead",
                "in_channels": features,
                "channels": features,
                "num_classes": 1 + classes,
                "out_channels": 1 + classes,  # unasked, it recommends something else for two classes
                "num_convs": 0,
                "kernel_size": 1,  # of a layer that is made and, num_convs being 0, dropped: small, so that it is cheap
                "concat_input": False,
                "dropout_ratio": 0,
                "ignore_index": VOID,
                "loss_decode": {"type": "CrossEntropyLoss", "avg_non_ignore": True},
            },
        )
        score = self.segmentor.decode_head.conv_seg
        nn.init.normal_(score.weight, std=_SCORE_STD)
        nn.init.zeros_(score.bias)

    def loss(self, images: Tensor, masks: Tensor) -> Tensor:
        """Cross-entropy, the mean over the pixels that count; 0 if none does.

        Args:
            images: (N, 3, H, W) uint8 or float in [0, 255].
            masks: (N, H, W) uint8: 0 background, 1 + label, 255 not counted.
        """
        x = self._padded(images)
        truth = F.pad(masks.long(), (0, x.shape[3] - masks.shape[2], 0, x.shape[2] - masks.shape[1]), value=VOID)
        samples = [SegDataSample(gt_sem_seg=PixelData(data=mask[None])) for mask in truth]
        terms: dict[str, Tensor] = self.segmentor.loss(x, samples)
        return terms["decode.loss_ce"]

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W), uint8 or float in [0, 255], to the scores of every pixel (N, 1 + classes, H, W)."""
        x = self._padded(images)
        described: list[dict[str, Any]] = [{"img_shape": tuple(x.shape[2:])}] * len(x)
        scores: Tensor = self.segmentor.encode_decode(x, described)
        return scores[:, :, : images.shape[2], : images.shape[3]]

    def _padded(self, images: Tensor) -> Tensor:
        """Normalised, with zeros (the mean colour) below and to the right up to multiples of 32, at least 64."""
        bottom, right = (max(2 * STRIDE, -(-side // STRIDE) * STRIDE) - side for side in images.shape[2:])
        return F.pad(self.normalize(images), (0, right, 0, bottom))


@torch.no_grad()
def as_convolution(linear: nn.Linear, window: int, padding: int = 0) -> nn.Conv2d:
    """The convolution that computes, at each place, a linear layer on the flattened `window` x `window` cells there.

    Args:
        linear: (D, C * window * window) weights, a channel's cells row by row together, and a bias.

    Returns:
        Weights (D, C, window, window), copied.
    """
    assert linear.bias is not None, "a folded layer has a bias"
    weight = linear.weight.unflatten(1, (-1, window, window))
    convolution = nn.Conv2d(weight.shape[1], weight.shape[0], window, padding=padding)
    convolution.weight.copy_(weight)
    convolution.bias.copy_(linear.bias)  # type: ignore[union-attr]
    return convolution


def _linear(block: nn.Module) -> nn.Linear:
    """The linear layer of a fully connected block, its only layer with weights."""
    (linear,) = (layer for layer in block.modules() if list(layer.parameters(recurse=False)))
    assert isinstance(linear, nn.Linear)
    return linear

"""What every arch is: a stack of named blocks whose outputs (taps) the probes read."""

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from rotnet_lib.errors import RotnetError, unknown
from rotnet_lib.models.arch import ARCHS, Arch
from rotnet_lib.models.inputs import INPUTS, RGB
from rotnet_lib.models.smallest import smallest_side


class Backbone(nn.Module):
    """Images to feature maps, with a name for every block's output.

    Args:
        arch: what it is built of.
        width: factor on the channels.
        mean, std: channel statistics of the training images (R, G, B), of 255.
        inputs: what the first convolution reads: a kind in `INPUTS`.

    Attributes:
        arch: the arch's name.
        width: factor on the channels.
        inputs: the name of its kind of input.
        normalize: pixels to that.
        blocks: tap -> block.
        min_image_size: shorter side in pixels of the smallest images that its last block, as it stands now, can work on.
        kept_stride: see `keep_stem_stride`; None: a checkpoint comes back with the arch's stride.

    Raises RotnetError for an unknown kind of input.
    """

    def __init__(self, arch: Arch, width: float, mean: Sequence[float], std: Sequence[float], inputs: str = RGB) -> None:
        super().__init__()
        kind = INPUTS[inputs]
        self.arch = arch.name
        self.width = width
        self.inputs = kind.name
        self.normalize = kind.make(mean, std)
        self.blocks = nn.ModuleDict(arch.blocks(width, kind.channels))
        self.min_image_size = smallest_side(self.blocks.values())
        self.kept_stride: int | None = None
        self._arch_stride = self.stem_stride

    @property
    def taps(self) -> tuple[str, ...]:
        """The layers a probe can read, from the image upwards."""
        return tuple(self.blocks)

    @property
    def stem_stride(self) -> int:
        """Stride of the first convolution, in pixels. A checkpoint comes back with the arch's, unless another is kept.

        A pretext task may set another: one that is shown parts of an image keeps more of their pixels by a smaller one.
        """
        return int(self._stem.stride[0])

    @stem_stride.setter
    def stem_stride(self, pixels: int) -> None:
        self._stem.stride = (pixels, pixels)
        self.min_image_size = smallest_side(self.blocks.values())

    def keep_stem_stride(self, pixels: int) -> None:
        """Set the stride of the first convolution for good: checkpoints name it, and others use the weights with it."""
        self.stem_stride = pixels
        self.kept_stride = None if pixels == self._arch_stride else pixels

    def reset_stem_stride(self) -> None:
        """Give the first convolution the arch's stride again."""
        self.keep_stem_stride(self._arch_stride)

    @property
    def _stem(self) -> nn.Conv2d:
        return next(layer for layer in self.blocks.modules() if isinstance(layer, nn.Conv2d))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, 3, H, W), uint8 or float in [0, 255], to the last block's output (N, C, H', W')."""
        return self.features(images, self.taps[-1:])[self.taps[-1]]

    def features(self, images: torch.Tensor, layers: Iterable[str]) -> dict[str, torch.Tensor]:
        """The outputs (N, C, H', W') of the layers named, in one pass that ends at the deepest of them.

        Raises RotnetError if a layer is none of the taps, or if the images are too small (`min_image_size`).
        """
        if min(images.shape[-2:]) < self.min_image_size:
            given = "x".join(map(str, images.shape[-2:]))
            least = f"{self.min_image_size}x{self.min_image_size}"
            raise RotnetError(f"{self.arch} takes images of at least {least} pixels, not {given}: raise image_size.")
        wanted = set(layers)
        for layer in wanted:
            self.check_layer(layer)
        found: dict[str, torch.Tensor] = {}
        x = self.normalize(images)
        for name, block in self.blocks.items():
            x = block(x)
            if name in wanted:
                found[name] = x
            if len(found) == len(wanted):
                break
        return found

    def check_layer(self, layer: str) -> None:
        """Raises RotnetError, with the taps there are, if `layer` is none of them."""
        if layer not in self.blocks:
            raise unknown(f"layer of {self.arch}", layer, self.taps)

    def cut_after(self, layer: str) -> None:
        """Drop the blocks above `layer`, which a fine-tuned network does not use. Raises RotnetError if unknown."""
        self.check_layer(layer)
        for name in self.taps[self.taps.index(layer) + 1 :]:
            del self.blocks[name]
        self.min_image_size = smallest_side(self.blocks.values())

    def cut_after_convolutions(self) -> None:
        """Drop the blocks above the last convolution."""
        self.cut_after([tap for tap in self.taps if any(isinstance(m, nn.Conv2d) for m in self.blocks[tap].modules())][-1])

    @torch.no_grad()
    def shape(self, layer: str, image_size: int) -> tuple[int, int, int]:
        """(C, H, W) of a layer's output for square images of `image_size` pixels."""
        device = self.normalize.mean.device
        mode = self.training
        self.eval()
        features = self.features(torch.zeros(1, 3, image_size, image_size, device=device), [layer])[layer]
        self.train(mode)
        _, channels, height, width = features.shape
        return channels, height, width


def make_backbone(arch: str, *, width: float, mean: Sequence[float], std: Sequence[float], inputs: str = RGB) -> Backbone:
    """A freshly initialised backbone (from torch's global generator: see `seeds.seeded`).

    Raises RotnetError for an unknown arch or kind of input.
    """
    return Backbone(ARCHS[arch], width, mean, std, inputs)

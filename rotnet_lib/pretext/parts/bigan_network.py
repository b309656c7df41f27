"""A BiGAN: an encoder, which is the backbone, a generator, and a discriminator of pairs (Donahue et al., ICLR 2017)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.func import functional_call

from rotnet_lib.models.arch import scaled
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.dcgan import start_as_gan
from rotnet_lib.pretext.parts.adversaries import discriminator_loss, frozen
from rotnet_lib.pretext.parts.gan_network import GanNetwork
from rotnet_lib.pretext.parts.picture_rows import TOGETHER
from rotnet_lib.pretext.parts.resizing import resizing_matrix, weighted

_KERNEL = 5
_CHANNELS = 64
"""Of the discriminator's first layer at width 1; each further one has twice as many."""
_MOST, _LEAST = 4, 3
"""Halvings of a picture, at most, and the side of the smallest map."""


def halvings(side: int) -> int:
    """How often pictures of a side are halved: as often as leaves a map of at least 3 pixels, at most four times."""
    return max(n for n in range(_MOST + 1) if side % 2**n == 0 and (n == 0 or side >> n >= _LEAST))


class Joined(nn.Module):
    """A convolution that takes the latent too: a linear function of it is added at every place, then come norm and activation.

    Args:
        conv: without a bias.
        channels: that it makes.
        latent: numbers of a latent.
        last: what comes behind the norm.
        normed: whether there is one. It keeps no running statistics: it normalises by the batch, in evaluation too.
    """

    def __init__(self, conv: nn.Module, channels: int, latent: int, last: nn.Module, normed: bool = True) -> None:
        super().__init__()
        self.conv = conv
        self.of_latent = nn.Linear(latent, channels, bias=not normed)
        self.norm = nn.BatchNorm2d(channels, track_running_stats=False) if normed else nn.Identity()
        self.last = last

    def forward(self, maps: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) and latents (B, latent) to (B, channels, h', w')."""
        made: torch.Tensor = self.last(self.norm(self.conv(maps) + self.of_latent(latents)[:, :, None, None]))
        return made


def _start(network: nn.Module) -> None:
    """As GANs start; what is added of the latent starts as if a kernel of the convolution's size read it at every place."""
    start_as_gan(network)
    for layer in network.modules():
        if isinstance(layer, Joined):
            with torch.no_grad():
                layer.of_latent.weight.mul_(_KERNEL)


class Generator(nn.Module):
    """Latents to pictures: a linear layer, then transposed convolutions of 5x5 and stride 2, each of which sees the latent.

    Args:
        latent: numbers of a latent.
        side: of the pictures, in pixels.
        width: factor on the channels.
    """

    def __init__(self, latent: int, side: int, width: float) -> None:
        super().__init__()
        count = halvings(side)
        small = side >> count
        sizes = [scaled(_CHANNELS * 2**number, width) for number in reversed(range(count))]
        self.first = nn.Sequential(
            nn.Linear(latent, sizes[0] * small**2, bias=False),
            nn.Unflatten(1, (sizes[0], small, small)),
            nn.BatchNorm2d(sizes[0], track_running_stats=False),
            nn.ReLU(inplace=True),
        )
        self.layers = nn.ModuleList()
        for before, size in zip(sizes, [*sizes[1:], 3], strict=True):
            conv = nn.ConvTranspose2d(before, size, _KERNEL, 2, _KERNEL // 2, output_padding=1, bias=False)
            is_last = len(self.layers) == count - 1
            self.layers.append(Joined(conv, size, latent, nn.Tanh() if is_last else nn.ReLU(inplace=True), normed=not is_last))
        _start(self)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (B, latent) to pictures (B, 3, S, S) in [-1, 1]."""
        maps: torch.Tensor = self.first(latents)
        for layer in self.layers:
            maps = layer(maps, latents)
        return maps


class PairDiscriminator(nn.Module):
    """Tells images with their codes from pictures with their latents: convolutions of 5x5 and stride 2, then one number.

    LeakyReLU 0.2; all but the first have batch norm and see the latent.

    Args: as of `Generator`.
    """

    def __init__(self, latent: int, side: int, width: float) -> None:
        super().__init__()
        count = halvings(side)
        sizes = [scaled(_CHANNELS * 2**number, width) for number in range(count)]
        self.first = nn.Sequential(
            nn.Conv2d(3, sizes[0], _KERNEL, 2, _KERNEL // 2),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.layers = nn.ModuleList(
            Joined(nn.Conv2d(before, size, _KERNEL, 2, _KERNEL // 2, bias=False), size, latent, nn.LeakyReLU(0.2, inplace=True))
            for before, size in pairwise(sizes)
        )
        self.unit = nn.Linear(sizes[-1] * (side >> count) ** 2, 1)
        _start(self)

    def forward(self, pictures: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Pictures (B, 3, S, S) in [-1, 1] and latents (B, latent) to logits (B,): above 0 for an image and its code."""
        maps: torch.Tensor = self.first(pictures)
        for layer in self.layers:
            maps = layer(maps, latents)
        logits: torch.Tensor = self.unit(maps.flatten(1))
        return logits[:, 0]


class BiganNetwork(GanNetwork):
    """`backbone` and `code`, the encoder, `generator`, and `discriminator`.

    Args:
        backbone: the encoder's convolutions.
        latent: numbers of a latent.
        size: of the encoder's images, in pixels.
        side: of what generator and discriminator see; images are shrunk to it where they are larger.
    """

    shrinking: torch.Tensor
    shown: torch.Tensor

    def __init__(self, backbone: Backbone, latent: int, size: int, side: int) -> None:
        super().__init__(backbone, side, ["samples", "reconstructions"])
        channels, height, width = backbone.shape(backbone.taps[-1], size)
        self.code = nn.Linear(channels * height * width, latent)
        start_as_gan(self.code)
        self.generator = Generator(latent, side, backbone.width)
        self.discriminator = PairDiscriminator(latent, side, backbone.width)
        self.register_buffer("shrinking", torch.tensor(resizing_matrix("area", size, side)), persistent=False)
        # The images that are reconstructed for pages.
        self.register_buffer("shown", torch.zeros(TOGETHER, 3, size, size, dtype=torch.uint8), persistent=False)

    def encoded(self, images: torch.Tensor) -> torch.Tensor:
        """The codes of images (B, 3, S, S), uint8 or float in [0, 255]: (B, latent) in (-1, 1), as latents are."""
        codes: torch.Tensor = self.code(self.backbone(images).flatten(1))
        return 2 * codes.sigmoid() - 1

    def small(self, images: torch.Tensor) -> torch.Tensor:
        """Images as the discriminator sees them, (B, 3, side, side) in [-1, 1]."""
        if len(self.shrinking) == images.shape[-1]:
            return images.to(self.shrinking.dtype) / 127.5 - 1
        return weighted(images, self.shrinking) / 127.5 - 1

    def losses(
        self, images: torch.Tensor, codes: torch.Tensor, made: torch.Tensor, latents: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """The discriminator's loss, that of encoder and generator, and the logits (B,) of both kinds of pairs.

        The second is the first with the answers exchanged. The first has no gradient to encoder and generator, the second none
        to the discriminator. Both kinds go through the discriminator by themselves: each is normalised by its own batch.

        Args:
            images, made: (B, 3, side, side) in [-1, 1], images and the generator's pictures.
            codes, latents: (B, latent), of these.
        """
        discriminator = self.discriminator
        real, fake = discriminator(images, codes.detach()), discriminator(made.detach(), latents)

        def opposed(pictures: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = functional_call(discriminator, frozen(discriminator), (pictures, of))
            return logits

        tells = discriminator_loss(real, fake) / 2
        passes = discriminator_loss(opposed(made, latents), opposed(images, codes)) / 2
        return tells, passes, real.detach(), fake.detach()

"""A DCGAN: a discriminator, which is the backbone, and a generator that mirrors it (Radford, Metz, Chintala 2015)."""

import torch
from torch import nn
from torch.func import functional_call

from rotnet_lib.models.arch import scaled
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.dcgan import CHANNELS, SHRUNK, start_as_gan
from rotnet_lib.pretext.parts.adversaries import copied_buffers, discriminator_loss, frozen, generator_loss
from rotnet_lib.pretext.parts.gan_network import GanNetwork


class Generator(nn.Module):
    """Latents to pictures: a linear layer, then transposed convolutions of 3x3, strides 2, 1, 2, 1, 2, 1.

    Batch norm and ReLU are on all layers but the last, which has tanh. Batch norm keeps no running statistics: in evaluation,
    too, it normalises by the batch. Running ones lag behind weights that change so fast.

    Args:
        latent: numbers of a latent.
        side: of the pictures, in pixels; a multiple of 8.
        width: factor on the channels.
    """

    def __init__(self, latent: int, side: int, width: float) -> None:
        super().__init__()
        small = side // SHRUNK
        sizes = [*(scaled(size, width) for size in reversed(CHANNELS)), 3]
        layers: list[nn.Module] = [
            nn.Linear(latent, sizes[0] * small**2, bias=False),
            nn.Unflatten(1, (sizes[0], small, small)),
        ]
        for number, size in enumerate(sizes[1:]):
            stride = 2 - number % 2
            layers += [nn.BatchNorm2d(sizes[number], track_running_stats=False), nn.ReLU(inplace=True)]
            last = number == len(CHANNELS) - 1
            layers.append(nn.ConvTranspose2d(sizes[number], size, 3, stride, 1, output_padding=stride - 1, bias=last))
        self.layers = nn.Sequential(*layers, nn.Tanh())
        start_as_gan(self)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (B, latent) to pictures (B, 3, S, S) in [-1, 1]."""
        pictures: torch.Tensor = self.layers(latents)
        return pictures


class DcganNetwork(GanNetwork):
    """`backbone` and `unit`, the discriminator, and `generator`, whose pictures it is to tell from images.

    Args:
        backbone: a DCGAN's discriminator, which reads RGB in [-1, 1].
        latent: numbers of a latent.
        side: of images and pictures, in pixels; a multiple of 8.
    """

    def __init__(self, backbone: Backbone, latent: int, side: int) -> None:
        super().__init__(backbone, side, ["samples"])
        channels, height, width = backbone.shape(backbone.taps[-1], side)
        self.unit = nn.Linear(channels * height * width, 1)
        start_as_gan(self.unit)
        self.generator = Generator(latent, side, backbone.width)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The discriminator: images (B, 3, S, S), uint8 or float in [0, 255], to logits (B,), above 0 for real."""
        logits: torch.Tensor = self.unit(self.backbone(images).flatten(1))
        return logits[:, 0]

    def made(self, latents: torch.Tensor) -> torch.Tensor:
        """The generator's pictures of latents, (B, 3, S, S) float in [0, 255]."""
        return self.backbone.normalize.pixels(self.generator(latents.to(self.unit.weight.dtype)))

    def losses(self, images: torch.Tensor, made: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """The discriminator's loss, the generator's, and the logits (B,) of images and of pictures, in training mode.

        The first has no gradient to the generator, the second none to the discriminator. Images and pictures go through the
        discriminator by themselves: each is normalised by its own batch, and the running statistics are those of images alone.
        """
        real = self(images)
        fake = functional_call(self, copied_buffers(self), (made.detach(),))
        opposed = functional_call(self, frozen(self) | copied_buffers(self), (made,))
        return discriminator_loss(real, fake), generator_loss(opposed), real.detach(), fake.detach()

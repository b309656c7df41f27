"""The adversary of a network that fills holes: real or filled in (Pathak et al., CVPR 2016, section 3.2)."""

import torch
from torch import nn
from torch.func import functional_call

from rotnet_lib.models.arch import scaled
from rotnet_lib.pretext.parts.adversaries import discriminator_loss, frozen, generator_loss

_CHANNELS = (64, 128, 256, 512)
"""Of its convolutions at width 1 (the authors' code); of any further ones as of the last."""


class HoleCritic(nn.Module):
    """Tells pictures of real holes from those of filled ones.

    It does not see what is around a hole, where it could look for seams. Convolutions (4x4, stride 2, LeakyReLU 0.2, batch norm
    in all but the first) until the map is at most 7 wide, then one number.

    Args:
        side: of the pictures, in pixels.
        width: factor on the channels.
    """

    def __init__(self, side: int, width: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels_in, sizes = 3, iter(_CHANNELS)
        while side >= 8:
            channels = scaled(next(sizes, _CHANNELS[-1]), width)
            norm = [nn.BatchNorm2d(channels)] if layers else []
            layers += [nn.Conv2d(channels_in, channels, 4, stride=2, padding=1, bias=not norm), *norm, nn.LeakyReLU(0.2)]
            channels_in, side = channels, side // 2
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels_in * side**2, 1))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Normalised pictures (B, 3, S, S), 0 around the holes, to logits (B,): above 0 for real."""
        logits: torch.Tensor = self.layers(pictures)
        return logits[:, 0]

    def losses(self, real: torch.Tensor, filled: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss of who filled the holes, -log D(filled), and the critic's, -log D(real) - log(1 - D(filled)).

        Means over images, in nats. The first has no gradient to the critic, the second none to who filled the holes.
        """
        passes = generator_loss(functional_call(self, frozen(self), (filled,)))
        return passes, discriminator_loss(self(real), self(filled.detach()))

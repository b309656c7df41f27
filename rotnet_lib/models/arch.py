"""What is known of an arch without building it, and the register of archs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rotnet_lib.errors import unknown
from rotnet_lib.registry import Registry

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Arch:
    """A backbone's architecture, declared.

    Attributes:
        name: under which it is registered.
        benchmark: whose protocol applies to it: `cifar10` or `imagenet` (the sections of docs/protocol.md).
        taps: names of the blocks, from the image upwards: the layers that a probe can read.
        min_image_size: shorter side in pixels of the smallest images that leave its last block something to work on, known
            before it is built (`Backbone.min_image_size`).
        blocks: (width factor, channels of the input) -> tap -> block, freshly initialised, in the order of `taps`.
        starts: other ways to initialise the blocks, by name: each draws a module's weights anew, from torch's global generator.
        title: what pages call it, such as `NIN-4`; empty: by its name.
        halved: the taps whose two halves of channels share nothing below them (see `split`).
    """

    name: str
    benchmark: str
    taps: tuple[str, ...]
    min_image_size: int
    blocks: Callable[[float, int], dict[str, nn.Module]]
    starts: Mapping[str, Callable[[nn.Module], None]] = field(default_factory=dict)
    title: str = ""
    halved: tuple[str, ...] = ()

    def check_layer(self, layer: str) -> None:
        """Raises RotnetError, with the taps there are, if `layer` is none of them."""
        if layer not in self.taps:
            raise unknown(f"layer of {self.name}", layer, self.taps)


ARCHS = Registry[Arch]("arch")


def declare(arch: Arch) -> None:
    """Enter an arch in the register."""
    ARCHS.register(arch.name)(arch)


def scaled(channels: int, width: float) -> int:
    """A channel count under the width factor, at least 1."""
    return max(1, round(channels * width))

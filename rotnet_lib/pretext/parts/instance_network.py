"""A network that predicts rotations and tells images apart."""

from typing import Any

import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.network import Network
from rotnet_lib.pretext.parts.memory_bank import MemoryBank


class InstanceNetwork(Network):
    """A `Network` with a second head, `project`, to embeddings, and a bank of them.

    Args:
        backbone, classes, image_size: see `Network`.
        bank: for the embeddings of the second head; None: neither.
        split: the first head reads the first half of the last layer's channels, the second head the others; otherwise both
            read all of them.

    Raises RotnetError if there are fewer than two channels to split.
    """

    bank: MemoryBank
    project: nn.Linear

    def __init__(
        self, backbone: Backbone, classes: int, image_size: int, bank: MemoryBank | None, *, split: bool = False
    ) -> None:
        channels, _, _ = backbone.shape(backbone.taps[-1], image_size)
        if split and channels < 2:
            raise RotnetError(
                f"width: {backbone.taps[-1]} has one channel at width {backbone.width:g}: none to split. Raise it."
            )
        super().__init__(backbone, classes, image_size, features=channels // 2 if split else None)
        self.others = slice(channels // 2 if split else 0, channels)
        if bank:
            self.project = nn.Linear(channels - self.others.start, bank.memory.shape[1])
            self.bank = bank

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As `nn.Module.compile`, for `both` too: it is what training calls."""
        super().compile(*args, **kwargs)
        self.both = torch.compile(self.both, *args, **kwargs)  # type: ignore[method-assign]

    def both(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (n, 3, S, S) to logits (n, classes) and what the second head reads, in one pass.

        That is (n, C) means over the map, of float32 at least: the temperature makes bf16's rounding count.
        """
        maps = self.backbone(images)
        precise = torch.promote_types(maps.dtype, torch.float32)
        return self.answer(maps), maps[:, self.others].mean(dim=(2, 3), dtype=precise)

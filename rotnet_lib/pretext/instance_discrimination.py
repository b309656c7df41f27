"""What the tasks that predict rotations and also tell images apart have in common."""

from typing import Any, Literal

import torch
from pydantic import Field, field_validator
from torch import nn

from rotnet_lib.data.loader import Batch
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.network import Network
from rotnet_lib.pretext.memory_bank import MemoryBank
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.training.collectives import all_gather_rows

_MOST_OF_ALL = 200_000
"""Images among which the full softmax is taken at most: a batch of 192 then has 154 MB of scores, several times over."""


class InstanceOptions(Rotation.Options):
    """Those of `rotation`, and of instance discrimination."""

    temperature: float = Field(0.07, ge=0.01, description="of the softmax over instances")
    momentum: float = Field(0.5, ge=0, lt=1, description="what an image's place in the bank keeps at an update")
    dimension: int = Field(128, ge=2, description="of the embedding")
    bank: Literal["empty", "random"] = Field(
        "empty", description="how it starts: empty; or, as in the authors' code, with random vectors for all images"
    )
    negatives: int | None = Field(
        None, ge=1, description="images drawn for each to tell it from (NCE); None: all, the full softmax"
    )

    @field_validator("copies")
    @classmethod
    def _together(cls, copies: str) -> str:
        if copies != "all":
            raise ValueError(f"the instance loss needs an image's copies in one batch: all, not '{copies}'")
        return copies


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


class InstanceDiscrimination(Rotation):
    """A rotation task whose network also tells images apart, by the mean features of an image's rotated copies."""

    options: InstanceOptions
    module: InstanceNetwork

    def make_bank(self, images: int) -> MemoryBank:
        """A bank for so many images. Raises RotnetError if the full softmax over them is asked for, and they are too many."""
        if self.options.negatives is None and images > _MOST_OF_ALL:
            raise RotnetError(
                f"task_options.negatives: null asks for the full softmax, which is for {_MOST_OF_ALL} images at most, not "
                f"{images}. Draw some for each: negatives 4096."
            )
        return MemoryBank(images, self.options.dimension, random=self.options.bank == "random")

    def instance_loss(self, features: torch.Tensor, batch: Batch) -> torch.Tensor:
        """L_n of the projected and normalised features (B, C), and the bank's update by them.

        The bank is the same in every process: each takes the embeddings of the whole batch in.
        """
        bank, options = self.module.bank, self.options
        embeddings = nn.functional.normalize(self.module.project(features), dim=1)
        if options.negatives is None:
            loss = bank.softmax_loss(embeddings, batch.index, options.temperature)
        else:
            negatives = batch.randint(len(bank), options.negatives)
            loss = bank.nce_loss(embeddings, batch.index, negatives, options.temperature)
        bank.update(*all_gather_rows(batch, embeddings.detach(), batch.index), options.momentum)
        return loss

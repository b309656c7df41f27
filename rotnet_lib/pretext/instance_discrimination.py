"""What the tasks that predict rotations and also tell images apart have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import nn
from rotnet_lib.pretext.rotation import Rotation

if TYPE_CHECKING:
    import torch

    from rotnet_lib.data.loader import Batch
    from rotnet_lib.pretext.parts.instance_network import InstanceNetwork
    from rotnet_lib.pretext.parts.memory_bank import MemoryBank

_MOST_OF_ALL = 200_000
"""Images among which the full softmax is taken at most: a batch of 192 then has 154 MB of scores, several times over."""


class InstanceOptions(Rotation.Options):
    """Those of `rotation`, and of instance discrimination."""

    temperature: float = Field(0.07, ge=0.01, description="temperature of the softmax over instances")
    momentum: float = Field(0.5, ge=0, lt=1, description="fraction of the old vector kept when the bank is updated")
    dimension: int = Field(128, ge=2, description="dimension of the embedding")
    bank: Literal["empty", "random"] = Field(
        "empty", description="initial memory bank: empty, or random vectors for all images (the authors' code)"
    )
    negatives: int | None = Field(None, ge=1, description="negatives drawn per image (NCE); None: all images, the full softmax")

    @field_validator("copies")
    @classmethod
    def _together(cls, copies: str) -> str:
        if copies != "all":
            raise ValueError(f"the instance loss needs an image's copies in one batch: all, not '{copies}'")
        return copies


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
        from rotnet_lib.pretext.parts.memory_bank import MemoryBank

        return MemoryBank(images, self.options.dimension, random=self.options.bank == "random")

    def instance_loss(self, features: torch.Tensor, batch: Batch) -> torch.Tensor:
        """L_n of the projected and normalised features (B, C), and the bank's update by them.

        The bank is the same in every process: each takes the embeddings of the whole batch in.
        """
        from rotnet_lib.training.collectives import all_gather_rows

        bank, options = self.module.bank, self.options
        embeddings = nn.functional.normalize(self.module.project(features), dim=1)
        if options.negatives is None:
            loss = bank.softmax_loss(embeddings, batch.index, options.temperature)
        else:
            negatives = batch.randint(len(bank), options.negatives)
            loss = bank.nce_loss(embeddings, batch.index, negatives, options.temperature)
        bank.update(*all_gather_rows(batch, embeddings.detach(), batch.index), options.momentum)
        return loss

"""Prepares a backbone for PASCAL VOC: starts layers that it lacks, folds batch norms, rescales weights by data
(docs/protocol.md, "PASCAL VOC").
"""

from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.folding import fold
from rotnet_lib.models.gradient_rescaling import LayerRatio, rescale_gradients
from rotnet_lib.seeds import generator
from rotnet_lib.voc.new_layers import complete

_LARGEST_ERROR = 1e-3


class PreparationRecord(BaseModel):
    """How a backbone was prepared, with measures of how well that worked.

    Attributes:
        images: how many images the folding was checked on and the weights were rescaled by.
        fold_error: largest change of an output of the last layer (fc7) by folding, on these images, as a share of the outputs'
            standard deviation.
        layers: a record for each layer, in the order of the forward pass, if the weights were rescaled; else empty.
        fresh: the taps that the backbone's weights did not have and that were started afresh, from the image up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    fold_error: float
    layers: tuple[LayerRatio, ...]
    fresh: tuple[str, ...] = ()  # files from before there were any do not name it

    @property
    def rounds(self) -> int:
        """Rounds of rescaling until the ratios were equal."""
        return len(self.layers[0].scales) if self.layers else 0


@dataclass(frozen=True)
class Preparation:
    """A prepared backbone, and the record of its preparation."""

    backbone: Backbone
    record: PreparationRecord


def prepare(backbone: Backbone, images: torch.Tensor, *, rescale: bool, seed: int) -> Preparation:
    """Fold a backbone's batch norms, check that its outputs stay the same, and rescale its weights by data if asked to.

    Layers of its arch that it lacks are started first, by `complete`, and rescaled with the others.

    Args:
        backbone: on any device; it is not changed.
        images: (N, 3, S, S) uint8, on the same device, N at least 2. They are one batch, which takes about 3 MB an image for an
            AlexNet at 224 pixels, and twice that if rescaled.
        rescale: whether to apply Krähenbühl's between-layer rescaling (`rescale_gradients`).
        seed: of new layers, and of the random gradients that the rescaling feeds in.

    Raises RotnetError for fewer than 2 images; if the outputs do not depend on the image; if folding changes an output by more
    than 0.001 of their standard deviation; and as `fold` and `rescale_gradients`.
    """
    if len(images) < 2:
        raise RotnetError(f"preparing a backbone needs at least 2 images, not {len(images)}.")
    whole, fresh = complete(backbone, seed)
    folded = fold(whole)
    error = _difference(whole, folded, images)
    layers = (
        rescale_gradients(folded, images, generator(torch.device("cpu"), seed, "rescaling by gradients")) if rescale else []
    )
    return Preparation(folded, PreparationRecord(images=len(images), fold_error=error, layers=tuple(layers), fresh=fresh))


@torch.no_grad()
def _difference(backbone: Backbone, folded: Backbone, images: torch.Tensor) -> float:
    """The record's `fold_error`."""
    modes = backbone.training, folded.training
    before, after = backbone.eval()(images), folded.eval()(images)
    backbone.train(modes[0])
    folded.train(modes[1])
    top = backbone.taps[-1]
    spread = before.std(0, correction=0).max().item()
    if not spread > 0:
        raise RotnetError(
            f"the outputs of {top} are {'not finite' if spread != spread else 'the same for every image'}: "
            f"this {backbone.arch} passes nothing on. Take another backbone."
        )
    error = ((after - before).abs().max() / before.std()).item()
    if not error <= _LARGEST_ERROR:
        raise RotnetError(
            f"folding batch norm changed the outputs of {top} by {error:.2g} of their standard deviation (at most "
            f"{_LARGEST_ERROR:g} is rounding). A layer of {backbone.arch} must be read by something beside its batch norm."
        )
    return error

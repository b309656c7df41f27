"""A backbone made ready for PASCAL VOC: batch norm folded, weights rescaled by data (docs/protocol.md, "PASCAL VOC")."""

from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.folding import fold
from rotnet_lib.models.gradient_rescaling import LayerRatio, rescale_gradients
from rotnet_lib.seeds import generator

_LARGEST_ERROR = 1e-3


class PreparationRecord(BaseModel):
    """What was done to a backbone, and how well.

    Attributes:
        images: how many it was checked on and rescaled by.
        fold_error: largest difference of an output of the last layer (fc7) before and after folding, as a share of the
            outputs' standard deviation, on these images.
        layers: a record a layer, from the image up, if the weights were rescaled; else empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    fold_error: float
    layers: tuple[LayerRatio, ...]

    @property
    def rounds(self) -> int:
        """Rounds of rescaling until the ratios were equal."""
        return len(self.layers[0].scales) if self.layers else 0


@dataclass(frozen=True)
class Preparation:
    """A folded backbone, and what was done to it."""

    backbone: Backbone
    record: PreparationRecord


def prepare(backbone: Backbone, images: torch.Tensor, *, rescale: bool, seed: int) -> Preparation:
    """Fold a backbone's batch norm, check that it computes the same, and rescale its weights by data if asked to.

    Args:
        backbone: on any device, left as it is.
        images: (N, 3, S, S) uint8, on the same device, N at least 2; they go through it all at once, which takes about 3 MB
            an image for an AlexNet at 224 pixels, and twice that if rescaled.
        rescale: Kraehenbuehl's between-layer rescaling (`rescale_gradients`).
        seed: of the gradient that it feeds in.

    Raises RotnetError for fewer than 2 images, for a backbone whose outputs do not depend on the image or change by more than
    0.001 of their standard deviation, and as `fold` and `rescale_gradients`.
    """
    if len(images) < 2:
        raise RotnetError(f"preparing a backbone needs at least 2 images, not {len(images)}.")
    folded = fold(backbone)
    error = _difference(backbone, folded, images)
    layers = (
        rescale_gradients(folded, images, generator(torch.device("cpu"), seed, "rescaling by gradients")) if rescale else []
    )
    return Preparation(folded, PreparationRecord(images=len(images), fold_error=error, layers=tuple(layers)))


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

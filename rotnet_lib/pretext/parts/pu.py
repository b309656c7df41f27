"""Positive-unlabelled weights: rotated copies that may be upright images count less (Feng, Xu, Tao 2019, section 3.1).

Upright copies are positive examples of what upright images look like. Rotated copies are unlabelled: of a ball, or of a
photograph taken from above, they look as upright as the original, and asking for their rotation teaches nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext.parts.angles import upright_label
from rotnet_lib.training.checkpoints import load_tensors, save_tensors

_ANGLES, _IMAGES = TypeAdapter(list[float]), TypeAdapter(dict[str, Any])
_AGAIN = "Delete it and make its run again."

CHOICE = tuple(field.name for field in fields(DataSpec) if field.name != "test_size")
"""The parameters that say which training images there are, in which order, and what of them is seen."""


def choice_of(spec: DataSpec, data: Dataset) -> dict[str, Any]:
    """What says which images the training split of a dataset holds, in which order: equal for equal images.

    Args:
        spec: what `data` was loaded by.
        data: the dataset.
    """
    return {name: getattr(spec, name) for name in CHOICE} | {"image_size": data.image_size, "fingerprint": data.fingerprint}


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """What tells two choices of images apart (see `choice_of`), but for their fingerprints: `train_size 40 there, 30 here`."""
    same_data = theirs.get("fingerprint") == ours["fingerprint"]  # then it may have another name
    names = (name for name in ours if name != "fingerprint" and not (name == "dataset" and same_data))
    return [f"{name} {theirs.get(name)} there, {ours[name]} here" for name in names if theirs.get(name) != ours[name]]


@dataclass(frozen=True)
class Plausibility:
    """How plausible each rotated copy of every training image is as an upright image.

    Attributes:
        p: (N, K) float32 in [0, 1]: p[i, k] is the probability that copy k of image i is upright. All 0 where image i could
            not be read.
        angles: the K rotations in degrees, one of them upright.
        images: which images they are; see `choice_of`.
    """

    p: torch.Tensor
    angles: tuple[float, ...]
    images: Mapping[str, Any]

    @property
    def upright(self) -> int:
        """The column of the upright copy."""
        label = upright_label(self.angles)
        assert label is not None
        return label

    @property
    def rotated(self) -> list[int]:
        """The columns of the other copies."""
        return [label for label in range(len(self.angles)) if label != self.upright]

    @property
    def known(self) -> torch.Tensor:
        """(N,) bool: which images could be read; the upright copy of those has some chance of being upright."""
        return self.p.any(1)

    def save(self, path: Path, run: str | None = None) -> None:
        """Write it, atomically; `run` as `save_tensors`."""
        save_tensors(path, {"p": self.p}, {"angles": self.angles, "images": dict(self.images)}, run=run)

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote. Raises RotnetError if the file is missing, damaged, or of another origin."""
        tensors, header = load_tensors(path)
        if "p" not in tensors or not {"angles", "images"} <= header.keys():
            raise RotnetError(f"foreign file {path}: it holds no probabilities of copies. Name a run of pu_weights.")
        p = tensors["p"]
        try:
            angles, images = _ANGLES.validate_python(header["angles"]), _IMAGES.validate_python(header["images"])
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            raise RotnetError(f"damaged file {path}: its header has wrong values ({problem}). {_AGAIN}") from None
        whole = p.dtype == torch.float32 and p.dim() == 2 and p.shape[1] == len(angles)
        if not whole or not bool(((p >= 0) & (p <= 1)).all()):
            raise RotnetError(
                f"damaged file {path}: its table of {p.dtype}, {tuple(p.shape)}, should hold a probability for each of "
                f"{len(angles)} rotations of an image. {_AGAIN}"
            )
        if upright_label(angles) is None:
            raise RotnetError(f"damaged file {path}: none of its angles, {list(angles)}, is upright. {_AGAIN}")
        return cls(p, tuple(angles), images)

    def check(self, run: str, images: Mapping[str, Any], count: int, angles: Sequence[float]) -> None:
        """Raises RotnetError, naming what differs, unless its rows are these images and its columns these rotations.

        Args:
            run: what it is of, for the error.
            images: see `choice_of`.
            count: how many images there are; in memory those that could be read.
            angles: in degrees.
        """
        if told := differences(self.images, images):
            raise RotnetError(
                f"pu_weights: run {run} is of other images ({'; '.join(told)}). Train on the same, or make one of these: "
                "`rotnet run pu_weights` with a RotNet of them for its backbone."
            )
        if images["fingerprint"] != self.images.get("fingerprint"):
            raise RotnetError(
                f"pu_weights: the data ({images['dataset']}) has changed since run {run} was made. Make all of them again."
            )
        if count != len(self.p):
            raise RotnetError(
                f"pu_weights: run {run} is of {len(self.p)} images, and here {count} could be read: files were damaged or "
                "mended since. Make all of them again."
            )
        if list(angles) != list(self.angles):
            raise RotnetError(
                f"pu_weights: the angles of run {run} are {list(self.angles)}, this run's are {list(angles)}. They must be the "
                "same, in the same order: set task_options.angles, or take the weights of another RotNet."
            )


class PuWeights(nn.Module):
    """How much each rotated copy counts: 1 if upright, else 1 - p^gamma (docs/protocol.md, "Rotation Feature Decoupling").

    A table of N x K float32 numbers, 20 MB for the 1.28 million images of ImageNet and four rotations.
    """

    weights: torch.Tensor

    def __init__(self, plausibility: Plausibility, gamma: float) -> None:
        super().__init__()
        weights = 1 - plausibility.p**gamma
        weights[:, plausibility.upright] = 1
        self.register_buffer("weights", weights)

    def forward(self, index: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(n,) float32 in [0, 1] for the copies `labels`, (n,) int64 in [0, K), of images `index`, (n,) int64 in [0, N)."""
        return self.weights[index, labels]

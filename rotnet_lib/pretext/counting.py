"""Counting: what is counted in an image is the sum of what is counted in its tiles (Noroozi, Pirsiavash, Favaro, ICCV 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import nn, torch
from rotnet_lib.models.arch import scaled
from rotnet_lib.pretext.examples import Example, pictures_of
from rotnet_lib.pretext.parts.parts_task import PartsTask, least_side, remedies
from rotnet_lib.pretext.task import TASKS
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.task import Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.pretext.parts.parts_network import PartsNetwork
    from rotnet_lib.runs.config import TrainingConfig
    from rotnet_lib.runs.protocols import Values

_HIDDEN = 4096
"""Features of the two hidden layers above the backbone, at width 1."""


@TASKS.register("counting")
class Counting(PartsTask):
    """Counts of an image at half its size equal the sum of its four tiles' counts, and another image's do not.

    phi maps a picture of half the side to K counts, none negative. With c(x) the sum of phi over the tiles of x, D x the
    shrunk image and y another image of the batch, the loss is the mean of |phi(D x) - c(x)|^2 + max(0, M - |phi(D y) - c(x)|^2)
    (equation 4); the second term forbids phi = 0.

    Defences against shortcuts (sections 3.1 and 4.3): which filter shrinks an image is drawn, against the trace that it
    leaves; most images are grey, against the chromatic aberration of lenses. Test images are in their own colours, their
    filter is decided by their place in the split.

    Metrics: `counting_top1`, percent of images whose own shrunk copy is nearer to their tiles' counts than another image's is;
    `count_error`, |phi(D x) - c(x)|^2 over |phi(D x)|^2 + |c(x)|^2, in [0, 1], and 1 where nothing is counted;
    `active_counts`, percent of counts above 0.
    """

    metrics: Mapping[str, Metric] = MappingProxyType(
        {
            "counting_top1": Metric(chance=50.0, title="Own tiles told from another image's"),
            "count_error": Metric("", "lower", title="Relative error of the counts"),
            "active_counts": Metric(title="Counts above zero"),
        }
    )
    title = "Counting"
    paper = "counting"
    protocol: ClassVar[Mapping[str, Values]] = {
        # 1e-4, x0.9 every 10 000 steps (the paper). Adam, no decay of weights: a re-implementation that has the published
        # figures. The paper's length and batch are not known: 300 000 steps of 256.
        "imagenet": {
            "augment": "random-crop",
            "batch_size": 256,
            "epochs": 60,
            "lr": 1e-4,
            "lr_milestones": tuple(step / 30 for step in range(1, 30)),
            "lr_decay": 0.9,
            "weight_decay": 0.0,
        },
        "cifar10": {
            "augment": "random-crop",
            "epochs": 100,
            "lr": 1e-4,
            "lr_milestones": tuple(step / 30 for step in range(1, 30)),
            "lr_decay": 0.9,
            "weight_decay": 0.0,
        },
    }

    class Options(BaseModel):
        """The counts, and the defences against shortcuts."""

        model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

        counts: int = Field(1000, ge=1, le=100_000, description="K, the length of the count vector")
        margin: float = Field(10.0, gt=0, description="M, margin on the squared distance to another image's counts")
        resizer: Literal["mixed", "linear", "cubic", "lanczos", "area"] = Field(
            "mixed", description="filter for downscaling; mixed: drawn from the four"
        )
        grey: float = Field(0.67, ge=0, le=1, description="fraction of the images converted to greyscale")
        stride: int = Field(4, ge=1, description="stride of the first convolution in the pretext task, if the arch's is larger")

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        import numpy as np

        from rotnet_lib.pretext.parts.resizing import RESIZERS, resizing_matrix

        self.options = options
        self.side = data.image_size // 2
        self.cut_backbone(backbone, data, options.stride)
        self._check(backbone, data.image_size)
        self.module = _network(backbone, self.side, options)
        resizers = tuple(RESIZERS) if options.resizer == "mixed" else (options.resizer,)
        matrices = np.stack([resizing_matrix(resizer, 2 * self.side, self.side) for resizer in resizers])
        self.module.register_buffer("resizing", torch.from_numpy(matrices), persistent=False)

    def _check(self, backbone: Backbone, image_size: int) -> None:
        """Raises RotnetError if a tile is too small for the backbone."""
        side, stride = self.side, backbone.stem_stride
        if side < backbone.min_image_size:
            raise RotnetError(
                f"image_size: images of {image_size} px have tiles of {side}, and {backbone.arch} takes tiles of at least "
                f"{backbone.min_image_size} px{self.at_stride(backbone)}. Any one of these works: "
                + remedies(
                    (
                        "task_options.stride {}",
                        range(stride - 1, 0, -1),
                        lambda stride: least_side(backbone, stride) <= self.side,
                    ),
                    ("image_size {}", range(image_size, 20 * image_size), lambda size: size // 2 >= backbone.min_image_size),
                )
                + "."
            )

    def optimizers(self, config: TrainingConfig) -> Sequence[torch.optim.Optimizer]:
        from rotnet_lib.pretext.parts.partners import check_parts
        from rotnet_lib.training.optimizers import adam

        check_parts(config)
        return (adam([p for p in self.module.parameters() if p.requires_grad], config),)

    def parts(self, images: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        """Each image shrunk to half its side, and its four tiles.

        Args:
            images: (B, 3, S, S) uint8; where S is odd, the last row and column are left out.
            which: (B,) int64, the filters that shrink them, among those of the options.

        Returns (B * 5, 3, S // 2, S // 2) uint8: an image's shrunk copy, then its tiles row by row.
        """
        from rotnet_lib.pretext.parts.resizing import resize
        from rotnet_lib.pretext.parts.tiles import cut_tiles

        images = images[..., : 2 * self.side, : 2 * self.side]
        shrunk = resize(images, self._resizing[which][:, None]).to(torch.uint8)
        number = torch.arange(4, device=images.device)
        tops, lefts = ((self.side * place).expand(len(images), -1) for place in (number // 2, number % 2))
        tiles = cut_tiles(images, tops, lefts, self.side).view(len(images), 4, *shrunk.shape[1:])
        return torch.cat([shrunk[:, None], tiles], 1).flatten(0, 1).contiguous(memory_format=torch.channels_last)

    def step(self, batch: Batch) -> Step:
        from rotnet_lib.data.colours import some_grey

        images = batch.images
        if self.options.grey:
            images = some_grey(images, batch.chosen(self.options.grey))
        return self._score(self.parts(images, batch.randint(len(self._resizing))))

    def evaluate(self, batch: Batch) -> Step:
        return replace(self._score(self._of_test(batch)), terms={})

    def examples(self, batch: Batch) -> list[Example]:
        """The shrunk image before its tiles, with how far its counts are from theirs and another image's are."""
        parts = self._of_test(batch)
        own, other, _ = self._distances(self.module(parts))
        return [
            Example(
                shown,
                5,
                f"counts of the shrunk image and the tiles' sum, squared distance {near:.3g}; another image's {far:.3g}",
                near < far,
            )
            for shown, near, far in zip(pictures_of(parts, 5), own.tolist(), other.tolist(), strict=True)
        ]

    @property
    def _resizing(self) -> torch.Tensor:
        return self.module.get_buffer("resizing")

    def _of_test(self, batch: Batch) -> torch.Tensor:
        """The parts of test images: shrunk by any filter, but always the same, whoever asks."""
        return self.parts(batch.images, batch.index % len(self._resizing))

    def _distances(self, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """How far the sum of each image's tiles' counts is from its shrunk copy's and from another's.

        Args:
            counts: (B, 5, K), the shrunk image's first.

        Returns three of (B,), in float32 or better, since half precision is too coarse for sums of many squares: both distances
        squared, and the first relative to the sum of the squared lengths.
        """
        from rotnet_lib.pretext.parts.partners import partners

        counts = counts.to(torch.promote_types(counts.dtype, torch.float32))
        shrunk, tiles = counts[:, 0], counts[:, 1:].sum(1)
        other = shrunk[partners(len(counts), counts.device)]
        own = (shrunk - tiles).square().sum(1)
        lengths = shrunk.square().sum(1) + tiles.square().sum(1)
        return own, (other - tiles).square().sum(1), torch.where(lengths > 0, own / lengths.clamp(min=1e-12), 1.0)

    def _score(self, parts: torch.Tensor) -> Step:
        counts = self.module(parts)
        with torch.autocast(counts.device.type, enabled=False):
            own, other, relative = self._distances(counts)
            contrast = (self.options.margin - other).clamp(min=0)
            told = own < other
            if len(own) == 1:  # there is no other image
                contrast, told = 0 * contrast, told[:0]
            pair, hinge = own.mean(), contrast.mean()
            values: dict[str, torch.Tensor] = {
                "counting_top1": told,
                "count_error": relative,
                "active_counts": (counts > 0).float().mean((1, 2)),
            }
        return Step(pair + hinge, len(own), values, terms={"loss_pair": pair, "loss_contrast": hinge})


def _network(backbone: Backbone, side: int, options: Counting.Options) -> PartsNetwork:
    """Three layers on each part, the last with ReLU, too: counts are not negative.

    No batch norm: it would fix the scale that the margin measures against. Weights are drawn so that responses keep their
    size from layer to layer, the last layer's so that |c(x)|^2 begins about M: near 0 there would be no gradient.
    """
    from rotnet_lib.pretext.parts.parts_network import PartsNetwork

    channels, height, width = backbone.shape(backbone.taps[-1], side)
    hidden = scaled(_HIDDEN, backbone.width)
    sizes = [channels * height * width, hidden, hidden, options.counts]
    column = nn.Sequential(nn.Flatten())
    for size, features in pairwise(sizes):
        layer = nn.Linear(size, features)
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
        column.extend([layer, nn.ReLU(inplace=True)])
    # Each count's mean square is about a half; of the sum over four tiles, which are alike, about four.
    with torch.no_grad():
        layer.weight.mul_((options.margin / (4 * options.counts)) ** 0.5)
    return PartsNetwork(backbone, 5, column, nn.Unflatten(1, (5, options.counts)))

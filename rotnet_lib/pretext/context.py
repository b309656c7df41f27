"""Context prediction: which neighbour of one patch is the other (Doersch, Gupta, Efros, ICCV 2015)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import nn, torch
from rotnet_lib.models.arch import scaled
from rotnet_lib.pretext.examples import Example, pictures_of
from rotnet_lib.pretext.parts.parts_task import PartsTask, below, least_side, remedies
from rotnet_lib.pretext.task import TASKS
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.seeds import generator
from rotnet_lib.training.task import Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.pretext.parts.parts_network import PartsNetwork
    from rotnet_lib.runs.protocols import Values

_HIDDEN = 4096
"""Features of fc6, fc7 and fc8, at width 1."""
_LEAST = 2
"""Pixels of a side, below which a patch has nothing in it."""
_FINE = 2**16
"""Steps of a share that is drawn as an integer."""

DIRECTIONS = ("upper left", "above", "upper right", "left", "right", "lower left", "below", "lower right")
"""Where the second patch lies, seen from the first; label k is the k-th."""


class Sizes(NamedTuple):
    """A pair of patches in pixels: side of a patch, space between two, and how far each is moved at most."""

    patch: int
    gap: int
    jitter: int

    @property
    def span(self) -> int:
        """The side of the smallest image that holds a pair."""
        return 2 * self.patch + self.gap + 2 * self.jitter


@TASKS.register("context")
class Context(PartsTask):
    """Tell which of the eight neighbours of a patch another patch of the same image is. Metric `context_top1`, percent.

    Both patches go through one backbone and a layer on it (fc6); the layers above see the two. The pair lies anywhere in the
    image. The loss is the mean cross-entropy over all pairs.

    Defences against shortcuts (sections 3 and 3.1): the gap, against edges and textures that go on; the jitter, against long
    lines; one colour plane alone, or colours projected, against the chromatic aberration of lenses, which tells where in the
    image a patch lies; some patches coarser. Batch norm behind fc6, fc7 and the convolutions from conv3 on has no gain and
    shift (they are 1 and 0): with them the network may end at a constant answer.

    A test image has pairs that depend on nothing but its place in the split: without jitter, not coarser, in its middle.
    """

    metrics: Mapping[str, Metric] = MappingProxyType({"context_top1": Metric(chance=100 / 8, title="Position accuracy")})
    title = "Context prediction"
    paper = "context"
    protocol: ClassVar[Mapping[str, Values]] = {
        # Neither the paper's length nor a rate of its decay is known: RotNet's schedules.
        "cifar10": {"augment": "random-crop", "epochs": 100, "lr": 0.05, "lr_milestones": (0.3, 0.6, 0.8)},
        "imagenet": {"augment": "random-crop", "epochs": 30, "lr_milestones": (1 / 3, 2 / 3), "lr_decay": 0.1},
    }
    target_names = DIRECTIONS

    class Options(BaseModel):
        """The pairs, and the defences against shortcuts."""

        model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

        patch: float = Field(0.32, gt=0, lt=1, description="side of a patch, as a fraction of the image's side")
        gap: float = Field(0.5, ge=0, le=4, description="gap between two patches, as a fraction of a patch's side")
        jitter: float = Field(
            7 / 96, ge=0, lt=1, description="largest random shift of a patch along each axis, as a fraction of its side"
        )
        colour: Literal["drop", "project", "keep"] = Field(
            "drop", description="drop: one colour plane, noise in the others; project: without green against magenta"
        )
        pixelate: float = Field(0.33, ge=0, le=1, description="fraction of the patches that are downscaled and enlarged again")
        pairs: int = Field(4, ge=1, le=64, description="pairs of patches per image")
        stride: int = Field(4, ge=1, description="stride of the first convolution in the pretext task, if the arch's is larger")

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        from rotnet_lib.pretext.parts.patches import pixelating_matrices

        self.options = options
        self.image_size = data.image_size
        self.sizes = sizes_of(options, data.image_size)
        self.cut_backbone(backbone, data, options.stride)
        self._check(backbone)
        self.module = _network(backbone, self.sizes.patch)
        places = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column]
        self.module.register_buffer("directions", torch.tensor(places), persistent=False)
        if options.pixelate:
            matrices = torch.from_numpy(pixelating_matrices(self.sizes.patch))
            self.module.register_buffer("pixelating", matrices, persistent=False)
        if options.colour == "drop":
            noise = torch.rand(1, 3, self.sizes.patch, self.sizes.patch, generator=generator(torch.device("cpu"), 0, "noise"))
            self.module.register_buffer("noise", noise - 0.5, persistent=False)
        patch, gap, jitter = self.sizes
        self.notes = (
            f"Pairs of patches of {patch} pixels, {gap} apart, each moved by up to {jitter}; "
            f"{data.image_size - self.sizes.span} pixels are left for where a pair lies.",
        )

    def _check(self, backbone: Backbone) -> None:
        """Raises RotnetError if a patch is too small for the backbone, or a pair too large for the image."""
        patch, gap, jitter = self.sizes
        side, options, stride = self.image_size, self.options, backbone.stem_stride
        least = {stride: max(_LEAST, least_side(backbone, stride)) for stride in range(1, stride + 1)}
        if self.sizes.span <= side and patch >= least[stride]:
            return

        def fits(size: int = side, stride: int = stride, **changed: float) -> bool:
            found = sizes_of(options.model_copy(update=changed), size)
            return found.span <= size and found.patch >= least[stride]

        if self.sizes.span > side:
            wrong = (
                f"two patches of {patch} px, a gap of {gap} and a jitter of {jitter} to each side take {self.sizes.span} px, "
                f"and images have {side}"
            )
        else:
            wrong = (
                f"{options.patch:g} of {side} px are patches of {patch}, and {backbone.arch} takes patches of at least "
                f"{least[stride]} px{self.at_stride(backbone)}"
            )
        shares = [thousandths / 1000 for thousandths in range(999, 0, -1)]
        work = remedies(
            ("a patch of {:g}", sorted(shares, key=lambda share: abs(share - options.patch)), lambda patch: fits(patch=patch)),
            ("a gap of {:g} or less", below(options.gap), lambda gap: fits(gap=gap)),
            ("a jitter of {:g} or less", below(options.jitter), lambda jitter: fits(jitter=jitter)),
            ("stride {}", range(stride - 1, 0, -1), lambda stride: fits(stride=stride)),
            ("image_size {}", range(side + 1, 20 * side), lambda size: fits(size)),
        )
        if not work:
            together = ((lower, share) for lower in range(stride - 1, 0, -1) for share in shares)
            work = remedies(
                ("a patch of {0[1]:g} at stride {0[0]}", together, lambda both: fits(stride=both[0], patch=both[1]))
            )
        raise RotnetError(
            f"task_options.patch: {wrong}. " + (f"Any one of these works: {work}." if work else "Nothing would help.")
        )

    def step(self, batch: Batch) -> Step:
        options, count, patch = self.options, self.options.pairs, self.sizes.patch
        labels = batch.randint(8, count)
        jitter = batch.randint(2 * self.sizes.jitter + 1, count, 2, 2) - self.sizes.jitter
        parts = self.pairs(batch.images, labels, batch.randint(_FINE, count, 2), jitter).float()
        if options.pixelate:
            from rotnet_lib.pretext.parts.patches import coarser
            from rotnet_lib.pretext.parts.resizing import resize

            some = batch.chosen(options.pixelate, 2 * count)
            which = torch.where(some, coarser(batch.randint(_FINE, 2 * count), patch), 0).flatten()
            parts = resize(parts, self.module.get_buffer("pixelating")[which][:, None])
        noise = None
        if options.colour == "drop":  # uniform in [-0.5, 0.5] of 255, the same for all patches of an image
            noise = batch.randint(_FINE, 1, 3, patch, patch) / _FINE - 0.5
            noise = noise.expand(-1, 2 * count, -1, -1, -1).flatten(0, 1)
        return self._score(parts, labels, batch.randint(3, 2 * count), noise)

    def evaluate(self, batch: Batch) -> Step:
        labels, parts, kept = self._of_test(batch)
        return self._score(parts.float(), labels, kept, self._noise)

    @property
    def _noise(self) -> torch.Tensor | None:
        """Of test images, all of which have the same."""
        return self.module.get_buffer("noise") if self.options.colour == "drop" else None

    def _of_test(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Labels, patches and colour planes of test images: any, but always the same, whoever asks."""
        count = self.options.pairs
        numbers = batch.index[:, None] * count + torch.arange(count, device=batch.images.device)
        labels = numbers % 8
        middle = torch.full((1, 1, 2), _FINE // 2, device=batch.images.device)
        still = torch.zeros(1, 1, 2, 2, dtype=torch.int64, device=batch.images.device)
        kept = torch.stack([numbers // 8 % 3, numbers // 24 % 3], 2).flatten(1)
        return labels, self.pairs(batch.images, labels, middle, still), kept

    def pairs(self, images: torch.Tensor, labels: torch.Tensor, places: torch.Tensor, jitter: torch.Tensor) -> torch.Tensor:
        """Pairs of patches, cut out of images.

        Args:
            images: (B, 3, S, S) uint8.
            labels: (B, n) int64 in [0, 8), where the second patch of each pair lies; see `DIRECTIONS`.
            places: (B, n, 2) int64 in [0, 2^16), where the pair lies in the room that it has, from the top and from the left.
            jitter: (B, n, 2, 2) int64 in pixels, by how much each patch is moved downwards and to the right.

        Returns (B * n * 2, 3, p, p) uint8, the pairs of an image one after the other, the first patch before the second.
        """
        from rotnet_lib.pretext.parts.tiles import cut_tiles

        patch, gap, most = self.sizes
        apart = self.module.get_buffer("directions")[labels] * (patch + gap)  # (B, n, 2)
        least = most - apart.clamp(max=0)
        room = images.shape[-1] - patch - 2 * most - apart.abs()
        first = least + (places * (room + 1)).div(_FINE, rounding_mode="floor")
        corners = torch.stack([first, first + apart], 2) + jitter  # (B, n, 2 patches, 2 axes)
        tops, lefts = corners.flatten(1, 2).unbind(2)
        return cut_tiles(images, tops, lefts, patch)

    def prepared(self, patches: torch.Tensor, kept: torch.Tensor, noise: torch.Tensor | None) -> torch.Tensor:
        """What the first convolution reads of patches: without what tells where they lie, of one contrast.

        Args:
            patches: (n, 3, p, p) float in [0, 255].
            kept: (n,) int64 in [0, 3), the colour plane that stays, where others are dropped.
            noise: broadcast to the patches' shape, what takes the place of those; None where none are dropped.
        """
        from rotnet_lib.pretext.parts.patches import of_unit_contrast, one_colour, projected

        centred = patches - patches.mean((2, 3), keepdim=True)
        if noise is not None:
            centred = one_colour(centred, kept, noise)
        elif self.options.colour == "project":
            centred = projected(centred)
        return of_unit_contrast(centred)

    def examples(self, batch: Batch) -> list[Example]:
        """A pair of patches of each image, in its own colours."""
        labels, parts, kept = self._of_test(batch)
        shares = self._logits(parts.float(), kept, self._noise).float().softmax(1)
        probability, said = (found.view(len(batch), -1)[:, 0] for found in shares.max(1))
        pictures = pictures_of(parts, 2 * self.options.pairs)
        return [
            Example(own[:2], 2, f"second patch: true {DIRECTIONS[true]}, said {DIRECTIONS[answer]}", answer == true, (sure,))
            for own, true, answer, sure in zip(
                pictures, labels[:, 0].tolist(), said.tolist(), probability.tolist(), strict=True
            )
        ]

    def _logits(self, patches: torch.Tensor, kept: torch.Tensor, noise: torch.Tensor | None) -> torch.Tensor:
        ready = self.prepared(patches, kept.flatten(), noise)
        logits: torch.Tensor = self.module(self.module.backbone.normalize.pixels(ready))
        return logits

    def _score(self, patches: torch.Tensor, labels: torch.Tensor, kept: torch.Tensor, noise: torch.Tensor | None) -> Step:
        logits, labels = self._logits(patches, kept, noise), labels.flatten()
        loss = torch.nn.functional.cross_entropy(logits, labels)
        places = torch.arange(len(labels), device=labels.device) // self.options.pairs
        return Step(
            loss,
            len(labels),
            {"context_top1": logits.argmax(1) == labels},
            labels,
            places=places,
            scores={"context_top1": logits.detach()},
        )


def sizes_of(options: Context.Options, image_size: int) -> Sizes:
    """The pair's sizes in images of `image_size` pixels."""
    patch = round(options.patch * image_size)
    jitter = max(1, round(options.jitter * patch)) if options.jitter else 0
    return Sizes(patch, round(options.gap * patch), jitter)


def _network(backbone: Backbone, side: int) -> PartsNetwork:
    """fc6 on each patch, fc7 to fc9 on both; batch norm without gain and shift where the released code has it."""
    from rotnet_lib.models.norms import freeze_gains
    from rotnet_lib.pretext.parts.parts_network import PartsNetwork

    for tap in backbone.taps[2:]:
        freeze_gains(backbone.blocks[tap])
    channels, height, width = backbone.shape(backbone.taps[-1], side)
    hidden = scaled(_HIDDEN, backbone.width)

    def layer(features: int) -> list[nn.Module]:
        return [nn.Linear(features, hidden, bias=False), nn.BatchNorm1d(hidden, affine=False), nn.ReLU(inplace=True)]

    column = nn.Sequential(nn.Flatten(), *layer(channels * height * width))
    head = nn.Sequential(*layer(2 * hidden), nn.Linear(hidden, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, 8))
    return PartsNetwork(backbone, 2, column, head)

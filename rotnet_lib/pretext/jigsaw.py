"""Jigsaw puzzles: which permutation of an image's tiles is this (Noroozi and Favaro, ECCV 2016)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import nn, torch
from rotnet_lib.models.arch import scaled
from rotnet_lib.pretext.examples import Example, pictures_of
from rotnet_lib.pretext.parts.parts_task import PartsTask, below, least_side, remedies
from rotnet_lib.pretext.task import TASKS
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.task import Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.pretext.parts.parts_network import PartsNetwork
    from rotnet_lib.runs.protocols import Values

_COLUMN, _HIDDEN = 512, 4096
"""Features of a tile and of the layer that sees all tiles, at width 1 (Noroozi and Favaro 2016, section 3.1)."""


@TASKS.register("jigsaw")
class Jigsaw(PartsTask):
    """Tell which of K fixed permutations an image's tiles stand in. Metric `jigsaw_top1`: percent of test images told right.

    The middle of the image is a grid of cells. A tile is cut out of each, at a random place in the cell; position t of the
    puzzle holds the tile of cell perm_k[t]. All tiles go through one backbone, up to its last convolution, one by one: the
    first layers must not match textures across tiles. The loss is the cross-entropy over K.

    Defences against shortcuts (section 3.2): the gap between tiles, against edges that go on; each tile normalised by itself,
    against statistics that do; colour planes shifted against each other, and some images grey, against the chromatic
    aberration of lenses. All are options, and off in evaluation but for the gap and the normalisation: a test image has one
    puzzle, which its place in the split decides.
    """

    metrics: Mapping[str, Metric] = MappingProxyType({"jigsaw_top1": Metric(title="Permutation accuracy")})
    title = "Jigsaw puzzles"
    paper = "jigsaw"
    protocol: ClassVar[Mapping[str, Values]] = {
        # None is published for small images: RotNet's, at a rate that suits layers without batch norm.
        # No crop: the black border of a padded one would tell which tiles lie at the edge.
        "cifar10": {"augment": "random-crop", "epochs": 100, "lr": 0.02, "lr_milestones": (0.3, 0.6, 0.8)},
        # 350 000 steps of 256 images, x0.1 every 100 000 (the authors' code).
        "imagenet": {
            "augment": "random-crop",
            "batch_size": 256,
            "epochs": 70,
            "lr_milestones": (2 / 7, 4 / 7, 6 / 7),
            "lr_decay": 0.1,
        },
    }

    same_in_processes: ClassVar[Mapping[str, Any]] = {"dropout": 0.0}

    class Options(BaseModel):
        """The puzzle, and its defences against shortcuts."""

        model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

        grid: Literal[2, 3] = Field(3, description="cells per side")
        permutations: int = Field(1000, ge=2, le=10_000, description="K, the number of permutations (classes)")
        gap: float = Field(0.25, ge=0, lt=1, description="free part of a cell's side; 0: tiles touch")
        normalize: Literal["mean-std", "mean", "none"] = Field(
            "mean-std", description="normalise each tile by itself, per channel; none: keep pixel values"
        )
        channel_shift: float = Field(
            0.025, ge=0, le=0.5, description="largest shift of a tile's colour planes, as a fraction of a cell's side"
        )
        grey: float = Field(0.3, ge=0, le=1, description="fraction of the images converted to greyscale")
        stride: int = Field(2, ge=1, description="stride of the first convolution in the pretext task, if the arch's is larger")
        dropout: float = Field(0.5, ge=0, lt=1, description="dropout in the layers above the backbone")

        @model_validator(mode="after")
        def _enough_permutations(self) -> Self:
            most = math.factorial(self.grid**2)
            if self.permutations > most:
                remedy = f"Take at most {most}" + (", or grid 3" if self.grid == 2 else "")
                raise ValueError(f"permutations: {self.permutations} asked for, and {self.grid**2} tiles have {most}. {remedy}")
            return self

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        from rotnet_lib.pretext.parts.permutations import distant_permutations, smallest_distance

        tiles = options.grid**2
        self.options = options
        self.cell = data.image_size // options.grid
        self.side = self.cell - round(options.gap * self.cell)
        self.shift = round(options.channel_shift * self.cell)
        self.free = self.cell - self.side - 2 * self.shift
        self.cut_backbone(backbone, data, options.stride)
        self._check(backbone, data.image_size)
        self.margin = (data.image_size - options.grid * self.cell) // 2
        self.module = _network(backbone, tiles, self.side, options)
        permutations = distant_permutations(tiles, options.permutations)
        self.module.register_buffer("permutations", torch.tensor(permutations))
        self.notes = (
            f"Puzzles of {tiles} tiles of {self.side} pixels in cells of {self.cell}, by {options.permutations} permutations, "
            f"of which any two differ in {smallest_distance(permutations)} places or more.",
        )
        # A network may sit at chance for long before it learns: that is no failure.
        self.metrics = {"jigsaw_top1": Metric(chance=100 / options.permutations)}

    def _check(self, backbone: Backbone, image_size: int) -> None:
        """Raises RotnetError if a tile is too small for the backbone, or the planes have no room to be shifted."""
        if self.side < backbone.min_image_size:
            raise RotnetError(
                f"task_options.gap: images of {image_size} px have cells of {self.cell} and tiles of {self.side}, and "
                f"{backbone.arch} takes tiles of at least {backbone.min_image_size} px{self.at_stride(backbone)}. "
                f"Any one of these works: {self._remedies(backbone, image_size)}."
            )
        if self.free < 0:
            most = (self.cell - self.side) // 2
            raise RotnetError(
                f"task_options.channel_shift: {self.options.channel_shift:g} of a cell is {self.shift} px to each side, "
                f"and its tile leaves {self.cell - self.side} px free. Take at most {most / self.cell:.3g}, or a larger gap."
            )

    def _remedies(self, backbone: Backbone, image_size: int) -> str:
        """What makes tiles large enough, each by itself."""
        grid, gap, stride = self.options.grid, self.options.gap, backbone.stem_stride

        def fits(size: int = image_size, grid: int = grid, gap: float = gap, stride: int = stride) -> bool:
            return size // grid - round(gap * (size // grid)) >= least_side(backbone, stride)

        return remedies(
            ("a gap of {:g} or less", below(gap), lambda gap: fits(gap=gap)),
            ("grid {}", range(grid - 1, 1, -1), lambda grid: fits(grid=grid)),
            ("stride {}", range(stride - 1, 0, -1), lambda stride: fits(stride=stride)),
            ("image_size {}", range(image_size + 1, 20 * image_size), lambda size: fits(size)),
        )

    def examples(self, batch: Batch) -> list[Example]:
        """The puzzle of each image, before the tiles are normalised; permutations by their number."""
        labels, places = self._of_test(batch)
        tiles = self.puzzle(batch.images, labels, places)
        probability, said = self._logits(tiles).float().softmax(1).max(1)
        pictures = pictures_of(tiles, self.options.grid**2)
        return [
            Example(own, self.options.grid, f"true {true}, said {answer}", answer == true, (sure,))
            for own, true, answer, sure in zip(pictures, labels.tolist(), said.tolist(), probability.tolist(), strict=True)
        ]

    def step(self, batch: Batch) -> Step:
        from rotnet_lib.data.colours import some_grey

        options, count = self.options, self.options.grid**2
        images = batch.images
        if options.grey:
            images = some_grey(images, batch.chosen(options.grey))
        places = batch.randint(self.free + 1, count, 2)[:, :, None]
        if self.shift:
            places = places + batch.randint(2 * self.shift + 1, count, images.shape[1], 2)
        return self._score(images, batch.randint(options.permutations), places)

    def evaluate(self, batch: Batch) -> Step:
        return self._score(batch.images, *self._of_test(batch))

    def _of_test(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Permutation (B,) and places of the tiles (see `puzzle`) of test images: any, but always the same, whoever asks."""
        labels = batch.index * 7919 % self.options.permutations
        return labels, torch.full((1, 1, 1, 2), self.free // 2 + self.shift, device=batch.images.device)

    def puzzle(self, images: torch.Tensor, labels: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """The tiles of each image, in the order of a permutation.

        Args:
            images: (B, 3, S, S) uint8.
            labels: (B,) int64 in [0, K).
            places: int64, broadcast to (B, T, 1 or 3, 2): where in the cells tiles begin, from the top and from the left, in
                pixels; one for all colour planes or one for each.

        Returns (B*T, 3, p, p) uint8, the T tiles of an image one after the other.
        """
        from rotnet_lib.pretext.parts.tiles import cut_tiles

        cells = self.module.get_buffer("permutations")[labels]  # (B, T)
        places = places.expand(*cells.shape, -1, -1)
        rows, columns = cells // self.options.grid, cells % self.options.grid
        tops, lefts = (
            self.margin + self.cell * of_cells[:, :, None] + places[..., axis] for axis, of_cells in enumerate((rows, columns))
        )
        if tops.shape[2] == 1:
            tops, lefts = tops[:, :, 0], lefts[:, :, 0]
        return cut_tiles(images, tops, lefts, self.side)

    def _logits(self, tiles: torch.Tensor) -> torch.Tensor:
        from rotnet_lib.pretext.parts.tiles import normalized

        if self.options.normalize != "none":
            tiles = self.module.backbone.normalize.pixels(normalized(tiles, self.options.normalize))
        logits: torch.Tensor = self.module(tiles)
        return logits

    def _score(self, images: torch.Tensor, labels: torch.Tensor, places: torch.Tensor) -> Step:
        logits = self._logits(self.puzzle(images, labels, places))
        loss = torch.nn.functional.cross_entropy(logits, labels)
        return Step(loss, len(labels), {"jigsaw_top1": logits.argmax(1) == labels})


def _network(backbone: Backbone, tiles: int, side: int, options: Jigsaw.Options) -> PartsNetwork:
    """The context-free network. Where things lie in a tile matters, so its layer on a tile reads the whole map."""
    from rotnet_lib.pretext.parts.parts_network import PartsNetwork

    channels, height, width = backbone.shape(backbone.taps[-1], side)
    features, hidden = scaled(_COLUMN, backbone.width), scaled(_HIDDEN, backbone.width)
    column = nn.Sequential(
        nn.Flatten(), nn.Linear(channels * height * width, features), nn.ReLU(inplace=True), nn.Dropout(options.dropout)
    )
    head = nn.Sequential(
        nn.Linear(tiles * features, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(options.dropout),
        nn.Linear(hidden, options.permutations),
    )
    return PartsNetwork(backbone, tiles, column, head)

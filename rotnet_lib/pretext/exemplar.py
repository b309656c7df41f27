"""Exemplar CNN: each of some patches is a class of its own (Dosovitskiy, Springenberg, Riedmiller, Brox, NIPS 2014)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import nn, torch
from rotnet_lib.pretext.examples import Example, pictures_of
from rotnet_lib.pretext.parts.count_or_auto import CountOrAuto
from rotnet_lib.pretext.parts.parts_task import PartsTask, least_side, remedies
from rotnet_lib.pretext.task import TASKS
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.task import Epoch, EpochStart, Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.runs.protocols import Values
    from rotnet_lib.training.image_pass import ImagePass

_SEEDS, _IMAGES = 8000, 6
"""Most seeds where their number is not said (the paper's best for one network), and at least so many images for each."""
_FINE = 1_000_000
"""Steps of a number in [0, 1) that is drawn."""
_SHOWN, _DRAWS, _TEST_DRAWS = 6, 5, 3
"""Seeds on a page, draws of each, and draws of a test image."""
_PUBLISHED: Values = {
    "augment": "none",  # the task's own transformations take its place
    "batch_size": 128,
    "lr": 0.01,
    "lr_milestones": (76 / 110, 86 / 110, 93 / 110, 101 / 110),
    "lr_decay": (0.4, 0.25, 0.4, 0.25),
}
"""Batch and rate of the authors' code, milestones of a re-implementation (docs/protocol.md)."""


@TASKS.register("exemplar")
class Exemplar(PartsTask):
    """Tell which seed a transformed patch is of.

    Seeds are N patches, each of another training image, drawn before the first epoch with a probability that is
    proportional to their mean squared gradient. An epoch has as many draws as there are training images, equally many of each
    seed. A draw is the seed under a new random transformation: moved, magnified, turned, changed in contrast and in
    colour (`parts/exemplar_transformations.py`). The loss is the cross-entropy of the N seeds.

    Metrics: `new_draws_top1`, percent of the seeds that are told after an epoch by a draw which is none of training, one of
    each seed and the same after each epoch; `exemplar_top1`, percent of the training draws that are told while the weights
    change. A test image has no seed. Of two draws of its middle, the test loss is the negative logarithm of the probability
    that they are taken for the same seed, were each answer drawn by its probability.
    """

    metrics: Mapping[str, Metric] = MappingProxyType(
        {
            "new_draws_top1": Metric(tested=False, title="Seed accuracy on new draws"),
            "exemplar_top1": Metric(tested=False, title="Seed accuracy in training"),
        }
    )
    title = "Exemplar CNN"
    paper = "exemplar"
    protocol: ClassVar[Mapping[str, Values]] = {
        # 1.2 million steps of 128, as in the authors' code: of 50 000 and of 1 281 167 images.
        "cifar10": {"epochs": 3077, **_PUBLISHED},
        "imagenet": {"epochs": 120, **_PUBLISHED},  # nothing is published
    }

    class Options(BaseModel):
        """The seeds."""

        model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

        seeds: CountOrAuto = Field("auto", description="N, at least 2; auto: one for every 6 images, at most 8000 (the paper)")
        patch: float = Field(1.0, gt=0, le=1, description="side of a seed as a fraction of the image's")
        stride: int = Field(4, ge=1, description="stride of the first convolution in the pretext task, if the arch's is larger")

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        from rotnet_lib.pretext.parts.parts_network import PartsNetwork

        images = len(data.train)
        self.options = options
        self.data = data
        self.count = _usual_seeds(images) if options.seeds == "auto" else options.seeds
        self.side = round(options.patch * data.image_size)
        self.cut_backbone(backbone, data, options.stride)
        self._check_side(backbone)
        channels, _, _ = backbone.shape(backbone.taps[-1], self.side)
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.module = PartsNetwork(backbone, 1, pool, nn.Linear(channels, self.count))
        chance = 100 / self.count
        self.metrics = {name: replace(metric, chance=chance) for name, metric in self.metrics.items()}
        self.notes = (
            f"{self.count} seeds of {images} training images: patches of {self.side} of {data.image_size} pixels. Judged "
            "on a draw of each seed that training does not see, since a test image has no seed.",
            "The loss of test images is of two draws of an image: 0 where both are surely taken for the same seed.",
        )
        # Which images are seeds, ascending, and the first pixel of their patches. Until they are drawn, they are spread evenly.
        spread = (torch.arange(self.count) + 1) * images // self.count - 1
        self.module.register_buffer("seeds", spread, persistent=False)
        self.module.register_buffer("corners", torch.zeros(self.count, 2, dtype=torch.int64), persistent=False)

    def _check_side(self, backbone: Backbone) -> None:
        """Raises RotnetError if the patches are too small for the backbone."""
        least, size = backbone.min_image_size, self.data.image_size
        if self.side >= least:
            return

        def fits(patch: float = self.options.patch, size: int = size, stride: int = backbone.stem_stride) -> bool:
            return round(patch * size) >= least_side(backbone, stride)

        raise RotnetError(
            f"task_options.patch: {self.options.patch:g} of {size} px are patches of {self.side}, and {backbone.arch} takes "
            f"patches of at least {least} px{self.at_stride(backbone)}. Any one of these works: "
            + remedies(
                ("a patch of {:g} or more", (share / 1000 for share in range(1, 1001)), lambda patch: fits(patch)),
                ("stride {}", range(backbone.stem_stride - 1, 0, -1), lambda stride: fits(stride=stride)),
                ("image_size {}", range(size + 1, 1000 * size), lambda size: fits(size=size)),
            )
            + "."
        )

    def before_epoch(self, epoch: Epoch) -> EpochStart:
        """Draw the seeds before the first epoch; before each, the order of its draws. Collective.

        Raises RotnetError if there are fewer images than seeds, or fewer that have a gradient.
        """
        if epoch.number == 0:
            self._draw_seeds(epoch)
        passes = -(-epoch.entries // self.count)
        order = torch.cat([torch.randperm(self.count, generator=epoch.rng) for _ in range(passes)])
        return EpochStart(self._seeds.cpu()[order[: epoch.entries]])

    @property
    def drawn_images(self) -> torch.Tensor:
        return self._seeds

    def _draw_seeds(self, epoch: Epoch) -> None:
        from rotnet_lib.pretext.parts.seed_patches import draw_seeds, gradient_energy, places

        self._check_seeds(len(epoch.images), "training images", "an image of its own")
        energy, _ = epoch.images.gather(lambda batch: gradient_energy(batch.images, self.side))
        energy = energy.cpu()
        usable = int((energy > 0).any(1).sum())
        if not usable:
            raise RotnetError(
                f"dataset: {self.data.title} has no gradient: each of its {len(energy)} training images is of one colour, "
                "or could not be read. Seeds are drawn by it. Take other images, or another task."
            )
        self._check_seeds(usable, f"training images that have a gradient (of {len(energy)})", "one of these")
        images, which = draw_seeds(energy, self.count, epoch.rng)
        self._seeds.copy_(images)
        self._corners.copy_(torch.tensor(places(self.data.image_size, self.side))[which])

    def _check_seeds(self, images: int, what: str, needed: str) -> None:
        if self.count > images:
            auto = ", or auto" if _usual_seeds(len(self.data.train)) <= images else ""
            take = f"Take at most {images}{auto}." if images > 1 else "Take other images."
            raise RotnetError(f"task_options.seeds: {self.count} seeds of {images} {what}, and each needs {needed}. {take}")

    @property
    def _seeds(self) -> torch.Tensor:
        """(N,) int64, places of their images in the training split, ascending."""
        return self.module.get_buffer("seeds")

    @property
    def _corners(self) -> torch.Tensor:
        """(N, 2) int64, row and column of the first pixel of each seed."""
        return self.module.get_buffer("corners")

    @property
    def _dtype(self) -> torch.dtype:
        """In which patches are transformed: that of the network."""
        return self.module.backbone.normalize.mean.dtype

    def _numbers(self, batch: Batch) -> torch.Tensor:
        """What a transformation of each image is made of: (B, 14) in [0, 1)."""
        from rotnet_lib.pretext.parts.exemplar_transformations import NUMBERS

        return batch.randint(_FINE, NUMBERS).to(self._dtype) / _FINE

    def draw(self, images: torch.Tensor, corners: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """Patches under random transformations.

        Args:
            images: (B, 3, S, S) uint8.
            corners: (B, 2) int64, the first pixel of each patch.
            numbers: (B, 14) float in [0, 1).

        Returns (B, 3, side, side) in [0, 255], of the dtype of `numbers`.
        """
        from rotnet_lib.pretext.parts.exemplar_transformations import Transformations, transformed

        return transformed(images.to(numbers.dtype), corners, self.side, Transformations.of(numbers))

    def _logits_of_seeds(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N), a draw of each image of a batch of seeds; (B,) int64, which seeds they are."""
        classes = torch.searchsorted(self._seeds, batch.index)
        patches = self.draw(batch.images, self._corners[classes], self._numbers(batch))
        return self.module(patches), classes

    def step(self, batch: Batch) -> Step:
        logits, classes = self._logits_of_seeds(batch)
        return Step(nn.functional.cross_entropy(logits, classes), len(batch), {"exemplar_top1": logits.argmax(1) == classes})

    def measure(self, images: ImagePass) -> Mapping[str, float]:
        def right(batch: Batch) -> torch.Tensor:
            logits, classes = self._logits_of_seeds(batch)
            return (logits.argmax(1) == classes)[:, None].float()

        found, present = images.gather(right, self._seeds)
        return {"new_draws_top1": 100 * float(found.sum()) / int(present.sum())}

    def _middle(self, batch: Batch) -> torch.Tensor:
        """The first pixel of the patch in the middle of each image: (B, 2) int64."""
        return torch.full_like(batch.index, (self.data.image_size - self.side) // 2)[:, None].expand(-1, 2)

    def evaluate(self, batch: Batch) -> Step:
        first, second = (
            self.module(self.draw(batch.images, self._middle(batch), self._numbers(batch))).float().log_softmax(1)
            for _ in range(2)
        )
        return Step(-(first + second).logsumexp(1).mean(), len(batch))

    def examples(self, batch: Batch) -> list[Example]:
        """The patch in the middle of each image and some draws of it, with the seed that each is taken for."""
        corners = self._middle(batch)
        draws = [self.draw(batch.images, corners, self._numbers(batch)) for _ in range(_TEST_DRAWS)]
        answers = [self.module(draw).float().softmax(1).max(1) for draw in draws]
        probability, said = (torch.stack(found, 1).cpu().tolist() for found in zip(*answers, strict=True))
        shown = torch.stack([self._untransformed(batch.images, corners), *map(_rounded, draws)], 1).flatten(0, 1)
        return [
            Example(pictures, 1 + _TEST_DRAWS, f"taken for seeds {', '.join(map(str, seeds))}", None, tuple(sure))
            for pictures, seeds, sure in zip(pictures_of(shown, 1 + _TEST_DRAWS), said, probability, strict=True)
        ]

    def charts(self) -> list[Example]:
        """Some seeds, and new draws of each beside it, with the answer and its probability."""
        from rotnet_lib.pretext.parts.exemplar_transformations import NUMBERS

        chosen = torch.linspace(0, self.count - 1, min(_SHOWN, self.count)).round().long()
        corners = self._corners[chosen.to(self._corners.device)]
        images = self.data.train.read(self._seeds.cpu()[chosen].tolist()).to(corners.device)
        numbers = torch.rand(len(chosen) * _DRAWS, NUMBERS, generator=torch.Generator().manual_seed(0))
        numbers = numbers.to(corners.device, self._dtype)
        draws = self.draw(images.repeat_interleave(_DRAWS, 0), corners.repeat_interleave(_DRAWS, 0), numbers)
        with torch.no_grad():
            answers = self.module(draws).float().softmax(1).max(1)
        probability, said = (found.cpu().tolist() for found in answers)
        seeds, drawn = (pictures_of(shown, 1) for shown in (self._untransformed(images, corners), _rounded(draws)))
        found = []
        for row, seed in enumerate(chosen.tolist()):
            found.append(Example(seeds[row], 1, f"seed {seed}", None))
            found += [
                Example(drawn[place], 1, f"said {said[place]}\n({100 * probability[place]:.0f} % sure)", said[place] == seed)
                for place in range(row * _DRAWS, (row + 1) * _DRAWS)
            ]
        return [replace(example, beside=1 + _DRAWS) for example in found]

    def _untransformed(self, images: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
        """The patches as they are: (B, 3, side, side) uint8."""
        from rotnet_lib.pretext.parts.exemplar_transformations import Transformations, transformed

        pixels = images.float()
        return _rounded(transformed(pixels, corners, self.side, Transformations.none(pixels[:, 0, 0])))


def _usual_seeds(images: int) -> int:
    """How many seeds there are of so many images where their number is not said."""
    return max(2, min(_SEEDS, images // _IMAGES))


def _rounded(patches: torch.Tensor) -> torch.Tensor:
    return patches.round().clamp(0, 255).to(torch.uint8)

"""RotNet's pretext task: which of K rotations was applied to an image (Gidaris et al. 2018, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from rotnet_lib.lazy import nn, torch
from rotnet_lib.pretext.examples import Example
from rotnet_lib.pretext.task import TASKS, PretextTask
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.task import Epoch, EpochStart, Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.pretext.parts.pu import Plausibility
    from rotnet_lib.runs.protocols import Values


@TASKS.register("rotation")
class Rotation(PretextTask):
    """Predict the rotation. Metric `rotation_top1`: percent of rotated test copies recognised.

    The loss is the mean over images and their K copies of the cross-entropy: -1/N sum_i 1/K sum_y log F^y(g(X_i|y)).
    Crop and flip are drawn once an image, before its rotation, so the K copies show the same crop (where they share a
    batch: the copies of the other modes are samples of their own).

    Attributes:
        images: how many training images there are.
        weighs: whether the weights of `weigh_copies`, where there are some, count in this epoch.
    """

    metrics: Mapping[str, Metric] = MappingProxyType({"rotation_top1": Metric(title="Rotation accuracy")})
    # Milestones are fractions of the epochs (see `TrainingConfig.lr_milestones`).
    protocol: ClassVar[Mapping[str, Values]] = {
        "cifar10": {"epochs": 100, "lr_milestones": (0.3, 0.6, 0.8)},
        "imagenet": {"augment": "resized-crop", "epochs": 30, "lr_milestones": (1 / 3, 2 / 3), "lr_decay": 0.1},
    }
    weighable = True
    title = "RotNet"
    paper = "rotnet"
    weighs: bool = True

    class Options(BaseModel):
        """Which rotations, and how an image's copies are spread over batches."""

        model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

        angles: tuple[float, ...] = Field((0, 90, 180, 270), description="degrees, counter-clockwise; label k is angles[k]")
        copies: Literal["all", "shuffled", "one", "one-large-batch"] = Field(
            "all",
            description="all: the K copies of an image in one batch; shuffled: the K-fold set of copies in random order; one: "
            "copies drawn at random, one at a time, in batches a Kth the size; one-large-batch: the same in batches as large "
            "as the others'. An epoch has K gradient samples an image in each case",
        )
        crop_for: tuple[float, ...] = Field(
            (), description="crop the copies as if these angles, in degrees, were among the rotations"
        )
        gamma: float = Field(
            2.0, gt=0, description="with pu_weights: weight 1 - p^gamma, p the probability that the copy is upright"
        )
        pu_after: float = Field(
            0.0,
            ge=0,
            lt=1,
            description="with pu_weights: they apply after this fraction of the epochs, at least in the last",
        )

        @field_validator("angles")
        @classmethod
        def _distinct(cls, angles: tuple[float, ...]) -> tuple[float, ...]:
            if len(angles) < 2:
                raise ValueError(f"at least two rotations are needed to tell apart, not {list(angles)}")
            turns = [angle % 360 for angle in angles]
            repeated = [angle for position, angle in enumerate(angles) if angle % 360 in turns[:position]]
            if repeated:
                raise ValueError(f"{repeated[0]:g} degrees occurs twice (modulo 360) in {list(angles)}")
            return angles

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        count = len(options.angles)
        self.options = options
        self.angles = options.angles
        self.images = len(data.train)
        self.copies = 1 if options.copies == "all" else count
        self.batch_copies = count if options.copies in ("shuffled", "one-large-batch") else 1
        self.module = self.make_module(backbone, data)
        self.metrics = {"rotation_top1": Metric(chance=100 / count, leaves_chance=True)}
        self.target_names = [f"{angle:g} degrees" for angle in options.angles]

    def make_module(self, backbone: Backbone, data: Dataset) -> nn.Module:
        """What is trained: images (N, 3, S, S) to logits (N, K)."""
        from rotnet_lib.models.network import Network

        return Network(backbone, len(self.angles), data.image_size)

    def weigh_copies(self, plausibility: Plausibility, run: str, images: Mapping[str, Any]) -> None:
        """Let copies that pass for upright count less: L = 1/(NK) sum w_{i,y} CE (see `PuWeights`)."""
        from rotnet_lib.pretext.parts.pu import PuWeights

        plausibility.check(run, images, self.images, self.angles)
        self.references = (PuWeights(plausibility, self.options.gamma),)

    def before_epoch(self, epoch: Epoch) -> EpochStart:
        self.weighs = epoch.number >= min(round(self.options.pu_after * epoch.epochs), epoch.epochs - 1)
        return EpochStart()

    def step(self, batch: Batch) -> Step:
        if self.options.copies == "all":
            images, labels = self._all_copies(batch)
        else:
            labels = batch.copies
            if self.options.copies != "shuffled":
                labels = batch.randint(len(self.angles))
            from rotnet_lib.pretext.parts.rotate import rotate_each

            images = rotate_each(batch.images, self.angles, labels, self.options.crop_for)
        return self.score(images, labels, batch)

    def evaluate(self, batch: Batch) -> Step:
        """All K copies of every image, however training spreads them; every copy weighs the same."""
        images, labels = self._all_copies(batch)
        logits = self.module(images)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        places = torch.arange(len(batch), device=labels.device).repeat(len(self.angles))
        correct = {"rotation_top1": logits.argmax(1) == labels}
        return Step(loss, len(labels), correct, labels, places=places, scores={"rotation_top1": logits})

    def score(self, images: torch.Tensor, labels: torch.Tensor, batch: Batch) -> Step:
        """Loss and metrics of a training batch's copies, (n, 3, S', S') with labels (n,) int64 in [0, K)."""
        return self.rotation_step(self.module(images), labels, batch)

    def rotation_step(self, logits: torch.Tensor, labels: torch.Tensor, batch: Batch) -> Step:
        """The cross-entropy of logits (n, K), weighted where copies are weighed.

        The n copies stand as `step` makes them: one or more times all images of the batch.
        """
        losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        if self.references and self.weighs:
            (weights,) = self.references
            losses = losses * weights(batch.index.repeat(len(labels) // len(batch)), labels)
        return Step(losses.mean(), len(labels), {"rotation_top1": logits.argmax(1) == labels}, labels)

    def examples(self, batch: Batch) -> list[Example]:
        """The K copies of each image, one after the other, as the network saw them: an example each."""
        images, labels = self._all_copies(batch)
        probability, said = (found.tolist() for found in self.module(images).float().softmax(1).max(1))
        copies, true = images.permute(0, 2, 3, 1).cpu().numpy(), labels.tolist()
        angles = [f"{angle:g}°" for angle in self.angles]
        return [
            Example(
                [copies[number]],
                1,
                f"true {angles[true[number]]}\nsaid {angles[said[number]]}",
                said[number] == true[number],
                (probability[number],),
                beside=len(angles),
            )
            for place in range(len(batch))
            for number in range(place, len(copies), len(batch))  # copies stand one rotation after the other
        ]

    def _all_copies(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        from rotnet_lib.pretext.parts.rotate import rotate_all

        labels = torch.arange(len(self.angles), device=batch.images.device).repeat_interleave(len(batch))
        return rotate_all(batch.images, self.angles, self.options.crop_for), labels

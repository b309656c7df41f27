"""What tasks have in common in which a generator makes pictures and a discriminator tells them from images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import torch
from rotnet_lib.pretext.examples import Example
from rotnet_lib.pretext.parts.reestimated import check_two_images, reestimate
from rotnet_lib.pretext.task import PretextTask
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.task import Epoch, EpochStart

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.pretext.parts.gan_network import GanNetwork
    from rotnet_lib.training.image_pass import ImagePass

_HALVINGS = 8
"""Of which the side of generated pictures is a multiple."""


class GanOptions(BaseModel):
    """The latents."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    latent: int = Field(256, ge=1, le=65_536, description="numbers of a latent, each uniform in (-1, 1)")


class GanTask(PretextTask):
    """A discriminator and a generator, trained against each other, each by an Adam of its own.

    Metrics: `real_score` and `fake_score`, the mean probability that the discriminator gives images and pictures of being real,
    in training: both at 0.5 where it cannot tell; 1 and 0 where it always can, and the generator learns little.
    `distinct_samples`, percent of pictures of random latents that no other one of the batch repeats (`parts/distinct.py`): near
    0 where the generator has collapsed.

    Pages show what is made of the same latents in the course of training.
    """

    metrics: Mapping[str, Metric] = MappingProxyType(
        {
            "distinct_samples": Metric(title="Distinct samples"),
            "real_score": Metric("", chance=0.5, tested=False, title="Score of images"),
            "fake_score": Metric("", chance=0.5, tested=False, title="Score of generated pictures"),
        }
    )

    module: GanNetwork
    latent: int
    """Numbers of a latent."""

    @abstractmethod
    def made(self, latents: torch.Tensor) -> torch.Tensor:
        """The generator's pictures of latents, (n, 3, S, S) float in [0, 255]."""

    def check_sizes(self, data: Dataset, side: int, least: int = _HALVINGS) -> None:
        """Check the data, and the side of the pictures that are made: `least` pixels or more.

        Raises RotnetError for a side that no generator has, and for a set of one image.
        """
        if side % _HALVINGS or side < least:
            nearest = max(least, round(side / _HALVINGS) * _HALVINGS)
            raise RotnetError(
                f"image_size: a generator doubles a small map to pictures of a side that is a multiple of {_HALVINGS}, {least} "
                f"or more, and {side} pixels are none. The nearest is {nearest}."
            )
        check_two_images(data)

    def made_now(self) -> dict[str, torch.Tensor]:
        """What a row shows -> eight pictures (8, 3, S, S) uint8 of inputs that stay the same."""
        from rotnet_lib.pretext.parts.latents import fixed_latents
        from rotnet_lib.pretext.parts.picture_rows import TOGETHER, spread, whole

        latents = fixed_latents(TOGETHER, self.latent).to(self.module.backbone.normalize.mean.device)
        return {"samples": whole(spread(self.made(latents)))}

    def distinct_in(self, batch: Batch, made: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Which pictures of a training step are distinct (see `distinct`), of those of all processes: (B,) float. Collective.

        Args:
            batch: this process's.
            made, images: (n, 3, S, S), the pictures and images of its entries.
        """
        from rotnet_lib.pretext.parts.distinct import distinct
        from rotnet_lib.training.collectives import all_gather_rows

        everyone = (all_gather_rows(batch, p.detach().float().flatten(1), batch.index)[0] for p in (made, images))
        return distinct(*everyone).float()

    def before_epoch(self, epoch: Epoch) -> EpochStart:
        mode = self.module.training
        self.module.eval()
        with torch.no_grad():
            for name, pictures in self.made_now().items():
                self.module.rows_of(name).keep(epoch, pictures)
        self.module.train(mode)
        return EpochStart()

    def charts(self) -> list[Example]:
        """What was made of the same inputs in the course of training, a row for each of some epochs."""
        return [chart for name, now in self.made_now().items() for chart in self.module.rows_of(name).charts(name, now)]

    def finish(self, images: ImagePass) -> None:
        reestimate(self.module.backbone, images)

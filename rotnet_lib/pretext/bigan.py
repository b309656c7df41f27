"""BiGAN: an encoder that learns to invert a generator (Donahue, Krähenbühl, Darrell, ICLR 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from rotnet_lib.lazy import torch
from rotnet_lib.pretext.examples import Example, pictures_of
from rotnet_lib.pretext.parts.gan_task import GanOptions, GanTask
from rotnet_lib.pretext.task import TASKS
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.task import Epoch, EpochStart, Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.pretext.parts.bigan_network import BiganNetwork
    from rotnet_lib.runs.config import TrainingConfig
    from rotnet_lib.runs.protocols import Values

_PUBLISHED: Values = {
    "augment": "random-crop",
    "batch_size": 128,
    "epochs": 100,
    "lr": 2e-4,
    "lr_milestones": tuple(epoch / 100 for epoch in range(50, 100)),
    "lr_decay": 0.01 ** (1 / 50),
    "momentum": 0.5,
    "weight_decay": 2.5e-5,
}
"""The authors' code: 50 epochs at a constant rate, 50 in which it falls to a hundredth, by the same factor each."""

_LEAST = 16
"""Pixels of a side, of which the discriminator makes maps in two steps: the first sees no latent."""


@TASKS.register("bigan")
class Bigan(GanTask):
    """Tell images with their codes from a generator's pictures with their latents.

    The backbone is the encoder E: a linear layer on its last map, and a sigmoid scaled to (-1, 1), make an image's code. The
    discriminator D sees pairs (x, E(x)) and (G(z), z). The loss is D's, half of -log D(x, E(x)) - log(1 - D(G(z), z)), and that
    of E and G, the same with the answers exchanged; each player's gradient is that of its own loss alone. E and G deceive D
    best where they invert each other, though no picture is ever compared with an image.

    D and G see images of at most `side` pixels; E sees them as they are.

    Metrics: those of `GanTask`, and `reconstruction_error`, the squared error of G(E(x)) in standard deviations of the training
    images' pixels; about 1 for the mean colour, 2 for another image.
    """

    metrics: Mapping[str, Metric] = MappingProxyType(
        {
            **GanTask.metrics,
            "reconstruction_error": Metric("", "lower", chance=1.0, title="Relative error of reconstructions"),
        }
    )
    title = "BiGAN"
    paper = "bigan"
    module: BiganNetwork
    protocol: ClassVar[Mapping[str, Values]] = {
        "imagenet": _PUBLISHED,
        "cifar10": _PUBLISHED,  # none is published for small images
    }

    class Options(GanOptions):
        """The latents, and what generator and discriminator see."""

        latent: int = Field(200, ge=1, le=65_536, description=GanOptions.model_fields["latent"].description)
        side: int = Field(
            64,
            ge=_LEAST,
            le=256,
            multiple_of=8,
            description="side in pixels of what generator and discriminator see, at most: they get larger images shrunk to it",
        )

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        from rotnet_lib.pretext.parts.bigan_network import BiganNetwork

        side = min(data.image_size, options.side)
        self.check_sizes(data, side, _LEAST)
        self.latent = options.latent
        backbone.cut_after_convolutions()
        self.module = BiganNetwork(backbone, options.latent, data.image_size, side)

    def optimizers(self, config: TrainingConfig) -> Sequence[torch.optim.Optimizer]:
        """An Adam of the discriminator, and one of encoder and generator. Biases, and batch norm's gains, do not decay."""
        from rotnet_lib.training.optimizers import adam, without

        def of(player: list[torch.nn.Parameter]) -> torch.optim.Adam:
            groups: list[dict[str, Any]] = [{"params": [p for p in player if p.dim() > 1]}]
            return adam([*groups, {"params": [p for p in player if p.dim() == 1], "weight_decay": 0.0}], config)

        return of(list(self.module.discriminator.parameters())), of(without(self.module, self.module.discriminator))

    def made(self, latents: torch.Tensor) -> torch.Tensor:
        return (self.module.generator(latents.to(self.module.code.weight.dtype)) + 1) * 127.5

    def made_now(self) -> dict[str, torch.Tensor]:
        from rotnet_lib.pretext.parts.picture_rows import spread, whole

        return super().made_now() | {"reconstructions": spread(whole(self.made(self.module.encoded(self.module.shown))))}

    def before_epoch(self, epoch: Epoch) -> EpochStart:
        if epoch.number == 0:
            count = len(self.module.shown)
            images = epoch.images.spread(count)
            self.module.shown.copy_(images[torch.arange(count, device=images.device) * len(images) // count])
        return super().before_epoch(epoch)

    def charts(self) -> list[Example]:
        """As those of `GanTask`; reconstructions below the images that they are of."""
        from rotnet_lib.pretext.parts.picture_rows import ACROSS, spread, whole

        charts = super().charts()
        images = whole((self.module.small(spread(self.module.shown)) + 1) * 127.5)
        place = next(number for number, chart in enumerate(charts) if chart.caption.startswith("reconstructions"))
        [pictures] = pictures_of(images, ACROSS)
        return [*charts[:place], Example(pictures, ACROSS, "images to be reconstructed", None), *charts[place:]]

    def step(self, batch: Batch) -> Step:
        return self._score(batch, self.distinct_in)

    def evaluate(self, batch: Batch) -> Step:
        from rotnet_lib.pretext.parts.distinct import distinct

        score = self._score(batch, lambda _, made, images: distinct(made, images).float())
        values = {name: value for name, value in score.values.items() if self.metrics[name].tested}
        return Step(score.loss, score.inputs, values)

    def _score(self, batch: Batch, distinct: Callable[[Batch, torch.Tensor, torch.Tensor], torch.Tensor]) -> Step:
        from rotnet_lib.pretext.parts.latents import drawn_latents

        images, codes = self.module.small(batch.images), self.module.encoded(batch.images)
        latents = drawn_latents(batch, self.latent).to(images.dtype)
        made = self.module.generator(latents)
        tells, passes, real, fake = self.module.losses(images, codes, made, latents)
        values = {
            "real_score": real.float().sigmoid(),
            "fake_score": fake.float().sigmoid(),
            "distinct_samples": distinct(batch, made, images),
            "reconstruction_error": self._error(images, codes),
        }
        terms = {"loss_discriminator": tells, "loss_encoder_generator": passes}
        return Step(tells + passes, len(batch), values, terms=terms)

    def _error(self, images: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """The squared error of each image's reconstruction in standard deviations of the training images' pixels, (B,)."""
        with torch.no_grad():
            made = self.module.generator(codes).float()
        return (127.5 * (made - images) / self.module.backbone.normalize.std).square().mean((1, 2, 3))

    def examples(self, batch: Batch) -> list[Example]:
        """Each image and what the generator makes of its code."""
        from rotnet_lib.pretext.parts.picture_rows import whole

        images, codes = self.module.small(batch.images), self.module.encoded(batch.images)
        shown = torch.stack([whole((images + 1) * 127.5), whole(self.made(codes))], 1).flatten(0, 1)
        return [
            Example(pictures, 2, f"image, reconstruction: error {error:.2f}", None)
            for pictures, error in zip(pictures_of(shown, 2), self._error(images, codes).tolist(), strict=True)
        ]

"""DCGAN: tell images from a generator's pictures (Radford, Metz, Chintala 2015)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from rotnet_lib.lazy import torch
from rotnet_lib.models.inputs import RGB_TANH
from rotnet_lib.pretext.examples import Example, pictures_of
from rotnet_lib.pretext.parts.gan_task import GanOptions, GanTask
from rotnet_lib.pretext.task import TASKS
from rotnet_lib.training.task import Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.pretext.parts.dcgan_network import DcganNetwork
    from rotnet_lib.runs.config import TrainingConfig
    from rotnet_lib.runs.protocols import Values


@TASKS.register("dcgan")
class Dcgan(GanTask):
    """Tell images from the pictures that a generator makes of random latents, which learns to deceive.

    The backbone is the discriminator D, without its last unit; the generator G mirrors it. The loss is D's, -log D(x) -
    log(1 - D(G(z))), and G's, -log D(G(z)): each player's gradient is that of its own loss alone. What others read is D.

    Metrics: those of `GanTask`. The test loss is -log D(x) of test images, in nats: log 2 for a D that cannot tell; more
    for new images than for those of training where D knows the latter by heart.
    """

    title = "DCGAN"
    paper = "dcgan"
    inputs: ClassVar[str] = RGB_TANH
    archs: ClassVar[tuple[str, ...]] = ("dcgan",)
    module: DcganNetwork
    protocol: ClassVar[Mapping[str, Values]] = {
        # Adam at 2e-4, beta_1 0.5, batches of 128 (the paper); decay of the authors' released script. Length: RotNet's, since
        # the authors' 30 epochs are of ImageNet. No crop of padded images: pictures would have its black border.
        "cifar10": {
            "augment": "random-crop",
            "batch_size": 128,
            "epochs": 100,
            "lr": 2e-4,
            "lr_milestones": (),
            "momentum": 0.5,
            "weight_decay": 1e-5,
        }
    }

    class Options(GanOptions):
        """The latents."""

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        from rotnet_lib.pretext.parts.dcgan_network import DcganNetwork

        side = data.image_size
        self.check_sizes(data, side)
        self.latent = options.latent
        self.module = DcganNetwork(backbone, options.latent, side)

    def optimizers(self, config: TrainingConfig) -> Sequence[torch.optim.Optimizer]:
        from rotnet_lib.training.optimizers import adam

        generator = self.module.generator
        discriminator = [*self.module.backbone.parameters(), *self.module.unit.parameters()]
        return adam(discriminator, config), adam(generator.parameters(), config)

    def made(self, latents: torch.Tensor) -> torch.Tensor:
        return self.module.made(latents)

    def step(self, batch: Batch) -> Step:
        from rotnet_lib.pretext.parts.latents import drawn_latents

        made = self.made(drawn_latents(batch, self.latent))
        tells, passes, real, fake = self.module.losses(batch.images, made)
        values = {
            "real_score": real.float().sigmoid(),
            "fake_score": fake.float().sigmoid(),
            "distinct_samples": self.distinct_in(batch, made, batch.images),
        }
        return Step(tells + passes, len(batch), values, terms={"loss_discriminator": tells, "loss_generator": passes})

    def evaluate(self, batch: Batch) -> Step:
        from rotnet_lib.pretext.parts.adversaries import generator_loss
        from rotnet_lib.pretext.parts.distinct import distinct
        from rotnet_lib.pretext.parts.latents import drawn_latents

        made = self.made(drawn_latents(batch, self.latent))
        return Step(
            generator_loss(self.module(batch.images)),
            len(batch),
            {"distinct_samples": distinct(made, batch.images).float()},
        )

    def examples(self, batch: Batch) -> list[Example]:
        """Each image, with the probability that the discriminator gives it of being one."""
        scores = self.module(batch.images).float().sigmoid()
        return [
            Example(pictures, 1, f"score {score:.2f}", None)
            for pictures, score in zip(pictures_of(batch.images, 1), scores.tolist(), strict=True)
        ]

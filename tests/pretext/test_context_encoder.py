"""Context encoders: the holes, the loss, the sanity figures, what pages show, bad input."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from rotnet_lib.data.loader import Batch, ordered_batches
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.pretext.context_encoder import ContextEncoder
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.suites.resolve import configure
from rotnet_lib.training.optimizers import set_rate, trained
from tests.presets_of import archs_with_presets
from tests.pretext.made import batch_of, made_data, made_task, random_data, read_by, shown_in_tests
from tests.training.weights import killed, same_weights, weights


class Answer(nn.Module):
    """A network that answers with a picture that it was told, whatever it is shown."""

    def __init__(self, network: Any, normal: torch.Tensor) -> None:
        super().__init__()
        self.backbone, self.masks, self.critic = network.backbone, network.masks, network.critic
        self.normal = nn.Parameter(normal)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.normal


def answering(normal: torch.Tensor, images: torch.Tensor) -> tuple[Any, Batch]:
    """A task whose network answers with that normalised picture, and its images as a batch in their order."""
    task = made_task("context-encoder", made_data(images))
    task.module = Answer(task.module, normal)
    return task, next(ordered_batches(made_data(images).test, len(images)))


def noise(side: int, count: int) -> torch.Tensor:
    return random_data(side, count).test.images


def normalised(task: Any, batch: Batch) -> torch.Tensor:
    found: torch.Tensor = task.module.backbone.normalize(batch.images)
    return found


# --- The loss ---


def test_a_right_answer_within_the_holes_costs_nothing_whatever_is_around_them() -> None:
    images = noise(32, 6)
    task, batch = answering(torch.zeros(6, 3, 32, 32), images)
    masks = task.module.masks.of_test(batch.index)
    task.module.normal.data = torch.where(masks, normalised(task, batch), torch.full((), 7.0))
    step = task.evaluate(batch)
    assert step.loss == 0
    assert step.values["hole_psnr"].tolist() == pytest.approx([10 * math.log10(255**2 * 12)] * 6)  # the most that is said
    task.module.normal.data = torch.where(masks, torch.full((), 7.0), normalised(task, batch))
    assert task.evaluate(batch).loss > 1


def test_the_mean_colour_has_an_error_of_one() -> None:
    """Of noise with the mean and the deviation that images are normalised by."""
    task, batch = answering(torch.zeros(200, 3, 32, 32), noise(32, 200))
    step = task.evaluate(batch)
    assert step.loss.item() == pytest.approx(1, abs=0.02)
    assert task.metrics["hole_error"].chance == 1


@pytest.mark.parametrize(("arch", "side"), [("nin3", 32), ("alexnet", 64)])
def test_training_begins_at_the_mean_colour(arch: str, side: int) -> None:
    data = random_data(side, 16)
    task = made_task("context-encoder", data, arch)
    task.module.train()
    assert task.step(batch_of(data, 16)).loss.item() == pytest.approx(1, abs=0.1)


def test_the_signal_to_noise_ratio_is_of_pixels() -> None:
    """An error of 51 pixel values, a fifth of the range, is 20 log10(5) dB."""
    task, batch = answering(torch.zeros(2, 3, 32, 32), torch.full((2, 32, 32, 3), 204, dtype=torch.uint8))
    task.module.normal.data = normalised(task, batch) + (51 / task.module.backbone.normalize.std)
    assert task.evaluate(batch).values["hole_psnr"].tolist() == pytest.approx([20 * math.log10(5)] * 2)


def test_each_image_counts_the_same_however_large_its_hole_is() -> None:
    task, batch = answering(torch.zeros(50, 3, 32, 32), noise(32, 50))
    with torch.no_grad():
        task.module.normal.copy_(normalised(task, batch) + torch.arange(50)[:, None, None, None] / 10)
    step = task.evaluate(batch)
    assert step.values["hole_error"].tolist() == pytest.approx([(number / 10) ** 2 for number in range(50)], abs=1e-4)
    assert step.loss.item() == pytest.approx(step.values["hole_error"].mean().item())
    step.loss.backward()
    gradient = task.module.normal.grad
    assert gradient is not None
    assert ((gradient[1:] != 0) == task.module.masks.of_test(batch.index)[1:]).all()  # none around the holes


# --- What the network sees ---


def test_the_network_sees_the_mean_colour_in_the_holes_and_the_image_around_them() -> None:
    data = random_data(32, 40)
    task = made_task("context-encoder", data)
    batch = batch_of(data, 40)
    seen = read_by(task.module, task, batch)
    masks = (seen == torch.tensor(data.mean).view(1, 3, 1, 1)).all(1, keepdim=True)
    assert masks.float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert torch.equal(seen[~masks.expand_as(seen)], batch.images.float()[~masks.expand_as(seen)])
    assert (task.module.backbone.normalize(seen)[masks.expand_as(seen)] == 0).all()


def test_a_test_image_has_one_mask_whatever_the_batches_are() -> None:
    data = random_data(24, 70)
    task = made_task("context-encoder", data)
    assert torch.equal(shown_in_tests(task, data, 70), shown_in_tests(task, data, 6))


@pytest.mark.parametrize(("arch", "side"), [("nin3", 24), ("nin3", 32), ("alexnet", 64), ("alexnet", 97), ("alexnet", 224)])
def test_pictures_are_as_large_as_images(arch: str, side: int) -> None:
    data = random_data(side, 2)
    task = made_task("context-encoder", data, arch)
    assert task.module(data.test.images.permute(0, 3, 1, 2)).shape == (2, 3, side, side)
    probed = make_backbone(arch, width=0.05, mean=data.mean, std=data.std)
    assert task.module.backbone.stem_stride == probed.stem_stride


def test_at_224_pixels_the_decoder_is_the_papers() -> None:
    task = made_task("context-encoder", random_data(224, 2), "alexnet")
    sides = []
    for layer in task.module.decoder:
        if isinstance(layer, nn.ConvTranspose2d):
            layer.register_forward_hook(lambda *passed: sides.append(passed[-1].shape[-1]))
    task.evaluate(batch_of(random_data(224, 2), 2))
    assert sides == [11, 21, 41, 81, 161]


def test_an_example_is_seen_true_and_filled() -> None:
    data = random_data(32, 6)
    task = made_task("context-encoder", data)
    task.module.eval()
    batch = next(ordered_batches(data.test, 6))
    with torch.no_grad():
        examples, step = task.examples(batch), task.evaluate(batch)
    masks = task.module.masks.of_test(batch.index)[:, 0].numpy()
    for number, example in enumerate(examples):
        seen, true, filled = example.pictures
        image, mask = data.test.images[number].numpy(), masks[number]
        assert (true == image).all()
        assert (seen[~mask] == image[~mask]).all()
        assert (filled[~mask] == image[~mask]).all()
        assert (seen[mask] == 128).all()
        assert (filled[mask] != image[mask]).any()
        assert example.columns == 3
        assert example.right is None
        error, ratio = (step.values[name][number].item() for name in ("hole_error", "hole_psnr"))
        assert example.caption == f"seen, true, filled: {mask.mean():.0%} removed, error {error:.2f}, {ratio:.1f} dB"


# --- Training ---


def test_it_is_trained_by_adam_at_one_rate(tiny: dict[str, Any]) -> None:
    config = PretrainConfig.build(tiny | {"task": "context-encoder", "arch": "nin3"})
    (optimizer,) = made_task("context-encoder", random_data(24)).optimizers(config)
    assert isinstance(optimizer, torch.optim.Adam)
    assert optimizer.defaults["weight_decay"] == 0
    published = PretrainConfig.build({"task": "context-encoder", "arch": "alexnet"})
    assert (published.lr, published.lr_milestones) == (1e-4, ())
    assert published.epochs * 1_281_167 / published.batch_size == pytest.approx(100_000, rel=0.01)


@pytest.mark.parametrize(("arch", "preset"), archs_with_presets("nin4", "alexnet"))
def test_no_preset_has_a_rate_for_sgd(arch: str, preset: str) -> None:
    config = configure("pretrain", {"task": "context-encoder", "arch": arch, "dataset": "shapes"}, preset)
    assert isinstance(config, TrainingConfig)
    assert config.lr <= 0.005


# --- The adversary ---


def test_an_adversary_is_weighed_and_sees_the_holes_alone() -> None:
    data = random_data(32, 8)
    task = made_task("context-encoder", data, adversary=0.25, dropout=0.0)
    seen: list[torch.Tensor] = []
    task.module.critic.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    batch = next(ordered_batches(data.test, 8))
    step = task.evaluate(batch)
    masks = task.module.masks.of_test(batch.index)
    filled, real, again = seen
    assert torch.equal(filled, again)
    assert torch.equal(real, torch.where(masks, normalised(task, batch), torch.zeros(())))
    assert ((filled != 0) <= masks).all()
    step = task.step(batch_of(data))
    hole, adversary, critic = (step.terms[f"loss_{name}"].item() for name in ("hole", "adversary", "critic"))
    assert step.loss.item() == pytest.approx(0.75 * hole + 0.25 * adversary + critic)
    assert hole == pytest.approx(step.values["hole_error"].mean().item())


def test_the_adversary_has_an_optimiser_of_its_own(tiny: dict[str, Any]) -> None:
    config = PretrainConfig.build(tiny | {"task": "context-encoder", "arch": "nin3", "lr": 0.01})
    task = made_task("context-encoder", random_data(24), adversary=0.001)
    network, critic = task.optimizers(config)
    set_rate([network, critic], 0.02)
    assert [group["lr"] for optimizer in (network, critic) for group in optimizer.param_groups] == [0.02, pytest.approx(0.002)]
    assert critic.defaults["betas"] == (0.5, 0.999)
    assert {id(p) for p in trained(critic)} == {id(p) for p in task.module.critic.parameters()}
    assert len(trained(network)) + len(trained(critic)) == len(list(task.module.parameters()))


def test_a_run_with_an_adversary_goes_on_to_the_last_bit(tiny: dict[str, Any]) -> None:
    """It dies in its second epoch of five steps. Weights, the adversary's statistics and both optimisers are resumed."""
    parameters = tiny | {"task": "context-encoder", "arch": "nin3", "batch_size": 4, "task_options": {"adversary": 0.1}}
    whole = pretrain(PretrainConfig.build(parameters | {"epochs": 3}))
    whole.save()
    interrupted = PretrainConfig.build(parameters | {"epochs": 3, "runs": "others"})
    with killed(ContextEncoder, call=8):
        pretrain(interrupted)
    resumed = pretrain(interrupted)
    resumed.save()
    assert any(name.startswith("critic.") for name in weights(whole.directory))
    assert same_weights(whole.directory, resumed.directory)
    timing = ["seconds", "inputs_per_second"]
    assert whole.history.drop(columns=timing).equals(resumed.history.drop(columns=timing))
    assert {"train_loss_hole", "train_loss_adversary", "train_loss_critic"} <= set(whole.history.columns)


# --- Bad input ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"removed": 0.9},
            r"task_options\.removed: 0\.9 .* masks of up to 1\.08 of the image .* larger than it\. Take at most 0\.8",
        ),
        (
            {"removed": 0.82},
            r"task_options\.removed: .* masks of up to 0\.984 of the image would be all but as large\. Take at most",
        ),
        (
            {"region": 1.5},
            r"task_options\.region: regions of 1\.5 of the image's side would be larger than the image\. Take at most 1",
        ),
        ({"removed": 0}, r"task_options\.removed: .*greater than 0"),
    ],
)
def test_masks_larger_than_the_image_are_refused_when_a_run_is_planned(options: dict[str, float], message: str) -> None:
    with pytest.raises(RotnetError, match=message):
        configure(
            "pretrain", {"task": "context-encoder", "arch": "alexnet", "dataset": "shapes", "task_options": options}, "quick"
        )
    made_task("context-encoder", random_data(24), removed=0.8, region=1.0)  # the remedies


@pytest.mark.parametrize("side", [24, 32, 63])
def test_regions_smaller_than_a_pixel_are_refused_with_what_works(side: int) -> None:
    with pytest.raises(RotnetError, match=rf"task_options\.region: 0\.01 of {side} px is less than a pixel") as error:
        made_task("context-encoder", random_data(side), region=0.01)
    least = float(str(error.value).partition("Take at least ")[2].partition(",")[0])
    made_task("context-encoder", random_data(side), region=least)


def test_images_that_are_too_small_for_the_network_are_refused() -> None:
    with pytest.raises(RotnetError, match=r"alexnet takes images of at least 31x31 pixels, not 24x24: raise image_size"):
        made_task("context-encoder", random_data(24), "alexnet")

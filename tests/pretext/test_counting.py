"""Counting: the parts, the loss, the sanity figures, the defences, bad input."""

import math
import re
from typing import Any

import pytest
import torch
from torch import nn

from rotnet_lib.data.loader import Batch, ordered_batches
from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext.counting import Counting
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.suites.resolve import configure
from rotnet_lib.training.task import Step
from tests.presets_of import archs_with_presets
from tests.pretext.made import batch_of, made_data, made_task, random_data, shown_in_tests


class Marks(nn.Module):
    """A network that counts marks: bright pixels whose neighbours to the left and above are dark."""

    def forward(self, parts: torch.Tensor) -> torch.Tensor:
        bright = (parts[:, 0] > 127).float()
        beside = nn.functional.pad(bright, (1, 0, 1, 0))
        corners = bright * (1 - beside[:, 1:, :-1]) * (1 - beside[:, :-1, 1:])
        return corners.sum((1, 2)).view(-1, 5, 1)


def marked(counts: list[int], side: int = 64) -> torch.Tensor:
    """Black images with so many white squares of 2 x 2, none near another or a border, also not of a tile."""
    images = torch.zeros(len(counts), side, side, 3, dtype=torch.uint8)
    half = side // 2
    places = [(row, column) for row in range(4, side - 4, 6) for column in range(4, side - 4, 6)]
    free = [place for place in places if all(abs(at - half) > 4 for at in place)]
    for image, count in zip(images, counts, strict=True):
        for row, column in free[:: max(1, len(free) // max(1, count))][:count]:
            image[row : row + 2, column : column + 2] = 255
    return images


def replaced(network: nn.Module, images: torch.Tensor, **options: Any) -> tuple[Counting, Batch]:
    """The task with another network in place of its own, and all of its images as a batch in their order."""
    data = made_data(images)
    counting = made_task("counting", data, counts=1, grey=0.0, **options)
    network.backbone = counting.module.backbone
    for name, buffer in counting.module.named_buffers(recurse=False):
        network.register_buffer(name, buffer)
    counting.module = network
    return counting, next(ordered_batches(data.test, len(images)))


def terms(step: Step) -> tuple[float, float]:
    return step.terms["loss_pair"].item(), step.terms["loss_contrast"].item()


# --- The loss ---


@pytest.mark.parametrize("resizer", ["area", "linear"])
def test_an_exact_counter_has_no_error(resizer: str) -> None:
    """Squares become single pixels when an image is halved, and tiles keep them whole."""
    counting, batch = replaced(Marks(), marked([17, 3, 0, 9]), resizer=resizer)
    counts = counting.module(counting.parts(batch.images, torch.zeros(4, dtype=torch.int64)))
    assert counts[:, 0, 0].tolist() == [17, 3, 0, 9]
    assert counts[:, 1:, 0].sum(1).tolist() == [17, 3, 0, 9]
    step = counting.step(batch)
    assert terms(step) == (0, 0)
    assert step.values["count_error"].tolist() == [0, 0, 1, 0]  # of the one that has no marks nothing can be said
    assert step.values["counting_top1"].all()


@pytest.mark.parametrize(("apart", "contrast"), [(0, 10), (1, 9), (2, 6), (3, 1), (4, 0)])
def test_counts_of_another_image_must_differ_up_to_the_margin(apart: int, contrast: float) -> None:
    counting, batch = replaced(Marks(), marked([5, 5 + apart]), resizer="area")
    assert terms(counting.step(batch)) == (0, contrast)


def test_a_network_that_counts_nothing_has_the_margin_as_its_loss() -> None:
    data = random_data(32)
    counting = made_task("counting", data, margin=7.0)
    for parameter in counting.module.column[-2].parameters():
        nn.init.zeros_(parameter)
    step = counting.step(batch_of(data))
    assert step.loss.item() == 7
    assert not step.values["active_counts"].any()
    assert not step.values["counting_top1"].any()
    assert (step.values["count_error"] == 1).all()


class Fixed(nn.Module):
    """A network that counts what it was told: (B, 5, K), the shrunk image's first."""

    def __init__(self, counts: list[list[list[float]]]) -> None:
        super().__init__()
        self.counts = nn.Parameter(torch.tensor(counts))

    def forward(self, parts: torch.Tensor) -> torch.Tensor:
        return self.counts + 0 * parts.float().mean()


def test_the_loss_and_its_gradient_are_the_formulas() -> None:
    """phi(D x) = (3, 1), c(x) = (4, 0), phi(D y) = (1, 1), c(y) = (2, 2): squared distances 2 and 2, of the other 10 and 2."""
    network = Fixed([[[3.0, 1.0], *[[1.0, 0.0]] * 4], [[1.0, 1.0], *[[0.5, 0.5]] * 4]])
    counting, batch = replaced(network, torch.zeros(2, 16, 16, 3, dtype=torch.uint8), margin=7.0)
    step = counting.step(batch)
    assert terms(step) == ((2 + 2) / 2, (0 + 7 - 2) / 2)
    assert step.loss.item() == 4.5
    assert step.values["counting_top1"].tolist() == [True, False]
    assert step.values["count_error"].tolist() == pytest.approx([2 / (10 + 16), 2 / (2 + 8)])
    assert step.values["active_counts"].tolist() == pytest.approx([0.6, 1])
    step.loss.backward()
    # d/d phi(D x): its own term 2 (-1, 1), and of y's tiles the hinge -2 (1, -1), half of the sum each.
    assert network.counts.grad is not None
    assert network.counts.grad[0, 0].tolist() == [-1 - 1, 1 + 1]
    assert network.counts.grad[1, 0].tolist() == [-1, -1]  # the other's hinge is 0


def test_the_sum_of_pixels_is_no_count() -> None:
    """It is four times as large over the tiles as in the shrunk image."""

    class Sum(Marks):
        def forward(self, parts: torch.Tensor) -> torch.Tensor:
            return parts.float().mean((1, 2, 3)).view(-1, 5, 1)

    counting, batch = replaced(Sum(), torch.full((2, 16, 16, 3), 2, dtype=torch.uint8), resizer="area")
    assert terms(counting.step(batch))[0] == (8 - 2) ** 2


def test_an_image_alone_is_not_told_from_another() -> None:
    """It has no contrast, and counts neither as right nor as wrong."""
    counting, _ = replaced(Marks(), marked([5, 5]), resizer="area")
    step = counting.evaluate(next(ordered_batches(made_data(marked([5])).test, 1)))
    assert step.loss == 0
    assert len(step.values["counting_top1"]) == 0


@pytest.mark.parametrize("counts", [20, 1000])
@pytest.mark.parametrize("arch", ["nin3", "alexnet"])
def test_counts_begin_about_the_margin(arch: str, counts: int) -> None:
    """Far below it there would be no gradient, far above no contrast."""
    data = random_data(128, 16)
    counting = made_task("counting", data, arch, counts=counts, stride=2)
    counting.module.train()
    parts = counting.parts(batch_of(data, 16).images, torch.zeros(16, dtype=torch.int64))
    length = counting.module(parts)[:, 1:].sum(1).square().sum(1)
    assert 10 / 4 < length.mean().item() < 10 * 4


# --- The parts ---


def test_a_part_is_the_shrunk_image_or_a_quarter_of_it() -> None:
    data = random_data(33)
    counting = made_task("counting", data)
    batch = batch_of(data)
    parts = counting.parts(batch.images, torch.full((6,), 3)).view(6, 5, 3, 16, 16)
    whole = batch.images[..., :32, :32]
    tiles = parts[:, 1:].view(6, 2, 2, 3, 16, 16).permute(0, 3, 1, 4, 2, 5).reshape(6, 3, 32, 32)
    assert torch.equal(tiles, whole)
    means = whole.float().view(6, 3, 16, 2, 16, 2).mean((3, 5))
    assert (parts[:, 0] - means).abs().max() <= 0.5  # by area, the last of the four filters


def test_the_filter_that_shrinks_is_drawn() -> None:
    data = random_data(32, 400)
    for resizer, kinds in (("mixed", 4), ("linear", 1)):
        counting = made_task("counting", data, resizer=resizer, grey=0.0)
        batch = batch_of(data, 400)
        candidates = torch.stack(
            [counting.parts(batch.images, torch.full((400,), kind)).reshape(400, 5, -1)[:, 0] for kind in range(kinds)], 1
        )
        seen: list[torch.Tensor] = []
        counting.module.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))
        counting.step(batch)
        which = (candidates == seen[0].reshape(400, 5, -1)[:, :1]).all(2)
        assert which.any(1).all()
        assert which.float().mean(0).tolist() == pytest.approx([1 / kinds] * kinds, abs=0.1)


@pytest.mark.parametrize("share", [0.0, 0.67, 1.0])
def test_a_share_of_the_images_is_grey_with_all_their_parts(share: float) -> None:
    data = random_data(24, 500)
    counting = made_task("counting", data, grey=share)
    seen: list[torch.Tensor] = []
    counting.module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    counting.step(batch_of(data, 500))
    grey = (seen[0] == seen[0][:, :1]).reshape(500, -1).all(1)
    assert grey.float().mean().item() == pytest.approx(share, abs=0.07 if 0 < share < 1 else 0)


def test_a_test_image_is_shown_in_one_way_whatever_the_batches_are() -> None:
    data = random_data(24, 40)
    counting = made_task("counting", data, grey=1.0)
    shown = shown_in_tests(counting, data, 40)
    assert torch.equal(shown, shown_in_tests(counting, data, 6))
    assert not torch.equal(shown[:, 0], shown[:, 1])  # in its own colours


def test_an_example_is_the_shrunk_image_and_its_tiles() -> None:
    data = random_data(24)
    counting = made_task("counting", data)
    counting.module.eval()
    batch = next(ordered_batches(data.test, 6))
    with torch.no_grad():
        examples, step = counting.examples(batch), counting.evaluate(batch)
    assert [example.right for example in examples] == step.values["counting_top1"].tolist()
    for example, image in zip(examples, data.test.images.numpy(), strict=True):
        assert len(example.pictures) == example.columns == 5
        assert (example.pictures[2] == image[:12, 12:]).all()


def test_it_is_trained_by_adam_without_decay(tiny: dict[str, Any]) -> None:
    config = PretrainConfig.build(tiny | {"task": "counting", "arch": "nin3"})
    assert isinstance(config, TrainingConfig)
    (optimizer,) = made_task("counting", random_data(24)).optimizers(config)
    assert isinstance(optimizer, torch.optim.Adam)
    assert optimizer.defaults["lr"] == config.lr == 1e-4
    assert optimizer.defaults["weight_decay"] == 0
    assert optimizer.defaults["betas"] == (0.9, 0.999)


@pytest.mark.parametrize(("arch", "preset"), archs_with_presets("nin4", "alexnet"))
def test_no_preset_has_a_rate_for_sgd(arch: str, preset: str) -> None:
    config = configure("pretrain", {"task": "counting", "arch": arch, "dataset": "shapes"}, preset)
    assert isinstance(config, TrainingConfig)
    assert config.lr <= 0.001


# --- Bad input ---


@pytest.mark.parametrize("name", ["counting", "slow-features"])
def test_odd_parts_of_a_batch_are_refused(name: str, tiny: dict[str, Any]) -> None:
    """Partners would depend on the number of processes."""
    task = made_task(name, random_data(32))
    for size, gpus in ((6, 2), (4, 4)):
        config = PretrainConfig.build(tiny | {"task": name, "arch": "nin3", "batch_size": size, "gpus": gpus})
        with pytest.raises(RotnetError, match=rf"batch_size: .* of {size} each of {gpus} .* Take a multiple of {2 * gpus}"):
            task.optimizers(config)
    for size, gpus in ((5, 1), (8, 2)):
        assert task.optimizers(PretrainConfig.build(tiny | {"task": name, "arch": "nin3", "batch_size": size, "gpus": gpus}))


@pytest.mark.parametrize(
    ("side", "stride", "message"),
    [
        (48, 4, r"images of 48 px have tiles of 24, and alexnet takes tiles of at least 31 px at stride 4\."),
        (24, 1, r"images of 24 px have tiles of 12, and alexnet takes tiles of at least 13 px at stride 1\."),
    ],
)
def test_tiles_that_are_too_small_are_named_with_what_works(side: int, stride: int, message: str) -> None:
    with pytest.raises(RotnetError, match=rf"image_size: {message}") as error:
        made_task("counting", random_data(side, 2), "alexnet", stride=stride)
    remedies = str(error.value).partition("Any one of these works: ")[2].removesuffix(".").split(", ")
    assert remedies[-1].startswith("image_size ")
    for remedy in remedies:
        value = int(re.findall(r"\d+", remedy)[0])
        size, step = (value, stride) if "image_size" in remedy else (side, value)
        data = random_data(size, 2)
        assert math.isfinite(made_task("counting", data, "alexnet", stride=step).step(batch_of(data, 2)).loss.item())
    with pytest.raises(RotnetError, match="image_size"):
        made_task("counting", random_data(value - 1, 2), "alexnet", stride=stride)

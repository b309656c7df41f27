"""ColorProxy: what is asked, what the loss is, what is refused."""

import math
from typing import Any

import pytest
import torch

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext.color_proxy import ColorProxy
from rotnet_lib.pretext.parts.psnr import psnr
from rotnet_lib.stages.pretrain import PretrainConfig
from tests.pretext.made import batch_of, made_data, made_task, random_data


def task(data: Dataset, arch: str = "nin3", **options: Any) -> ColorProxy:
    """With a network that has the same answers for all pixels, all bins as likely."""
    found: ColorProxy = made_task("color-proxy", data, arch, **{"places": 9} | options)
    *_, weight, bias = found.module.parameters()
    with torch.no_grad():
        weight.zero_()
        bias.zero_()
    found.module.eval()
    return found


def plain(*colours: tuple[int, int, int]) -> Dataset:
    """An image of each colour."""
    return made_data(torch.tensor(colours, dtype=torch.uint8)[:, None, None].repeat(1, 32, 32, 1))


@pytest.mark.parametrize(
    ("colour", "loss"), [((255, 0, 0), 6 * math.log(32)), ((90, 90, 90), math.log(32)), ((127, 0, 0), 3.49 * math.log(32))]
)
def test_a_network_that_knows_nothing(colour: tuple[int, int, int], loss: float) -> None:
    found = task(plain((255, 0, 0), (0, 255, 0)))
    assert found.evaluate(batch_of(plain(colour, colour), 2)).loss.item() == pytest.approx(loss, rel=1e-3)


def test_the_terms_add_up() -> None:
    data = random_data(32)
    step = task(data).step(batch_of(data))
    assert step.loss.item() == pytest.approx((step.terms["loss_chroma"] + 5 * step.terms["loss_hue"]).item(), rel=1e-6)


def test_a_network_that_is_right_is_measured_so() -> None:
    data = plain((200, 40, 40), (200, 40, 40))
    found = task(data)
    *_, bias = found.module.parameters()
    with torch.no_grad():
        bias[0] = 50.0  # the hue of red
        bias[32 + int(0.99999 * 32 * 160 / 255)] = 50.0
    step = found.evaluate(batch_of(data, 2))
    for metric in ("hue_top1", "chroma_top1", "colour_top1"):
        assert step.values[metric].shape == (18,)
        assert step.values[metric].all()
    assert step.values["lab_error"].max() < 6  # half a bin of hue
    assert step.values["psnr"].min() > 30
    assert step.targets is not None
    assert {found.target_names[target] for target in step.targets.tolist()} == {"red"}


def test_pixels_near_the_border_are_not_asked_about() -> None:
    """An image whose colour is at its border alone is grey to the task."""
    images = torch.full((2, 32, 32, 3), 90, dtype=torch.uint8)
    images[:, [0, 1, 30, 31]] = torch.tensor([255, 0, 0], dtype=torch.uint8)
    images[:, :, [0, 1, 30, 31]] = torch.tensor([255, 0, 0], dtype=torch.uint8)
    found = task(random_data(32), border=0.0625, places=500)
    batch = batch_of(made_data(images), 2)
    assert found.step(batch).terms["loss_hue"].item() == 0
    assert task(random_data(32), border=0.0, places=500).step(batch).terms["loss_hue"].item() > 0


def test_the_network_sees_grey_alone() -> None:
    """Two images of one mean of the channels have the same answers."""
    found: ColorProxy = made_task("color-proxy", random_data(32), places=9)
    found.module.eval()
    data = plain((90, 30, 0), (0, 20, 100))
    places = torch.tensor([[5, 9]]).expand(2, 2)
    one, other = found.module(data.train.read([0, 1]), places, places).view(2, 2, -1)
    torch.testing.assert_close(one, other)


def test_guessing_is_the_most_frequent_answer_and_grey() -> None:
    data = plain(*[(255, 0, 0)] * 3, (0, 0, 255))
    chance = {name: metric.chance for name, metric in task(data).metrics.items()}
    assert (chance["hue_top1"], chance["chroma_top1"], chance["colour_top1"]) == pytest.approx((75, 100, 75))
    away = psnr(torch.full((1, 3), 85.0), torch.tensor([[255.0, 0, 0]])).item()
    assert chance["psnr"] == pytest.approx(away, rel=1e-4)


def test_a_constant_answer_is_told_beside_the_loss() -> None:
    """Of two hues as frequent and one chroma: five times the chroma times ln 2."""
    [note] = task(plain((255, 0, 0), (0, 0, 255))).notes
    assert f"{5 * math.log(2):.3f} nats" in note


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(RotnetError, match=r"^dataset: made has no colours to learn from: in 2 of its training images"):
        task(plain((90, 90, 90), (10, 10, 10)))
    with pytest.raises(RotnetError, match=r"task_options\.border: 0\.49 of 32 px .* Take at most 0\.469\."):
        task(random_data(32), border=0.49)
    assert task(random_data(32), border=0.469).span == 2
    with pytest.raises(RotnetError, match="grey: task 'color-proxy' learns from the images' own colours"):
        PretrainConfig.build({"task": "color-proxy", "arch": "nin3", "dataset": "shapes", "grey": True})


def test_examples_and_charts() -> None:
    data = plain((200, 40, 40), (40, 60, 200))
    found = task(data, border=0.0)
    with torch.no_grad():
        first, second = found.examples(batch_of(data, 2))
    assert [picture.shape for picture in first.pictures] == [(32, 32, 3)] * 3
    grey, image, answer = second.pictures
    assert len({int(value) for value in grey[4, 4]}) == 1
    assert sorted(map(int, image[4, 4])) in ([40, 40, 200], [40, 60, 200])
    assert answer.shape == image.shape
    [chart] = found.charts()
    assert chart.pictures[0].shape == (96, 96, 3)

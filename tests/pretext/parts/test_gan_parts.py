"""What generators are built of: opponents, latents, distinct samples, rows of pictures."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import nn
from torch.func import functional_call

from rotnet_lib.pretext.parts.adversaries import copied_buffers, discriminator_loss, frozen, generator_loss
from rotnet_lib.pretext.parts.distinct import distinct
from rotnet_lib.pretext.parts.latents import drawn_latents, fixed_latents
from rotnet_lib.pretext.parts.picture_rows import ACROSS, PictureRows, whole
from tests.pretext.made import batch_of, random_data
from tests.training.toys import epoch


def test_an_opponent_sees_no_parameters_and_moves_no_statistics() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    inputs = torch.randn(8, 3, requires_grad=True)
    found = functional_call(module, frozen(module) | copied_buffers(module), (inputs,))
    found.square().sum().backward()
    assert inputs.grad is not None
    assert inputs.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in module.parameters())
    assert all(torch.equal(buffer, before[name]) for name, buffer in module.named_buffers())
    assert torch.equal(found, module(inputs))  # the same numbers
    assert not torch.equal(module.get_buffer("1.running_mean"), before["1.running_mean"])


def test_losses_are_the_logarithms_of_probabilities() -> None:
    real, made = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    expected = -real.sigmoid().log().mean() - (1 - made.sigmoid()).log().mean()
    assert discriminator_loss(real, made).item() == pytest.approx(expected.item())
    assert generator_loss(made).item() == pytest.approx(-made.sigmoid().log().mean().item())
    nothing = torch.zeros(5)
    assert discriminator_loss(nothing, nothing).item() == pytest.approx(2 * math.log(2))
    assert generator_loss(nothing).item() == pytest.approx(math.log(2))


def test_latents_are_uniform_between_the_ends() -> None:
    data = random_data(8, 64)
    for latents in (drawn_latents(batch_of(data, 64), 50), fixed_latents(64, 50)):
        assert latents.shape == (64, 50)
        assert latents.dtype == torch.float32
        assert -1 < latents.min() < -0.99
        assert 0.99 < latents.max() < 1
        assert latents.mean().abs() < 0.05
        assert latents.var().item() == pytest.approx(1 / 3, abs=0.02)
    assert torch.equal(fixed_latents(3, 4), fixed_latents(3, 4))


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([0, 100, 200, 300], [True, True, True, True]),
        ([0, 0, 200, 300], [False, False, True, True]),  # one repeats another
        ([70, 70, 70, 70], [False] * 4),  # collapsed
        ([0, 4, 200, 206], [False, False, True, True]),  # images are 10 apart: 5 is enough
        ([9], [True]),
    ],
)
def test_samples_are_distinct_that_are_half_as_far_apart_as_images(samples: Sequence[int], expected: list[bool]) -> None:
    pictures = torch.tensor(samples)[:, None, None, None].expand(-1, 3, 2, 2)
    images = 10 * torch.arange(len(samples), dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 2, 2)
    assert distinct(pictures, images).tolist() == expected


@pytest.mark.parametrize(("epochs", "kept"), [(2, [0, 1]), (6, [0, 1, 2, 3, 4, 5]), (60, [0, 10, 20, 30, 40, 50])])
def test_rows_are_kept_evenly_over_the_epochs(epochs: int, kept: list[int]) -> None:
    rows = PictureRows(2)
    for number in range(epochs):
        rows.keep(epoch(number, epochs), torch.full((ACROSS, 3, 2, 2), number, dtype=torch.uint8))
    charts = rows.charts("samples", torch.full((ACROSS, 3, 2, 2), 255, dtype=torch.uint8))
    assert [int(chart.pictures[0][0, 0, 0]) for chart in charts] == [*kept, 255]
    assert charts[0].caption == "samples, before training"
    assert charts[1].caption == f"samples, after epoch {kept[1]}"
    assert charts[-1].caption == "samples, at the end of training"
    assert all(len(chart.pictures) == chart.columns == ACROSS for chart in charts)
    assert rows.state_dict() == {}  # no part of the weights


def test_pictures_are_rounded_and_cut_off() -> None:
    assert whole(torch.tensor([-3.0, 0.4, 254.6, 300.0])).tolist() == [0, 0, 255, 255]

"""Filters as pictures: in colour where they are on RGB, otherwise a picture a channel."""

import numpy as np
import pytest
import torch

from rotnet_lib.evaluation.looks import filter_pictures
from rotnet_lib.models.folding import first_filters
from rotnet_lib.models.inputs import INPUTS, InputKind, declare_inputs
from rotnet_lib.models.normalize import Normalize
from tests.weights import fresh


class RedAndBlue(Normalize):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images)[:, ::2]


@pytest.fixture
def two_channels():
    declare_inputs(InputKind("red-blue", channels=2, make=RedAndBlue))
    yield "red-blue"
    INPUTS.remove("red-blue")


def test_those_on_rgb_are_in_colour() -> None:
    backbone = fresh("nin3").eval()
    assert np.array_equal(filter_pictures(backbone), first_filters(backbone).permute(0, 2, 3, 1).numpy())


def test_of_other_kinds_the_channels_stand_side_by_side_in_grey(two_channels: str) -> None:
    backbone = fresh("nin3", inputs=two_channels).eval()
    pictures, kernels = filter_pictures(backbone), first_filters(backbone).numpy()
    assert pictures.shape == (10, 5, 10, 3)
    for colour in range(3):
        assert np.array_equal(pictures[:, :, :5, colour], kernels[:, 0])
        assert np.array_equal(pictures[:, :, 5:, colour], kernels[:, 1])

"""The sampling error of a share of right answers."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from rotnet_lib.runs.sampling import sampling_error
from rotnet_lib.runs.schema import MetricValue


@pytest.mark.parametrize(
    ("percent", "images", "error"),
    [
        (50.0, 100, 5.0),
        (78.3, 1000, 1.3035),
        (21.7, 1000, 1.3035),
        (90.0, 10_000, 0.3),
        (100 / 3, 3, 100 * math.sqrt(2 / 27)),  # one of three
    ],
)
def test_it_is_the_root_of_p_times_its_rest_over_n(percent: float, images: int, error: float) -> None:
    assert sampling_error(percent, images) == pytest.approx(error, rel=1e-4)


def test_it_is_the_spread_over_test_sets() -> None:
    shares = 100 * np.random.default_rng(0).binomial(500, 0.8, 20_000) / 500
    assert sampling_error(80.0, 500) == pytest.approx(shares.std(), rel=0.02)


@pytest.mark.parametrize("percent", [0.0, 100.0, 99.97])
def test_all_right_or_all_wrong_is_not_exact(percent: float) -> None:
    """(0 + 2) / 1004 of 1 004; 99.97 is what seeds average to that have no mistake or one."""
    assert sampling_error(percent, 1000) == pytest.approx(100 * math.sqrt(2 / 1004 * 1002 / 1004 / 1004), rel=0.1)
    assert sampling_error(percent, 1000) > sampling_error(99.9, 1000)  # one mistake: the formula itself


@pytest.mark.parametrize("images", [1, 3, 7, 49, 997])
def test_one_right_answer_is_no_edge_however_it_is_rounded(images: int) -> None:
    share = 1 / images
    expected = 100 * math.sqrt(share * (1 - share) / images) if images > 1 else 100 * math.sqrt(3 / 5 * 2 / 5 / 5)
    assert sampling_error(100 * share, images) == pytest.approx(expected)


def test_no_images_have_no_error() -> None:
    with pytest.raises(ValueError, match="a share of 0 images"):
        sampling_error(50.0, 0)


# --- Of a result's figure ---


def test_a_figure_has_the_error_of_its_images() -> None:
    assert MetricValue(last=78.3, images=1000).standard_error == pytest.approx(1.3035, rel=1e-4)
    assert MetricValue(last=78.3).standard_error is None


def test_a_figure_that_is_no_percentage_is_no_share() -> None:
    error = MetricValue(last=21.5, unit="dB")
    assert error.of_images(1000) == error
    assert MetricValue(last=50.0).of_images(1000, {"cat": 100}) == MetricValue(
        last=50.0, images=1000, target_images={"cat": 100}
    )


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="images"):
        MetricValue(last=50.0, images=0)

"""How figures are written."""

import pytest

from rotnet_lib.runs.metrics import with_unit


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (89.062, "%", "89.06 %"),
        (0.5, "%", "0.50 %"),
        (21.5, "dB", "21.50 dB"),
        (-0.5, "", "-0.500"),
        (0.01234, "", "0.0123"),
        (0.0, "", "0.00"),
    ],
)
def test_a_percentage_has_two_decimals_and_other_figures_three_digits_at_least(value: float, unit: str, text: str) -> None:
    assert with_unit(value, unit) == text

"""k-means beside others' on the same points."""

import re

import pytest
import torch
from click.testing import CliRunner

from benchmarks.kmeans import compared, made_points, main


def test_the_command_says_what_each_took_and_how_good_it_is() -> None:
    result = CliRunner().invoke(main, ["--points", "300", "--dimension", "8", "--clusters", "12"])
    assert result.exit_code == 0, result.output
    assert "300 x 8, 12 clusters" in result.output
    for name in ("ours", "scikit-learn", "faiss"):
        said = rf"^{name}: [\d.]+ s, [\d.]+ core-seconds, mean squared distance 0\.\d{{5}}, 0 empty clusters$"
        assert re.search(said, result.output, re.MULTILINE)


def test_all_are_about_as_good() -> None:
    found = list(compared(made_points(2000, 16, 40, seed=0), 40, seed=0))
    assert len(found) == 3
    assert [one.spread for one in found] == pytest.approx([found[0].spread] * len(found), rel=0.03)


def test_points_have_unit_length() -> None:
    torch.testing.assert_close(made_points(50, 8, 5, seed=0).norm(dim=1), torch.ones(50))

"""`rotnet data` on sets in VOC's layout."""

import pytest
from click.testing import CliRunner

from rotnet_lib.cli import main
from rotnet_lib.data.voc import drawn


def test_data_brings_a_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn, "COUNTS", (4, 2))
    result = CliRunner().invoke(main, ["data", "scenes:64"])
    assert result.exit_code == 0, result.output
    title = "scenes of 64 pixels (drawn, not photographs)"
    for task in ("detection", "segmentation"):
        assert f"{title}, {task}: 4 training and 2 test images, scenes-version-" in result.output


def test_data_says_what_is_wrong_with_a_set() -> None:
    result = CliRunner().invoke(main, ["data", "voc:/nowhere"])
    assert result.exit_code == 1
    assert "no folder /nowhere/JPEGImages" in result.output

"""Trials in processes: a hang, a death and too much memory end one trial, as neither, and the others go on."""

from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from campaigns.inputs.pool import Bounds, Campaign, prepare, run_all
from campaigns.inputs.trial import Outcome
from tests.campaigns.inputs.odd_kinds import OddKind

pytestmark = pytest.mark.timeout(60)


def outcomes(ways: Sequence[str], folder: Path, workers: int = 1, bounds: Bounds | None = None) -> list[Outcome]:
    """Those of the ways of reading, by number."""
    kinds = {"odd": OddKind(*ways)}
    campaign = Campaign(kinds, 0, folder / "good", folder / "work", bounds or Bounds(seconds=20))
    (folder / "work").mkdir()
    assert list(prepare(campaign, kinds, workers)) == []
    found = list(run_all(campaign, [("odd", number) for number in range(len(ways))], workers))
    return sorted(found, key=lambda outcome: outcome.number)


def test_each_trial_has_an_outcome(tmp_path: Path) -> None:
    found = outcomes(["right", "named", "wrong", "traceback"] * 10, tmp_path, workers=2)
    assert [outcome.number for outcome in found] == list(range(40))
    assert [outcome.end for outcome in found] == ["right", "named", "neither", "neither"] * 10


def test_a_hang_is_neither_and_what_it_started_is_gone(tmp_path: Path) -> None:
    before = {process.pid for process in psutil.process_iter() if process.name() == "sleep"}
    found = outcomes(["right", "hang", "right"], tmp_path, bounds=Bounds(seconds=1))
    assert [outcome.end for outcome in found] == ["right", "neither", "right"]
    assert (found[1].reason, found[1].what) == ("no end in 1 s", "way hang")
    sleeping = [p for p in psutil.process_iter() if p.name() == "sleep" and p.status() != psutil.STATUS_ZOMBIE]
    assert not [p for p in sleeping if p.pid not in before and p.cmdline() == ["sleep", "600"]]


def test_a_trial_that_is_cut_off_is_tried_once_more(tmp_path: Path) -> None:
    found = outcomes(["right", "hang once", "right"], tmp_path, bounds=Bounds(seconds=1))
    assert [outcome.end for outcome in found] == ["right", "right", "right"]


def test_a_process_that_dies_is_neither(tmp_path: Path) -> None:
    found = outcomes(["right", "death", "named"], tmp_path)
    assert [outcome.end for outcome in found] == ["right", "neither", "named"]
    assert found[1].reason == "its process ended by signal SIGKILL"


def test_memory_beyond_the_bound_is_neither(tmp_path: Path) -> None:
    found = outcomes(["right", "memory", "right"], tmp_path, bounds=Bounds(seconds=20, memory=2**28))
    assert [outcome.end for outcome in found] == ["right", "neither", "right"]
    assert "MemoryError" in found[1].reason
    assert "Unable to allocate 2.00 GiB" in found[1].reason


def test_a_kind_whose_good_input_cannot_be_made_is_told(tmp_path: Path) -> None:
    class Broken(OddKind):
        def prepare(self, folder: Path) -> None:
            raise OSError("no room")

    campaign = Campaign({"odd": Broken("right")}, 0, tmp_path / "good", tmp_path / "work")
    [found] = prepare(campaign, ["odd"], 1)
    assert (found.end, found.reason) == ("neither", "OSError: no room")

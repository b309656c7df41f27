"""`make campaign-inputs`: which inputs, the table, the list of failures; and, of each kind, a good input and an odd one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from campaigns.inputs.__main__ import choose, make_record
from campaigns.inputs.kinds import KINDS
from campaigns.inputs.trial import Outcome
from rotnet_lib.errors import RotnetError

ROOT = Path(__file__).parents[3]


def test_inputs_are_shared_out_among_all_kinds() -> None:
    trials = choose(100)
    assert len(trials) == len(set(trials)) == 100
    counts = {kind: sum(name == kind for name, _ in trials) for kind in KINDS}
    assert max(counts.values()) - min(counts.values()) == 1
    assert all((kind, 0) in trials for kind in KINDS), "the good input of each kind"


def test_kinds_and_inputs_can_be_named() -> None:
    assert choose(4, "idx words") == [("idx", 0), ("idx", 1), ("words", 0), ("words", 1)]
    assert choose(10_000, "idx:17") == [("idx", 17)]


@pytest.mark.parametrize(
    ("only", "message"), [("idxx", "did you mean 'idx'"), ("idx:x", "a number is needed behind the colon")]
)
def test_a_name_that_is_none(only: str, message: str) -> None:
    with pytest.raises(RotnetError, match=message):
        choose(10, only)


def test_the_record_counts_by_kind_and_lists_what_failed() -> None:
    outcomes = [
        Outcome("idx", 0, "right"),
        Outcome("idx", 1, "named", "cut", "damaged file"),
        Outcome("idx", 2, "neither", "bits", "ValueError: x"),
        Outcome("words", 0, "named", "nothing was changed", "damaged"),
    ]
    record = make_record(outcomes, "make campaign-inputs", 1.0)
    assert record.sections["Counts"].splitlines()[2:] == [
        "| idx   |     1 |     1 |       1 |",
        "| words |     0 |     1 |       0 |",
        "| all   |     1 |     2 |       1 |",
    ]
    assert record.counts == {"inputs": 4, "right": 1, "named": 2, "neither": 1}
    assert record.failures == [
        "idx:2: bits: ValueError: x",
        "words:0: nothing was changed: the good input is not right: damaged",
    ]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_good_input_of_each_kind_comes_out_right_and_an_odd_one_is_judged(tmp_path: Path) -> None:
    inputs = 2 * len(KINDS)
    command = [sys.executable, "-m", "campaigns.inputs", "--inputs", str(inputs), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    counts = json.loads((tmp_path / "out" / "record.json").read_text())["counts"]
    assert counts["inputs"] == inputs
    assert counts["right"] + counts["named"] + counts["neither"] == inputs
    assert counts["right"] >= len(KINDS)
    assert "the good input is not right" not in done.stdout
    assert "the campaign itself failed" not in done.stdout
    assert done.returncode == bool(counts["neither"]), done.stderr

"""The record of a campaign: a table that can be read, the machine, and each failure."""

import json
from pathlib import Path

from campaigns.record import Record, duration, machine, printable, table


def test_columns_are_aligned_names_to_the_left_numbers_to_the_right() -> None:
    assert table(("kind", "n"), [("a", 5), ("longer", 1000)]).splitlines() == [
        "| kind   |    n |",
        "| ------ | ---: |",
        "| a      |    5 |",
        "| longer | 1000 |",
    ]


def test_the_record_says_what_where_and_what_failed(tmp_path: Path) -> None:
    record = Record("A title", "make x SEED=0", 65.2, {"Counts": "| a |"}, ["one: \x1b[31m"], {"inputs": 3})
    path = record.write(tmp_path / "out")
    text = path.read_text()
    for part in ("# A title", "`make x SEED=0`", "1 min 05 s", "## Counts\n\n| a |", "- one: \\x1b[31m", "Python 3"):
        assert part in text, part
    document = json.loads((path.parent / "record.json").read_text())
    assert (document["counts"], document["failures"]) == ({"inputs": 3}, ["one: \x1b[31m"])


def test_a_record_without_failures_says_so() -> None:
    assert Record("A title", "make x", 1.0, {}, [], {}).markdown().endswith("## Failures\n\nNone.\n")


def test_the_machine_is_named_with_its_versions() -> None:
    assert all(word in machine() for word in ("cores", "GiB", "torch", "commit"))


def test_what_no_terminal_takes_is_escaped() -> None:
    assert printable("a\ud800\x07\nb") == "a\\ud800\\x07\nb"


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0.25, 59.94, 61)] == ["0.2 s", "59.9 s", "1 min 01 s"]

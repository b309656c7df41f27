"""Whether a first table can be made here, and how long it would take."""

import re

import pytest

from rotnet_lib.bench import readiness
from rotnet_lib.bench.readiness import verdict
from rotnet_lib.suites.plan import Options, plan_suite
from tests.results import finish_planned


def test_it_is_measured_where_nothing_was_made_yet() -> None:
    said = verdict(preset="quick")
    assert re.search(r"^ready: make reproduce-table3 \(preset quick\) takes about [\d.]+ (s|min|h) here, ", said)
    assert "by a short measurement (longer: rotnet bench --plan table3 --preset quick)" in said


def test_finished_runs_say_it_where_there_are_some_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of seven runs each takes the two seconds of one like it, and one that a process and its kernel take to start."""
    for run in plan_suite("table3", Options(preset="quick", seeds=2)).runs:
        if run.config.seed == 1:
            finish_planned(run)
    monkeypatch.setattr(readiness, "_seconds_to_start", lambda: 1.0)  # which the test above measures
    monkeypatch.setattr(readiness, "_at_a_time", lambda plan: 1)
    assert verdict(preset="quick") == (
        "ready: make reproduce-table3 (preset quick) takes about 20 s here, by finished runs like its own"
    )


def test_a_table_that_is_made_takes_no_time() -> None:
    for run in plan_suite("table3", Options(preset="quick")).runs:
        finish_planned(run)
    assert verdict(preset="quick").startswith("ready: make reproduce-table3 (preset quick) is made already")


def test_a_table_whose_data_is_not_here_is_not_ready() -> None:
    said = verdict("table5", "paper")
    assert said.startswith("not ready for make reproduce-table5: no folder ")
    assert said.endswith("; without it: make reproduce-table5 PRESET=quick")

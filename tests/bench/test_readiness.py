"""Whether a first table can be made here, and how long it would take."""

import re

import pytest

from rotnet_lib.bench.readiness import at_a_time, verdict
from rotnet_lib.errors import RotnetError
from rotnet_lib.suites.plan import Options, plan_suite
from rotnet_lib.suites.run_lengths import duration
from tests.results import finish_planned


def test_it_is_measured_where_nothing_was_made_yet_and_said_before() -> None:
    """Seven runs that take a million seconds each to start, beside which training is a trifle."""
    told: list[str] = []
    said = verdict(preset="quick", seconds=0.001, to_start=lambda: 1e6, say=told.append)
    assert told == ["measuring for some seconds how long make reproduce-table3 takes here ..."]
    found = re.search(r"^ready: make reproduce-table3 \(preset quick\) takes about ([\d.]+) h here, ", said)
    assert found, said
    plan = plan_suite("table3", Options(preset="quick"))
    assert float(found[1]) == pytest.approx(7e6 / 3600 / at_a_time(plan), rel=0.01)
    assert "by a short measurement (longer: rotnet bench --plan table3 --preset quick)" in said


def test_a_notebook_that_cannot_start_is_told_with_the_remedy() -> None:
    def fails() -> float:
        raise RotnetError("a notebook cannot start here: ModuleNotFoundError: No module named 'papermill'.")

    assert verdict(preset="quick", seconds=0.001, to_start=fails).startswith("not ready: a notebook cannot start here: Module")


def test_finished_runs_say_it_where_there_are_some_of_each_kind() -> None:
    """Of seven runs each takes the two seconds of one like it, and a minute that a process and its kernel take to start."""
    for run in plan_suite("table3", Options(preset="quick", seeds=2)).runs:
        if run.config.seed == 1:
            finish_planned(run)
    took = duration(7 * 62 / at_a_time(plan_suite("table3", Options(preset="quick"))))
    assert verdict(preset="quick", to_start=lambda: 60.0) == (
        f"ready: make reproduce-table3 (preset quick) takes about {took} here, by finished runs like its own"
    )


def test_a_table_that_is_made_takes_no_time() -> None:
    for run in plan_suite("table3", Options(preset="quick")).runs:
        finish_planned(run)
    told: list[str] = []
    assert verdict(preset="quick", say=told.append).startswith("ready: make reproduce-table3 (preset quick) is made already")
    assert told == []


def test_a_table_whose_data_is_not_here_is_not_ready() -> None:
    said = verdict("table5", "paper")
    assert said.startswith("not ready for make reproduce-table5: no folder ")
    assert said.endswith("; without it: make reproduce-table5 PRESET=quick")

"""A round finds what a kill has left running, lost, changed or left without a page. The makings here are a line of shell."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from campaigns.kills.processes import MARK
from campaigns.kills.round import Round, play
from campaigns.kills.suite import Suite, heed_signals
from rotnet_lib.runs.directory import METRICS, REPORT, TABLE
from rotnet_lib.runs.schema import MetricValue
from tests.results import finish, finish_planned

pytestmark = [
    pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed"),
    pytest.mark.timeout(120),
]


@dataclass(frozen=True)
class Stub(Suite):
    """A suite that is made by a recipe of its own."""

    recipe: str = "true"

    def start(self, mark: str, log: Path) -> subprocess.Popen[bytes]:
        self.own.mkdir(exist_ok=True)
        makefile = self.own / "Makefile"
        makefile.write_text(f"all:\n\t@{self.recipe}\n")
        with log.open("ab") as stream:
            return subprocess.Popen(
                ["make", "--file", str(makefile)],
                env=os.environ | {MARK: mark},
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                preexec_fn=heed_signals,
            )


@pytest.fixture
def whole(tmp_path: Path) -> Suite:
    """The suite, finished, with its pages."""
    suite = Suite(tmp_path / "whole", tmp_path / "own")
    plan = suite.plan()
    for run in plan.runs:
        finish_planned(run)
        (run.directory.path / REPORT).write_text("<html></html>")
    plan.write()
    (plan.directory / REPORT).write_text("<html></html>")
    (plan.directory / TABLE).write_text("")
    (suite.runs / "index.html").write_text("<html></html>")
    return suite


def played(whole: Suite, recipe: str, *, kills: int = 0) -> Round:
    """A round whose makings are that recipe, with a kill in its first half second, or none."""
    suite = Stub(whole.runs.parent / "disturbed", whole.own, recipe)
    return play(3, 0, whole, suite, 0.5, kills, patience=1.0)


def copied(whole: Suite) -> str:
    """The recipe that brings back all that is missing."""
    return f"cp -rn {whole.runs}/. {whole.runs.parent}/disturbed/"


def test_a_making_that_makes_all_of_it_is_without_failures(whole: Suite) -> None:
    found = played(whole, copied(whole))
    assert found.failures == []
    assert found.kills == []


def test_what_is_not_made_is_lost_and_the_suite_without_its_page(whole: Suite) -> None:
    found = played(whole, "true")
    assert 1 <= len(found.lost) <= 2
    assert found.without_page == ["table3"]
    assert all(line.startswith(("lost: ", "without a page: ")) for line in found.failures)


def test_another_figure_is_a_change(whole: Suite) -> None:
    plan = whole.plan()
    elsewhere = Suite(whole.runs.parent / "elsewhere", whole.own)
    for run in elsewhere.plan().runs:
        finish(run.directory, run.config, run.config.fingerprint(), metrics={"top1": MetricValue(last=51.0)})
        (run.directory.path / REPORT).write_text("<html></html>")
    shutil.copytree(plan.directory, elsewhere.runs / plan.directory.name)
    found = played(whole, copied(elsewhere))
    assert 1 <= len(found.changed) <= 2
    assert found.failures == [f"changed: {key}" for key in found.changed]


def test_a_finished_run_without_a_page_is_told(whole: Suite) -> None:
    run = whole.plan().runs[0]
    (run.directory.path / REPORT).unlink()
    assert played(whole, copied(whole)).failures == [f"without a page: {run.key}"]


def test_half_a_page_is_none(whole: Suite) -> None:
    run = whole.plan().runs[0]
    (run.directory.path / REPORT).write_text("<html>")
    assert whole.without_page() == [run.key]


@pytest.mark.slow
def test_what_a_killed_making_leaves_running_is_found_and_ended(whole: Suite) -> None:
    found = played(whole, "setsid sleep 60 & sleep 2", kills=1)
    [kill] = found.kills
    assert kill.role == "make"
    assert kill.seconds is None
    assert any("sleep 60" in line for line in kill.left)
    assert any(line.startswith(f"left running after the {kill.signal} of make: ") for line in found.failures)


def test_a_killed_making_that_ends_is_timed(whole: Suite) -> None:
    suite = Stub(
        whole.runs.parent / "disturbed",
        whole.own,
        f"if [ -e {whole.own}/again ]; then {copied(whole)}; else touch {whole.own}/again; exec sleep 60; fi",
    )
    found = play(3, 0, whole, suite, 0.5, 1, patience=2.0)
    [kill] = found.kills
    if kill.signal != "SIGKILL":  # which make cannot hand on
        assert kill.seconds is not None
        assert kill.seconds < 2
        assert found.failures == []


def test_leftovers_are_told(whole: Suite) -> None:
    run = whole.plan().runs[0].directory
    temporary = run.path / ".model.safetensors.ab12cd34.safetensors"
    temporary.touch()
    (run.path / "resume.safetensors").touch()
    folder = whole.runs.parent / "rotnet-abc"
    folder.mkdir()
    assert whole.leftovers([folder, folder.with_name("gone")]) == sorted(
        map(str, (temporary, run.path / "resume.safetensors", folder))
    )
    assert (run.path / METRICS).exists()

"""What a suite has come to, printed when it is made."""

from pathlib import Path
from typing import Any

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.report.table_text import TABLE_TEXT
from rotnet_lib.runs.directory import REPORT, TABLE
from rotnet_lib.suites.engine import reproduce
from rotnet_lib.suites.plan import Options, Plan, make_plan
from tests.results import finish_planned

TINY = "train_size=1000 test_size=10 image_size=16"


def draw(notebook: str, parameters: dict[str, Any], directory: Path) -> None:
    (directory / TABLE).write_text("the table")
    (directory / REPORT).write_text("the page")


@pytest.fixture
def plan() -> Plan:
    """A suite whose runs are finished."""
    found = make_plan("table3", Options(preset="quick", set=TINY))
    for run in found.runs:
        finish_planned(run)
    assert isinstance(found, Plan)
    return found


def test_a_suite_prints_its_table_whether_or_not_it_is_drawn_again(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for _ in range(2):
        reproduce(plan, cores=1, executor=None, run_notebook=draw)
        printed.append(capsys.readouterr().out)
    assert "## Table 3: drawn shapes, unsupervised feature learning (4-block NIN)\n" in printed[0]
    assert "| Supervised NIN " in printed[0]
    assert printed[1] == printed[0]


@pytest.mark.usefixtures("started")  # Snakemake is not
def test_a_collection_prints_a_line_a_suite(capsys: pytest.CaptureFixture[str]) -> None:
    plan = make_plan("cifar10", Options(preset="quick", set=TINY))
    finish_planned(next(run for run in plan.runs if run.key == "supervised"))
    with pytest.raises(RotnetError, match="did not finish"):
        reproduce(plan, cores=1, executor=None, run_notebook=draw)
    printed = capsys.readouterr().out
    assert "| Supervised NIN " not in printed
    lines = [line for line in printed.splitlines() if "runs finished. " in line]
    counts = {part.suite.name: (sum(run.directory.finished for run in part.runs), len(part.runs)) for part in plan.parts}
    assert [line.partition(" runs finished. ")[0] for line in lines] == [
        f"{name}: {finished} of {all_}" for name, (finished, all_) in counts.items()
    ]
    assert all("figures are measured" in line for line in lines)


def test_a_report_that_fails_prints_no_table_of_before(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    reproduce(plan, cores=1, executor=None, run_notebook=draw)
    (plan.directory / TABLE).unlink()  # so that it is drawn again
    capsys.readouterr()

    def fail(notebook: str, parameters: dict[str, Any], directory: Path) -> None:
        raise RotnetError("no ink")

    with pytest.raises(RotnetError, match="no ink"):
        reproduce(plan, cores=1, executor=None, run_notebook=fail)
    assert "| Supervised NIN " not in capsys.readouterr().out
    assert not (plan.directory / TABLE_TEXT).exists()

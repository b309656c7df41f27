"""When the page of a suite is drawn again."""

from pathlib import Path

import pytest

from rotnet_lib.report.table_text import TABLE_TEXT
from rotnet_lib.runs.directory import HISTORY, METRICS, REPORT, TABLE
from rotnet_lib.suites.plan import Options, Plan, plan_suite
from rotnet_lib.suites.report_stamp import drawing, is_drawn


@pytest.fixture
def drawn() -> Plan:
    """A plan, one of its runs finished, and its page, just drawn."""
    plan = plan_suite("table3", Options(preset="quick"))
    plan.write()
    directory = plan.runs[0].directory.path
    directory.mkdir(parents=True)
    (directory / METRICS).write_text("{}")
    (directory / HISTORY).write_text("epoch")
    with drawing(plan):
        write_page(plan)
    return plan


def write_page(plan: Plan) -> None:
    (plan.directory / TABLE).write_text("the table")
    (plan.directory / TABLE_TEXT).write_text("the table as text")
    (plan.directory / REPORT).write_text("the page")


def test_a_page_is_drawn_once(drawn: Plan) -> None:
    assert is_drawn(drawn)
    drawn.write()  # the same plan
    assert is_drawn(drawn)


@pytest.mark.parametrize("name", [METRICS, HISTORY])
def test_it_is_drawn_again_when_a_result_is_another(drawn: Plan, name: str) -> None:
    (drawn.runs[0].directory.path / name).write_text("other")
    assert not is_drawn(drawn)


def test_it_is_drawn_again_when_a_run_was_finished_or_deleted(drawn: Plan) -> None:
    other = drawn.runs[1].directory.path
    other.mkdir()
    (other / METRICS).write_text("{}")
    assert not is_drawn(drawn)
    (other / METRICS).unlink()
    assert is_drawn(drawn)
    (drawn.runs[0].directory.path / METRICS).unlink()
    assert not is_drawn(drawn)


def test_it_is_drawn_again_when_the_plan_is_another(drawn: Plan) -> None:
    (drawn.directory / "plan.json").write_text("{}")
    assert not is_drawn(drawn)


@pytest.mark.parametrize("name", [REPORT, TABLE, TABLE_TEXT])
def test_it_is_drawn_again_when_it_is_gone(drawn: Plan, name: str) -> None:
    (drawn.directory / name).unlink()
    assert not is_drawn(drawn)


def test_it_is_drawn_again_when_a_run_has_got_its_page(drawn: Plan) -> None:
    (drawn.runs[0].directory.path / REPORT).write_text("the run's page")
    assert not is_drawn(drawn)


def test_it_is_drawn_again_when_a_run_has_ended_while_it_was_drawn(drawn: Plan) -> None:
    with drawing(drawn):
        write_page(drawn)
        (drawn.runs[0].directory.path / METRICS).write_text("too late for the page")
    assert not is_drawn(drawn)


def test_it_is_drawn_again_when_the_code_is_another(drawn: Plan, tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "__pycache__").mkdir(parents=True)
    (code / "plots.py").write_text("blue")
    with drawing(drawn, [code]):
        write_page(drawn)
    (code / "__pycache__" / "plots.pyc").write_text("compiled")
    assert is_drawn(drawn, [code])
    (code / "plots.py").write_text("red")
    assert not is_drawn(drawn, [code])


def test_a_page_that_could_not_be_drawn_is_tried_again(drawn: Plan) -> None:
    def fail() -> None:
        with drawing(drawn):
            raise RuntimeError("no kernel")

    with pytest.raises(RuntimeError, match="no kernel"):
        fail()
    assert not is_drawn(drawn)

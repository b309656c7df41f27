"""A suite's questions on its page: each with its answer and a figure, on one axis."""

import json
from typing import Any

import pytest
from bs4 import BeautifulSoup

from rotnet_lib.report.answers import Answered, answered, answers
from rotnet_lib.report.suite_report import SuiteReport
from rotnet_lib.runs.metrics import Metric


def by_number(report: SuiteReport) -> dict[str, Answered]:
    return {found.ask.partition(".")[0]: found for found in answered(report)}


def page(report: SuiteReport) -> BeautifulSoup:
    found = answers(report)
    assert found is not None
    return BeautifulSoup(found.data, "html.parser")


def test_a_suite_that_asks_nothing_has_no_answers(made_up: Any) -> None:
    assert answers(made_up("table3").report()) is None


def test_every_question_is_asked_before_anything_is_measured(made_up: Any) -> None:
    suite = made_up("questions")
    report = suite.report()
    assert [(found.ask, found.answer) for found in answered(report)] == [
        (question.ask, "Not measured yet.") for question in suite.plan.suite.questions
    ]
    assert len(page(report).find_all("h2")) == 9
    assert not page(report).find_all("figure")
    assert not page(report).find_all(class_="notice")


def test_an_answer_is_drawn_from_the_rows_its_question_names(made_up: Any) -> None:
    suite = made_up("questions", seeds=2)
    for seed in (0, 1):
        suite.finish("rotnet-nonlinear", 70.0 + seed, seed=seed)
        suite.finish("probe-jittered", 60.0 + seed, seed=seed)
        suite.finish("probe-grey", 90.0 + seed, seed=seed)
    found = by_number(suite.report())
    jitter = found["5"]
    assert jitter.answer.endswith(
        ": “colour jitter in the pretext task” is 10.00 points lower than “4 right angles, all copies in one batch” "
        "(60.50 against 70.50), more than the seeds' spread."
    )
    assert jitter.figure is not None
    assert "colour jitter in the pretext task: 60.50 %" in jitter.figure.description
    assert "grey" not in jitter.figure.description
    assert found["6"].answer.endswith("Not measured: “grey images in pretext task and probe”.")
    assert (found["9"].answer, found["9"].figure is None) == ("Not measured yet.", False)


def test_a_question_may_be_about_one_column_of_several(made_up: Any) -> None:
    suite = made_up("decoupling-table1", seeds=2)
    for seed in (0, 1):
        suite.finish("probe4", {f"conv{n}_top1": 10.0 + seed for n in range(1, 5)}, seed=seed)
        suite.finish(
            "probe-decoupling", {"conv1_top1": 90.0 + seed} | {f"conv{n}_top1": 10.0 + seed for n in (2, 3, 4)}, seed=seed
        )
    found = by_number(suite.report())
    assert "is 80.00 points higher" in found["1"].answer
    assert "is as high as" in found["2"].answer


def test_the_figures_of_all_questions_have_one_axis(made_up: Any) -> None:
    suite = made_up("questions")
    for key, last in (("rotnet-nonlinear", 70.0), ("probe-jittered", 69.0), ("probe-grey", 30.0)):
        suite.finish(key, last)
    figures = [found.figure.figure for found in answered(suite.report()) if found.figure]
    axes = [figure.axes[0] for figure in figures]
    assert len(axes) > 5
    assert len({axis.get_xlim() for axis in axes}) == 1
    assert len({axis.get_position().bounds[0::2] for axis in axes}) == 1
    assert axes[0].get_xlim()[0] < 30.0 < 70.0 < axes[0].get_xlim()[1]


def test_what_holds_for_all_answers_is_said_once_above_them(made_up: Any) -> None:
    suite = made_up("questions", seeds=1)
    suite.finish_all()
    soup = page(suite.report())
    said = "With one seed no spread is known, so a small difference says nothing."
    [notice] = soup.find_all(class_="notice")
    assert notice.get_text() == said
    assert soup.get_text().count("With one seed") == 1
    assert str(soup).index(said) < str(soup).index("<h2>")


@pytest.mark.parametrize(("last", "said"), [(10.4, True), (60.0, False)])
def test_figures_at_the_level_of_guessing_are_said_to_be(last: float, said: bool, made_up: Any) -> None:
    suite = made_up("questions")
    for key in ("rotnet-nonlinear", "probe-jittered"):
        suite.finish(key, last, images=1000, like=Metric(chance=10.0))
    text = by_number(suite.report())["5"].answer
    assert text.endswith(" All of these figures lie within two standard errors of chance: 10 %.") == said


@pytest.mark.parametrize(("yes", "said"), [("lower", "Yes"), ("higher", "No"), (None, "A difference")])
def test_a_plan_may_say_when_the_answer_is_yes(yes: str | None, said: str, made_up: Any) -> None:
    suite = made_up("questions")
    suite.finish("rotnet-nonlinear", 70.0, images=1000)
    suite.finish("probe-turned", 50.0, images=1000)
    plan = json.loads(suite.path.read_text())
    plan["suite"]["questions"][3] |= {"yes_if": yes}
    suite.path.write_text(json.dumps(plan))
    assert by_number(suite.report())["4"].answer.startswith(f"{said}: “3 angles: 90 180 270” is 20.00 points lower")

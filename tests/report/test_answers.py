"""Questions are answered from the figures: higher, lower, no difference beyond the spread, not known, not measured."""

from types import SimpleNamespace
from typing import Any

import pytest
from bs4 import BeautifulSoup

from rotnet_lib.report.answers import answer, answers
from rotnet_lib.report.cells import Cell, Row


def row(label: str, *values: float, images: int | None = None) -> Row:
    return Row(label, {"top1": Cell(None, list(values), images=images)})


BASE = row("all copies", 79.0, 81.0)


def test_a_higher_figure_is_said_to_be_higher() -> None:
    assert answer(BASE, [row("8 angles", 89.0, 91.0)]) == (
        "Beyond the seeds' spread 1 of 1 stand higher and 0 lower: all copies 80.00 ± 1.41; "
        "8 angles 90.00 ± 1.41 (+10.00 points, more than the seeds' spread)."
    )


def test_a_lower_figure_is_said_to_be_lower() -> None:
    text = answer(BASE, [row("8 angles", 69.0, 71.0)])
    assert text.startswith("Beyond the seeds' spread 0 of 1 stand higher and 1 lower:")
    assert "(-10.00 points, more than the seeds' spread)" in text


def test_a_difference_within_the_spread_is_none() -> None:
    assert answer(BASE, [row("8 angles", 79.5, 82.0)]) == (
        "No difference beyond the seeds' spread: all copies 80.00 ± 1.41; "
        "8 angles 80.75 ± 1.77 (+0.75 points, within the seeds' spread)."
    )


def test_those_beyond_the_spread_are_counted_among_all() -> None:
    text = answer(BASE, [row("up", 89.0, 91.0), row("same", 79.0, 81.5), row("down", 69.0, 71.0)])
    assert text.startswith("Beyond the seeds' spread 1 of 3 stand higher and 1 lower:")


@pytest.mark.parametrize(("base", "other"), [((80.0,), (90.0, 91.0)), ((80.0, 81.0), (90.0,)), ((80.0,), (90.0,))])
def test_with_one_seed_nothing_is_claimed(base: tuple[float, ...], other: tuple[float, ...]) -> None:
    text = answer(row("all copies", *base), [row("8 angles", *other)])
    assert text.startswith("With one seed no spread is known, so a small difference says nothing:")
    assert "points, spread unknown)" in text


def test_with_one_seed_the_images_tell_a_large_difference_from_a_small_one() -> None:
    """Of 400 images 80 % has an error of 2 points, 90 % of 1.5: two errors of the difference are 5."""
    base = row("all copies", 80.0, images=400)
    text = answer(base, [row("8 angles", 90.0, images=400), row("2 angles", 79.0, images=400)])
    assert text == (
        "Beyond the sampling error 1 of 2 stand higher and 0 lower; other seeds may differ: all copies 80.00; "
        "8 angles 90.00 (+10.00 points, more than the sampling error); "
        "2 angles 79.00 (-1.00 points, within the sampling error)."
    )
    assert answer(base, [row("2 angles", 79.0, images=400)]) == (
        "No difference beyond the sampling error: all copies 80.00; 2 angles 79.00 (-1.00 points, within the sampling error)."
    )


def test_with_several_seeds_the_images_count_too() -> None:
    """By the spread of the seeds alone 80.2 and 84.2 would be told apart."""
    base, other = row("all copies", 80.1, 80.3, images=400), row("8 angles", 84.1, 84.3, images=400)
    assert answer(base, [other]) == (
        "No difference beyond the error: all copies 80.20 ± 0.14; 8 angles 84.20 ± 0.14 (+4.00 points, within the error)."
    )


def test_an_error_rate_says_which_side_is_better() -> None:
    base, other = (Row(label, {"x": Cell(None, [v], better="lower", images=400)}) for label, v in (("a", 20.0), ("b", 9.0)))
    assert answer(base, [other]).startswith(
        "Beyond the sampling error 1 of 1 stand lower, which is better, and 0 higher; other seeds may differ: a 20.00;"
    )


@pytest.mark.parametrize(
    ("baseline", "others"), [(row("all copies"), [row("8 angles", 80.0)]), (BASE, [row("8 angles"), row("2 angles")])]
)
def test_without_both_sides_there_is_no_answer(baseline: Row, others: list[Row]) -> None:
    assert answer(baseline, others) == "Not measured yet."


def test_what_is_not_measured_is_named_behind_the_answer() -> None:
    text = answer(BASE, [row("8 angles", 89.0, 91.0), row("2 angles"), row("3 angles")])
    assert text.endswith("spread). Not measured: 2 angles, 3 angles.")
    assert "1 of 1 stand higher" in text


# --- On the page ---


def test_a_question_may_be_about_one_column_of_several() -> None:
    rows = [
        Row("one", {"conv1": Cell(None, [10.0, 11.0]), "conv2": Cell(None, [80.0, 81.0])}),
        Row("other", {"conv1": Cell(None, [90.0, 91.0]), "conv2": Cell(None, [80.0, 81.0])}),
    ]
    ask = {"baseline": "one", "against": ["other"]}
    questions = [{"ask": column, "column": column} | ask for column in ("conv1", "conv2")]
    report: Any = SimpleNamespace(suite={"questions": questions}, rows=rows)
    found = answers(report)
    assert found is not None
    page = BeautifulSoup(found.data, "html.parser")
    assert [heading.get_text() for heading in page.find_all("h2")] == ["conv1", "conv2"]
    first, second = (paragraph.get_text() for paragraph in page.find_all("p"))
    assert "other 90.50 ± 0.71 (+80.00 points, more than" in first
    assert "other 80.50 ± 0.71 (+0.00 points, within" in second
    assert len(page.find_all("img")) == 2


def shown(report: Any) -> list[tuple[str, str, bool]]:
    """Question, answer, and whether a picture follows."""
    html = answers(report)
    assert html is not None
    page = BeautifulSoup(html.data, "html.parser")
    found = []
    for heading in page.find_all("h2"):
        paragraph: Any = heading.find_next_sibling("p")
        following = paragraph.find_next_sibling()
        found.append((heading.get_text(), paragraph.get_text(), bool(following and following.name == "figure")))
    return found


def test_a_suite_that_asks_nothing_has_no_answers(made_up: Any) -> None:
    assert answers(made_up("table3").report()) is None


def test_every_question_is_asked_before_anything_is_measured(made_up: Any) -> None:
    suite = made_up("questions")
    found = shown(suite.report())
    assert [(ask, text) for ask, text, _ in found] == [(q.ask, "Not measured yet.") for q in suite.plan.suite.questions]
    assert len(found) == 9
    assert not any(picture for _, _, picture in found)


def test_an_answer_is_drawn_from_the_rows_its_question_names(made_up: Any) -> None:
    suite = made_up("questions", seeds=2)
    for seed in (0, 1):
        suite.finish("rotnet-nonlinear", 70.0 + seed, seed=seed)
        suite.finish("probe-jittered", 60.0 + seed, seed=seed)
        suite.finish("probe-grey", 90.0 + seed, seed=seed)
    found = {ask: (text, picture) for ask, text, picture in shown(suite.report())}
    jitter, picture = found["5. Does colour jitter help?"]
    assert picture
    assert jitter == (
        "Beyond the seeds' spread 0 of 1 stand higher and 1 lower: 4 right angles, all copies in one batch 70.50 ± 0.71; "
        "colour jitter in the pretext task 60.50 ± 0.71 (-10.00 points, more than the seeds' spread)."
    )
    colour, _ = found["6. Does RotNet need colour?"]
    assert "1 of 1 stand higher and 0 lower" in colour
    assert "Not measured: grey images in pretext task and probe." in colour
    assert found["9. Does a second pretext task help?"][0] == "Not measured yet."


def error(label: str, *values: float) -> Row:
    return Row(label, {"mse": Cell(None, list(values), unit="", better="lower")})


def test_where_lower_is_better_the_lower_figure_wins() -> None:
    text = answer(error("all", 0.5, 0.52), [error("one", 0.2, 0.22)])
    assert text == (
        "Beyond the seeds' spread 1 of 1 stand lower, which is better, and 0 higher: all 0.510 ± 0.014; "
        "one 0.210 ± 0.014 (-0.300, more than the seeds' spread)."
    )


def test_differences_are_in_the_figures_unit() -> None:
    rows = [Row(label, {"psnr": Cell(None, values, unit="dB")}) for label, values in (("a", [21.0]), ("b", [21.5]))]
    assert answer(rows[0], rows[1:]).endswith("a 21.00 dB; b 21.50 dB (+0.50 dB, spread unknown).")


def test_figures_of_different_units_are_not_compared() -> None:
    text = answer(row("all", 79.0, 81.0), [row("one", 90.0, 92.0), error("other", 0.2, 0.22)])
    assert text == (
        "Beyond the seeds' spread 1 of 1 stand higher and 0 lower: all 80.00 ± 1.41 percent; one 91.00 ± 1.41 "
        "(+11.00 points, more than the seeds' spread); other 0.210 ± 0.014 lower is better (another unit, not compared)."
    )
    assert answer(row("all", 79.0), [error("other", 0.2)]).startswith(
        "Nothing has figures in the baseline's unit: all 79.00 percent;"
    )

"""Questions are answered in words drawn from the figures: yes, no, a difference, none that can be told, not measured."""

from typing import Any

import pytest

from rotnet_lib.report.answer_words import answer, reservation
from rotnet_lib.report.cells import Cell, Row


def row(label: str, *values: float, images: int | None = None) -> Row:
    return Row(label, {"top1": Cell(None, list(values), images=images)})


BASE = row("all copies", 79.0, 81.0)


def test_a_sentence_says_which_is_higher_by_how_much_and_whether_that_is_more_than_the_error() -> None:
    assert answer(BASE, [row("8 angles", 89.0, 91.0)]) == (
        "A difference: “8 angles” is 10.00 points higher than “all copies” (90.00 against 80.00), more than the seeds' spread."
    )
    assert answer(BASE, [row("8 angles", 69.0, 71.0)]) == (
        "A difference: “8 angles” is 10.00 points lower than “all copies” (70.00 against 80.00), more than the seeds' spread."
    )


def test_within_the_spread_no_difference_can_be_told() -> None:
    assert answer(BASE, [row("8 angles", 79.5, 82.0)]) == (
        "No difference can be told: “8 angles” is 0.75 points higher than “all copies” (80.75 against 80.00), "
        "within the seeds' spread."
    )


def test_the_baseline_is_named_once() -> None:
    text = answer(BASE, [row("up", 89.0, 91.0), row("same", 79.0, 81.0)])
    assert text == (
        "A difference in part: “up” is 10.00 points higher than “all copies” (90.00 against 80.00), more than the seeds' "
        "spread; “same” is as high as “all copies” (80.00), within the seeds' spread."
    )


@pytest.mark.parametrize(
    ("yes", "values", "said"),
    [
        ("higher", [(89.0, 91.0)], "Yes"),
        ("lower", [(89.0, 91.0)], "No"),
        ("lower", [(69.0, 71.0)], "Yes"),
        ("higher", [(69.0, 71.0)], "No"),
        ("higher", [(79.0, 82.0)], "No difference can be told"),
        ("higher", [(89.0, 91.0), (79.0, 82.0)], "In part"),
        ("higher", [(89.0, 91.0), (69.0, 71.0)], "In part"),
        ("higher", [(79.0, 82.0), (69.0, 71.0)], "No"),
        (None, [(89.0, 91.0), (69.0, 71.0)], "A difference"),
    ],
)
def test_a_question_of_which_it_is_known_when_it_is_true_gets_a_yes_or_a_no(
    yes: Any, values: list[tuple[float, float]], said: str
) -> None:
    others = [row(f"row {number}", *pair) for number, pair in enumerate(values)]
    assert answer(BASE, others, yes).partition(":")[0] == said


@pytest.mark.parametrize(
    ("amount", "values", "said"),
    [
        ("higher", [(89.0, 91.0)], "By 10.0 points"),
        ("lower", [(69.0, 71.0)], "By 10.0 points"),
        ("lower", [(89.0, 91.0)], "Not at all"),
        ("higher", [(89.0, 91.0), (99.0, 100.0)], "By 10.0 to 19.5 points"),
        ("higher", [(89.0, 91.0), (79.0, 82.0)], "By up to 10.0 points"),
        ("higher", [(89.0, 91.0), (69.0, 71.0)], "By up to 10.0 points"),
        ("higher", [(79.0, 82.0)], "No difference can be told"),
    ],
)
def test_a_question_of_how_much_gets_an_amount(amount: Any, values: list[tuple[float, float]], said: str) -> None:
    others = [row(f"row {number}", *pair) for number, pair in enumerate(values)]
    assert answer(BASE, others, amount=amount).partition(":")[0] == said


def test_an_amount_has_its_unit_and_decimals() -> None:
    rows = [
        Row(label, {"psnr": Cell(None, list(values), unit="dB")})
        for label, values in (("a", (20.0, 20.2)), ("b", (23.0, 23.2)))
    ]
    assert answer(rows[0], rows[1:], amount="higher").startswith("By 3.00 dB: “b” is 3.00 dB higher than “a” (")


@pytest.mark.parametrize(("base", "other"), [((80.0,), (90.0, 91.0)), ((80.0, 81.0), (90.0,)), ((80.0,), (90.0,))])
def test_without_an_error_nothing_is_claimed(base: tuple[float, ...], other: tuple[float, ...]) -> None:
    rows = [row("all copies", *base), row("8 angles", *other)]
    text = answer(rows[0], rows[1:], "higher")
    assert text.startswith("Not decided, since the error of a difference is not known: “8 angles” is ")
    assert text.endswith(", with an unknown error.")
    assert reservation([rows, rows]) == "With one seed no spread is known, so a small difference says nothing."


def test_with_one_seed_the_images_tell_a_large_difference_from_a_small_one() -> None:
    """Of 400 images 80 % has an error of 2 points, 90 % of 1.5: two errors of the difference are 5."""
    base, far, near = (row(label, value, images=400) for label, value in (("all copies", 80.0), ("8", 90.0), ("2", 79.0)))
    assert answer(base, [far, near]) == (
        "A difference in part: “8” is 10.00 points higher than “all copies” (90.00 against 80.00), more than the sampling "
        "error; “2” is 1.00 points lower (79.00), within the sampling error."
    )
    assert reservation([[base, far, near]]) == (
        "Figures of one seed are compared by their sampling error: other seeds may differ."
    )


def test_with_several_seeds_the_images_count_too() -> None:
    """By the spread of the seeds alone 80.2 and 84.2 would be told apart."""
    base, other = row("all copies", 80.1, 80.3, images=400), row("8 angles", 84.1, 84.3, images=400)
    assert answer(base, [other]) == (
        "No difference can be told: “8 angles” is 4.00 points higher than “all copies” (84.20 against 80.20), within the error."
    )
    assert reservation([[base, other]]) == ""


def test_an_error_rate_says_which_side_is_better() -> None:
    base, other = (Row(label, {"x": Cell(None, [v], better="lower", images=400)}) for label, v in (("a", 20.0), ("b", 9.0)))
    assert answer(base, [other]) == (
        "A difference: “b” is 11.00 points lower, which is better, than “a” (9.00 against 20.00), more than the sampling error."
    )


@pytest.mark.parametrize(
    ("baseline", "others"), [(row("all copies"), [row("8 angles", 80.0)]), (BASE, [row("8 angles"), row("2 angles")])]
)
def test_without_both_sides_there_is_no_answer(baseline: Row, others: list[Row]) -> None:
    assert answer(baseline, others) == "Not measured yet."
    assert reservation([[baseline, *others]]) == ""


def test_what_is_not_measured_is_named_behind_the_answer() -> None:
    text = answer(BASE, [row("8 angles", 89.0, 91.0), row("2 angles"), row("3 angles")])
    assert text.endswith("spread. Not measured: “2 angles”, “3 angles”.")
    assert text.startswith("A difference:")


def error(label: str, *values: float) -> Row:
    return Row(label, {"mse": Cell(None, list(values), unit="", better="lower")})


def test_where_lower_is_better_the_lower_figure_wins() -> None:
    assert answer(error("all", 0.5, 0.52), [error("one", 0.2, 0.22)]) == (
        "A difference: “one” is 0.300 lower, which is better, than “all” (0.210 against 0.510), more than the seeds' spread."
    )


def test_differences_are_in_the_figures_unit() -> None:
    rows = [Row(label, {"psnr": Cell(None, values, unit="dB")}) for label, values in (("a", [21.0]), ("b", [21.5]))]
    assert "“b” is 0.50 dB higher than “a” (21.50 dB against 21.00 dB)" in answer(rows[0], rows[1:])


def test_figures_of_different_units_are_not_compared() -> None:
    text = answer(row("all", 79.0, 81.0), [row("one", 90.0, 92.0), error("other", 0.2, 0.22)])
    assert text == (
        "A difference: “one” is 11.00 points higher than “all” (91.00 against 80.00), more than the seeds' spread. "
        "“other” is of another unit and not compared (0.210 ± 0.014 lower is better)."
    )
    assert answer(row("all", 79.0), [error("other", 0.2)]).startswith(
        "Nothing has figures in the unit of “all” (79.00 percent). “other” is of another unit"
    )

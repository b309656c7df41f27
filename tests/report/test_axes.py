"""What columns count: where a cell stands on the axis, and the sentences that curves come down to."""

from typing import Any

import pytest

from rotnet_lib.report.axes import AXES
from rotnet_lib.report.cells import Cell, Row

EPOCHS, LABELS = AXES["epochs"], AXES["labels"]


def row(label: str, figures: dict[float, float | None]) -> Row:
    """Place on the axis -> figure."""
    cells = {f"{x:g}": Cell(None, [] if value is None else [value], x=x) for x, value in figures.items()}
    return Row(label, cells)


# --- Places ---


@pytest.mark.parametrize(("share", "place"), [(0.2, 20), (0.8, 80), (None, 100)])
def test_a_pretext_run_stands_at_its_fraction_of_its_epochs(share: float | None, place: float) -> None:
    assert EPOCHS.place({"epochs": 100}, None, share, None) == place


@pytest.mark.parametrize(("share", "place"), [(0.2, 20), (None, 100)])
def test_a_probe_stands_at_its_checkpoints_pretext_epoch_not_at_its_own_epochs(share: float | None, place: float) -> None:
    assert EPOCHS.place({"epochs": 50, "checkpoint": share}, {"epochs": 100}, None, None) == place


def test_a_fraction_is_rounded_to_whole_epochs_as_the_checkpoints_are() -> None:
    assert [EPOCHS.place({"epochs": 6}, None, share, None) for share in (0.2, 0.4, 0.6, 0.8)] == [1, 2, 4, 5]


def test_a_run_stands_at_its_labelled_images_a_class() -> None:
    assert LABELS.place({"labels_per_class": 20}, None, None, None) == 20


def test_all_labels_are_as_many_a_class_as_the_data_turned_out_to_have(made_up: Any) -> None:
    suite = made_up("figure5b")
    result = suite.finish("supervised-all", 90.0, train_images=4000)
    assert LABELS.place({"labels_per_class": None}, None, None, result) == 400


def test_all_labels_of_data_not_yet_seen_have_no_place() -> None:
    assert LABELS.place({"labels_per_class": None}, None, None, None) is None


# --- Sentences ---


def test_the_course_names_both_ends_of_every_row() -> None:
    text = EPOCHS.verdict([row("Rotation", {20: 70.0, 60: 90.0, 100: 80.0}), row("Objects", {20: 60.0, 100: 50.0})])
    assert text == "Rotation rises from 70.0 at 20 to 80.0 at 100; Objects falls from 60.0 at 20 to 50.0 at 100."


def test_a_course_that_ends_where_it_began_neither_rises_nor_falls() -> None:
    assert EPOCHS.verdict([row("Objects", {20: 60.0, 100: 60.0})]) == "Objects goes from 60.0 at 20 to 60.0 at 100."


def test_a_course_is_of_what_is_measured() -> None:
    text = EPOCHS.verdict([row("Objects", {20: None, 40: 50.0, 80: 60.0, 100: None})])
    assert text == "Objects rises from 50.0 at 40 to 60.0 at 80."


def test_the_crossing_names_where_the_first_row_is_above_and_where_not() -> None:
    text = LABELS.verdict([row("RotNet", {20: 70.0, 5000: 90.0}), row("Supervised", {20: 40.0, 5000: 92.0})])
    assert text == (
        "RotNet is above Supervised at 20 (70.0 against 40.0); "
        "RotNet is not above Supervised at 5000 (90.0 against 92.0) labelled images per class."
    )


def test_without_a_crossing_only_the_one_side_is_named() -> None:
    text = LABELS.verdict([row("RotNet", {20: 70.0, 100: 90.0}), row("Supervised", {20: 40.0, 100: 80.0})])
    assert "does not" not in text
    text = LABELS.verdict([row("RotNet", {20: 30.0, 100: 80.0}), row("Supervised", {20: 40.0, 100: 80.0})])
    assert text.startswith("RotNet is not above Supervised at 20 (30.0 against 40.0), 100 (80.0 against 80.0)")


def test_only_columns_that_both_rows_have_are_compared() -> None:
    text = LABELS.verdict([row("RotNet", {20: 70.0, 100: 90.0}), row("Supervised", {20: None, 100: 80.0, 400: 99.0})])
    assert text == "RotNet is above Supervised at 100 (90.0 against 80.0) labelled images per class."


@pytest.mark.parametrize(
    "rows",
    [
        [row("RotNet", {20: 70.0, 100: 90.0})],
        [row("RotNet", {20: 70.0, 100: 90.0}), row("Supervised", {400: 70.0, 1000: 90.0})],
    ],
    ids=["one-row", "no-shared-column"],
)
def test_where_no_column_is_shared_there_is_nothing_to_compare(rows: list[Row]) -> None:
    assert LABELS.verdict(rows) == "Nothing to compare yet."


def error(label: str, figures: dict[float, float]) -> Row:
    return Row(label, {f"{x:g}": Cell(None, [value], x=x, unit="", better="lower") for x, value in figures.items()})


def test_where_lower_is_better_a_course_that_falls_says_so() -> None:
    assert EPOCHS.verdict([error("Colours", {20: 0.5, 100: 0.25})]) == (
        "Colours falls, which is better, from 0.500 at 20 to 0.250 at 100."
    )


def test_where_lower_is_better_the_first_row_should_stand_below() -> None:
    text = LABELS.verdict([error("A", {20: 0.1, 100: 0.4}), error("B", {20: 0.3, 100: 0.2}), row("C", {20: 50.0})])
    assert text == (
        "A is below B at 20 (0.100 against 0.300); A is not below B at 100 (0.400 against 0.200) labelled images per class."
    )


# --- What the test images do not tell apart ---


def curve(label: str, figures: dict[float, float]) -> Row:
    """Of 400 images: two errors of a difference are 5 or 6 points here."""
    return Row(label, {f"{x:g}": Cell(None, [value], x=x, images=400) for x, value in figures.items()})


def test_a_course_within_the_error_says_so() -> None:
    text = EPOCHS.verdict([curve("Rotation", {20: 80.0, 100: 82.0}), curve("Objects", {20: 60.0, 100: 82.0})])
    assert text == (
        "Rotation rises from 80.0 at 20 to 82.0 at 100, within the sampling error; "
        "Objects rises from 60.0 at 20 to 82.0 at 100."
    )


def test_a_crossing_leaves_open_what_the_images_leave_open() -> None:
    text = LABELS.verdict(
        [curve("RotNet", {20: 70.0, 100: 82.0, 400: 80.0}), curve("Supervised", {20: 40.0, 100: 80.0, 400: 90.0})]
    )
    assert text == (
        "RotNet is above Supervised at 20 (70.0 against 40.0); "
        "RotNet is not above Supervised at 400 (80.0 against 90.0); "
        "RotNet and Supervised are within the sampling error of each other at 100 (82.0 against 80.0) "
        "labelled images per class."
    )

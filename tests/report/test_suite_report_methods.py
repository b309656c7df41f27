"""The page of a suite with rows for methods: which were asked for, how to get the others, where they are not as published."""

import json
from pathlib import Path
from typing import Any

import pytest

from rotnet_lib.report.published import published_table
from tests.methods import INSTANCE, SPLIT, use_methods
from tests.report.pages import page, text


@pytest.fixture(autouse=True)
def _three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_methods(tmp_path, monkeypatch, instance=INSTANCE, split=SPLIT)


def test_published_rows_keep_their_order_and_our_own_come_last(made_up: Any) -> None:
    suite = made_up("table5", methods="all")
    suite.finish("linear-split", 20.0)
    suite.finish("linear-instance", 30.0)
    rows = {row.label: row for row in suite.report().rows}
    assert list(rows) == ["Labels of drawn shapes", *list(published_table("table5"))[1:], "Decoupling"]
    ours, published = rows["Decoupling"].cells["conv1"], rows[INSTANCE["labels"]["table5"]].cells["conv1"]
    assert (ours.mean, ours.published) == (20.0, None)
    assert (published.mean, published.published) == (30.0, 16.2)
    assert "Not in the published table: Decoupling." in text(suite.report())


def test_a_method_that_is_not_asked_for_is_shown_as_published(made_up: Any) -> None:
    suite = made_up("table5", methods="split")
    rows = {row.label: row for row in suite.report().rows}
    cell = rows["RotNet"].cells["conv1"]
    assert (cell.published, cell.planned) == (18.8, 0)


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        (
            None,
            "Methods: RotNet (Gidaris et al., 2018). Not selected: RotNet with instances (METHODS=instance); "
            "Decoupling (METHODS=split). All: METHODS=all.",
        ),
        (
            "split,instance",
            "Methods: RotNet with instances; Decoupling. Not selected: RotNet (Gidaris",
        ),
    ],
)
def test_the_page_says_which_were_asked_for_and_how_to_get_the_others(methods: str | None, said: str, made_up: Any) -> None:
    assert said in text(made_up("table5", methods=methods).report())


def test_where_all_are_asked_for_there_are_no_others(made_up: Any) -> None:
    found = text(made_up("table5", methods="all").report())
    assert "Methods: RotNet (Gidaris et al., 2018); RotNet with instances; Decoupling." in found
    assert "Not selected" not in found


def test_a_suite_without_rows_for_methods_says_nothing_of_them(made_up: Any) -> None:
    assert "Methods" not in text(made_up("table1").report())


@pytest.mark.parametrize(("methods", "shown"), [(None, False), ("core,split", False), ("instance", True)])
def test_deviations_are_those_of_the_methods_that_have_rows(methods: str | None, shown: bool, made_up: Any) -> None:
    report = made_up("table5", methods=methods).report()
    headings = [heading.get_text() for heading in page(report).select("h2, h3")]
    assert ("Differences from the methods' papers" in headings) == shown
    assert ("The bank is that of Wu et al., 2018." in text(report)) == shown


@pytest.mark.parametrize(("suite", "own", "other"), [("table3", "small", "AlexNet"), ("table5", "AlexNet", "small")])
def test_deviations_are_those_of_the_tables_benchmark(suite: str, own: str, other: str, made_up: Any) -> None:
    said = " ".join(sentence for _, sentence in made_up(suite, methods="instance").report().method_deviations)
    assert own in said
    assert other not in said


def test_a_row_of_our_own_by_class_has_the_published_columns(made_up: Any) -> None:
    rows = {row.label: row for row in made_up("table9", methods="all").report().rows}
    assert list(rows["Decoupling"].cells) == list(rows["RotNet"].cells) == list(published_table("table9")["RotNet"])


def test_a_plan_from_before_there_were_methods_is_read(made_up: Any) -> None:
    suite = made_up("table5")
    document = json.loads(suite.path.read_text())
    del document["suite"]["methods"]
    for row in document["suite"]["rows"]:
        del row["published"]
    suite.path.write_text(json.dumps(document))
    assert suite.report().method_deviations == []

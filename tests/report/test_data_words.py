"""Titles and rows say what they were measured on."""

from typing import Any

import pytest

from tests.report.pages import text


def words(suite: Any) -> tuple[str, list[str]]:
    report = suite.report()
    return report.suite["title"], [row.label for row in report.rows if any(cell.planned for cell in row.cells.values())]


def test_labels_of_drawn_shapes_are_not_imagenets(made_up: Any) -> None:
    title, labels = words(made_up("table5"))
    assert title == "Table 5: drawn shapes, linear probes on the conv layers of AlexNets"
    assert labels[0] == "Labels of drawn shapes"


def test_before_a_result_says_more_it_is_what_the_plan_names(made_up: Any) -> None:
    assert words(made_up("table3", preset="short", dataset="fashion-mnist"))[0].startswith("Table 3: fashion-mnist, ")


def test_a_result_says_exactly_what_it_is(made_up: Any) -> None:
    suite = made_up("table3", preset="paper")
    suite.finish_all(title="CIFAR-10 (JPEG copy)")
    assert words(suite)[0] == "Table 3: CIFAR-10 (JPEG copy), unsupervised feature learning (4-block NIN)"


@pytest.mark.parametrize("name", ["table3", "table2"])
def test_the_published_data_keeps_the_published_words(name: str, made_up: Any) -> None:
    suite = made_up(name, preset="paper")
    suite.finish_all(title="CIFAR-10")
    title, labels = words(suite)
    assert title == suite.plan.suite.title
    assert labels == [row.label for row in suite.plan.suite.rows]


def test_two_sets_have_two_names_and_a_citation_of_other_labels_goes(made_up: Any) -> None:
    suite = made_up("table6", fingerprint=lambda config: config.dataset)
    title, labels = words(suite)
    assert title == (
        "Table 6: drawn shapes (set 1), linear probes on the conv layers of AlexNets trained on drawn shapes or on "
        "drawn shapes (set 1)"
    )
    assert labels[:2] == [
        "Labels of drawn shapes (set 1)",
        "Labels of drawn shapes",
    ]  # published: Places labels (Zhou et al., 2014)
    assert labels[-1] == "RotNet, pretext task on drawn shapes (set 1)"


def test_drawn_scenes_are_not_pascal_voc(made_up: Any) -> None:
    suite = made_up("table8", fingerprint=lambda config: config.dataset)
    assert words(suite)[0] == "Table 8: drawn scenes detection by class (average precision)"
    assert "PASCAL" not in text(suite.report()).replace("drawn scenes in place of PASCAL VOC", "")


def test_a_published_figure_stays_with_its_row(made_up: Any) -> None:
    rows = {row.label: row for row in made_up("table5").report().rows}
    assert rows["Labels of drawn shapes"].cells["conv1"].published == 19.3

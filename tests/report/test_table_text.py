"""A suite's table as Markdown and LaTeX."""

import re
from typing import Any

import pytest

from rotnet_lib.report.table_text import latex, markdown, summary, verdict_in
from rotnet_lib.runs.metrics import Metric


def cells(text: str) -> list[list[str]]:
    """The cells of a Markdown table, a list a line, without the rule below the headings."""
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines()]
    return [[cell.strip() for cell in line] for line in (lines[0], *lines[2:])]


def test_a_table_of_one_column_has_published_and_measured_figures_beside_each_other(made_up: Any) -> None:
    suite = made_up(seeds=2)
    suite.finish("supervised", 90.0, images=1000)
    suite.finish("supervised", 92.0, seed=1, images=1000)
    table = cells(markdown(suite.report()))
    assert table[0] == ["", "published", "measured: Top-1 accuracy (%)", "s.e.", "seeds"]
    lines = {line[0]: line[1:] for line in table}
    assert lines["Supervised NIN"] == ["92.8", "91.00 ± 1.41", "1.35", "2"]
    assert lines["RotNet + conv"] == ["91.16", "2 missing", "", "0"]
    assert lines["DCGAN (Radford et al., 2015)"] == ["82.8", "", "", ""]
    assert list(lines)[1:] == [row.label for row in suite.report().rows]


def test_decimal_points_stand_below_each_other(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 7.5)
    suite.finish("rotnet-conv", 88.25)
    lines = markdown(suite.report()).splitlines()
    assert len({len(line) for line in lines}) == 1
    found = {line: [match.start() for match in re.finditer(r"(?<=\d)\.\d", line)] for line in lines}
    measured = [places for line, places in found.items() if "Supervised NIN" in line or "| RotNet + conv  " in line]
    assert len(measured) == 2
    assert measured[0] == measured[1]
    assert len(measured[0]) == 2  # published, measured


def test_columns_beside_each_other_have_a_line_for_each_kind_of_figure(made_up: Any) -> None:
    suite = made_up("table5")
    suite.finish("linear-random", {f"conv{n}_top1": 10.0 * n for n in range(1, 6)}, images=1000)
    table = cells(markdown(suite.report()))
    assert table[0] == ["Top-1 accuracy (%)", "", "conv1", "conv2", "conv3", "conv4", "conv5"]
    of_random = {line[1]: line[2:] for line in table if line[0] == "Random"}
    assert list(of_random) == ["published", "measured", "s.e."]
    assert of_random["published"][0] == "11.6"
    assert of_random["measured"] == ["10.00", "20.00", "30.00", "40.00", "50.00"]
    assert of_random["s.e."][0] == "0.95"
    assert [line[1] for line in table if line[0].startswith("Jigsaw")] == ["published"]


def test_of_many_columns_each_figure_has_a_line(made_up: Any) -> None:
    suite = made_up("table9")
    classes = {f"class {n}": 50.0 + n for n in range(10)}
    suite.finish("supervised", 54.5, by_target=classes, images=1000)
    table = cells(markdown(suite.report()))
    assert ["Supervised", "class 3", "53.00", "4.99"] in table


def test_figures_of_several_units_say_their_own(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 21.5, like=Metric(unit="dB"))
    suite.finish("rotnet-conv", 50.0)
    figures = [line[2] for line in cells(markdown(suite.report()))]
    assert "21.50 dB" in figures
    assert "50.00 percent" in figures


def test_a_name_may_hold_what_markdown_and_latex_take_for_their_own(made_up: Any) -> None:
    suite = made_up("table9")
    suite.finish("supervised", 54.5, by_target={f"a|b_{n} & 5 %": 50.0 for n in range(10)}, images=1000)
    assert "a\\|b_3 & 5 %" in markdown(suite.report())
    assert r"a|b\_3 \& 5 \%" in latex(suite.report())


def test_the_latex_table_is_one_of_booktabs(made_up: Any) -> None:
    suite = made_up(seeds=2)
    suite.finish("supervised", 90.0)
    suite.finish("supervised", 92.0, seed=1)
    suite.finish("rotnet-conv", 85.5)
    text = latex(suite.report())
    assert text.count(r"\begin") == text.count(r"\end") == 2
    lines = text.splitlines()
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert lines.count(rule) == 1
    [columns] = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
    body = [line for line in lines if line.endswith(r" \\")]
    assert len(body) == 1 + len(suite.report().rows)
    assert {len(re.split(r"(?<!\\)&", line)) for line in body} == {len(columns)}
    assert r"Supervised NIN & 92.8\phantom{6} & 91.00 $\pm$ 1.41 & 2 \\" in body
    assert r"85.50\phantom{ $\pm$ 1.41}" in text


@pytest.mark.parametrize("suite", ["table3", "table5", "table7", "table9", "figure5a", "figure5b", "questions", "inspect"])
def test_a_suite_of_which_nothing_is_measured_has_its_table_too(suite: str, made_up: Any) -> None:
    report = made_up(suite).report()
    table = cells(markdown(report))
    assert len({len(line) for line in table}) == 1
    assert len(table) > 1
    assert r"\bottomrule" in latex(report)


def test_the_summary_says_what_was_measured_on_which_data_and_how_far_it_is(made_up: Any) -> None:
    suite = made_up(set="epochs=3")
    suite.finish("supervised", 91.5, images=1000)
    suite.finish("rotnet-conv", 80.0, images=1000)
    report = suite.report()
    text = summary(report)
    assert text.startswith(f"## {report.suite['title']}\n\n{report.verdict}\n\n| ")
    assert markdown(report) in text
    assert "On made up, preset quick. 2 of 7 runs finished." in text
    assert "not the published experiment" in text
    assert "s.e.: standard error in points" in text
    assert verdict_in(text) == report.verdict

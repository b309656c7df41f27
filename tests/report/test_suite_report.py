"""The table: published beside measured, what is missing, and on what it was measured."""

import math
import os
from typing import Any

import pandas as pd
import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.report.cells import Cell
from rotnet_lib.report.published import published_table
from rotnet_lib.report.report_config import ReportConfig
from rotnet_lib.report.suite_page import summary
from rotnet_lib.report.suite_report import SuiteReport
from tests.report.pages import cells, page, text

LABELS = {
    "supervised": "Supervised NIN",
    "random-conv": "Random Init. + conv",
    "rotnet-nonlinear": "RotNet + non-linear",
    "rotnet-conv": "RotNet + conv",
    "finetuned-nonlinear": "RotNet + non-linear (fine-tuned)",
    "finetuned-conv": "RotNet + conv (fine-tuned)",
}


def cell_of(report: SuiteReport, key: str) -> Cell:
    """The one figure of a row of table 3."""
    [cell] = next(row for row in report.rows if row.label == LABELS[key]).cells.values()
    return cell


# --- Rows ---


def test_all_published_rows_stand_there_in_their_order(made_up: Any) -> None:
    suite = made_up()
    suite.finish_all()
    rows = suite.report().rows
    assert [row.label for row in rows] == list(published_table("table3"))
    assert {row.label: {c: cell.published for c, cell in row.cells.items()} for row in rows} == published_table("table3")
    others = [row.cells["top1"] for row in rows if row.label not in LABELS.values()]
    assert len(others) == 4
    assert all((cell.planned, cell.mean, cell.difference) == (0, None, None) for cell in others)


def test_mean_and_deviation_over_seeds(made_up: Any) -> None:
    suite = made_up(seeds=3)
    for seed, (last, best) in enumerate([(80.0, 85.0), (82.0, 86.0), (87.0, 87.0)]):
        suite.finish("rotnet-conv", last, best=best, seed=seed)
    cell = cell_of(suite.report(), "rotnet-conv")
    assert cell.values == [80.0, 82.0, 87.0]
    assert cell.bests == [85.0, 86.0, 87.0]
    assert (cell.n, cell.planned) == (3, 3)
    line = cells(suite.report())["RotNet + conv"]
    assert line["published"] == "91.16"
    assert line["measured"] == "83.00 ± 3.61"
    assert line["best epoch"] == "86.00"
    assert (cell.difference_text, line["seeds"]) == ("-8.16", "3")


def test_one_seed_has_no_deviation(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 95.5, best=97.25)
    report = suite.report()
    line = cells(report)["Supervised NIN"]
    assert (line["measured"], line["best epoch"]) == ("95.50", "97.25")


def test_only_the_published_experiment_is_held_against_published_figures(made_up: Any) -> None:
    suite = made_up(preset="paper")
    suite.finish_all(title="CIFAR-10")
    assert cells(suite.report())["Supervised NIN"]["difference"] == "-42.80"
    small = made_up()
    small.finish_all()
    line = cells(small.report())["Supervised NIN"]
    assert "difference" not in line
    assert line["published"] == "92.8"


def test_what_is_alike_in_all_rows_has_no_column(made_up: Any) -> None:
    suite = made_up(seeds=2)
    suite.finish_all(images=900)
    assert list(cells(suite.report())["Supervised NIN"]) == [
        "Top-1 accuracy (%)",
        "published",
        "measured",
        "standard error",
    ]


def test_a_figure_leads_to_its_run_and_a_failure_to_its_cause(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 90.0)
    suite.fail("rotnet-conv")
    report = suite.report()
    [table] = page(report).select("table.figures")
    links = {link.get_text(): str(link["href"]) for link in table.select("a")}
    assert links == {
        "90.00": f"../{suite.run('supervised').name}/report.html",
        "failed": f"../{suite.run('rotnet-conv').name}/report.html",
    }


def test_a_mean_leads_to_the_list_of_its_runs(made_up: Any) -> None:
    suite = made_up(seeds=2)
    for seed in range(2):
        suite.finish("supervised", 90.0 + seed, seed=seed)
    [table] = page(suite.report()).select("table.figures")
    assert table.select("a")[0]["href"] == "#run-supervised"
    assert page(suite.report()).select("#run-supervised")


def test_the_page_says_what_made_it(made_up: Any) -> None:
    suite = made_up("table5", preset="quick", seeds=2, set="epochs=20 probe.lr=0.05", methods="all")
    assert "make reproduce-table5 PRESET=quick METHODS=all SEEDS=2 SET='epochs=20 probe.lr=0.05'" in text(suite.report())


def test_seeds_are_said_where_they_are_not_as_many_as_the_suite_has_by_itself(made_up: Any) -> None:
    assert "make reproduce-questions PRESET=quick SEEDS=1" in text(made_up("questions", preset="quick", seeds=1).report())
    thrice = text(made_up("questions", preset="quick", seeds=3).report())
    assert "make reproduce-questions PRESET=quick" in thrice
    assert "SEEDS" not in thrice


def test_the_headline_is_the_last_epoch_not_the_best(made_up: Any) -> None:
    suite = made_up()
    suite.finish("rotnet-conv", 60.0, best=90.0)
    assert cell_of(suite.report(), "rotnet-conv").mean == 60.0


def test_what_is_not_finished_says_why_in_its_row(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 90.0)
    suite.fail("rotnet-conv")
    lines = cells(suite.report())
    assert lines["RotNet + conv"]["measured"] == "failed"
    assert (lines["RotNet + conv"]["seeds"], lines["Supervised NIN"]["seeds"]) == ("0 of 1", "1")
    assert lines["Random Init. + conv"]["measured"] == "missing"
    assert lines["DCGAN (Radford et al., 2015)"]["measured"] == lines["DCGAN (Radford et al., 2015)"]["seeds"] == ""
    assert lines["DCGAN (Radford et al., 2015)"]["published"] == "82.8"


def test_seeds_that_are_missing_are_counted(made_up: Any) -> None:
    suite = made_up(seeds=3)
    suite.finish("rotnet-conv", 80.0, seed=1)
    suite.fail("rotnet-conv", seed=0)
    suite.fail("random-conv", seed=0)
    report = suite.report()
    cell = cell_of(report, "rotnet-conv")
    assert (cell.n, cell.planned, cell.mean, cell.std) == (1, 3, 80.0, None)
    assert cell.unfinished == "1 failed, 1 missing"
    assert cells(report)["RotNet + conv"]["seeds"] == "1 of 3"
    assert cells(report)["Random Init. + conv"]["measured"] == "1 failed, 2 missing"


def test_every_run_is_listed_with_its_state_and_a_link(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 90.0)
    suite.fail("rotnet")
    report = suite.report()
    runs = page(report).select("table")[-1]
    lines = [[cell.get_text() for cell in line.select("th, td")] for line in runs.select("tbody tr")]
    states = {line[0]: line[3] for line in lines}
    assert {line[0]: line[1] for line in lines}["rotnet-conv"] == "RotNet + conv"
    assert states == dict.fromkeys(suite.plan.suite.runs, "missing") | {"supervised": "finished", "rotnet": "failed"}
    links = [str(link["href"]) for link in runs.select("a")]
    assert len(links) == 2
    assert all((report.path.parent / link).is_file() for link in links)


# --- What the figures are, and are not ---


def test_a_small_run_does_not_look_like_the_published_one(made_up: Any) -> None:
    suite = made_up()
    suite.finish_all()
    report = suite.report()
    notice = page(report).find(class_="notice")
    assert notice is not None
    assert "made up" in notice.get_text()
    assert "not the published experiment" in notice.get_text()
    # Before any figure.
    assert summary(report).data.index("not the published experiment") < summary(report).data.index("<table")


@pytest.mark.parametrize(
    "text_",
    [
        "rotnet.epochs=99",
        "train_size=10000",
        "random-conv.lr=0.05",
        "width=0.5",
        "rotnet.arch=nin5",
        "finetuned-conv.labels_per_class=20",
    ],
)
def test_the_published_data_with_anything_changed_is_not_the_published_experiment(text_: str, made_up: Any) -> None:
    suite = made_up(preset="paper", set=text_)
    suite.finish_all(title="CIFAR-10")
    assert "not the published experiment" in text(suite.report())


def test_the_published_experiment_itself_has_no_such_notice(made_up: Any) -> None:
    suite = made_up(preset="paper")
    suite.finish_all(title="CIFAR-10")
    report = suite.report()
    assert "not the published experiment" not in text(report)
    assert "No parameter differs from the protocol." in text(report)
    assert report.differences == []


def test_before_anything_is_finished_nothing_is_claimed(made_up: Any) -> None:
    report = made_up(preset="paper").report()
    assert "no data yet" in text(report)
    assert report.verdict == "Nothing to compare yet. 0 of 6 figures are measured."
    assert "No parameter differs" not in text(report)


def test_what_differs_from_the_protocol_is_listed_with_the_runs(made_up: Any) -> None:
    suite = made_up(preset="paper", set="train_size=10000 rotnet.epochs=20 probe.lr_milestones=[0.5, 0.75]")
    suite.finish_all(title="CIFAR-10")
    report = suite.report()
    found = {entry["name"]: entry for entry in report.differences if entry["name"] != "lr_milestones"}
    assert found == {
        "train_size": {"name": "train_size", "protocol": "all", "here": "10000", "runs": "all"},
        "epochs": {"name": "epochs", "protocol": "100", "here": "20", "runs": "rotnet"},
    }
    milestones = {(e["protocol"], e["here"]): e["runs"] for e in report.differences if e["name"] == "lr_milestones"}
    assert milestones == {
        ("0.35, 0.7, 0.85", "0.5, 0.75"): "random-conv, rotnet-conv",
        ("0.4, 0.8, 0.9", "0.5, 0.75"): "rotnet-nonlinear",
    }
    lines = cells(report, table=1)
    assert lines["train_size"] == {"parameter": "train_size", "protocol": "all", "here": "10000", "runs": "all"}


def test_a_copy_of_the_data_with_other_pixels_is_not_the_published_data(made_up: Any) -> None:
    suite = made_up(preset="paper")
    suite.finish_all(title="CIFAR-10 (JPEG copy)")
    report = suite.report()
    assert "not the published experiment" in text(report)
    assert report.differences == [{"name": "data", "protocol": "CIFAR-10", "here": "CIFAR-10 (JPEG copy)", "runs": "all"}]


def test_another_experiment_in_a_row_is_listed(made_up: Any) -> None:
    suite = made_up(preset="paper", set="rotnet.arch=nin5 finetuned-conv.labels_per_class=20")
    suite.finish_all(title="CIFAR-10")
    assert suite.report().differences == [
        {"name": "arch", "protocol": "nin4", "here": "nin5", "runs": "rotnet"},
        {"name": "labels_per_class", "protocol": "all", "here": "20", "runs": "finetuned-conv"},
    ]


def test_the_claim_comes_first_then_how_the_order_agrees(made_up: Any) -> None:
    suite = made_up()
    # Published: 92.80, 72.50, 91.16. Measured: the first pair is turned round.
    suite.finish("supervised", 60.0)
    suite.finish("random-conv", 70.0)
    suite.finish("rotnet-conv", 80.0)
    report = suite.report()
    assert report.claims == [
        "RotNet + conv reaches 80.0 %, 20.0 points above Supervised NIN (60.0) and 10.0 points above "
        "Random Init. + conv (70.0)."
    ]
    assert report.observations == (
        "Highest RotNet + conv (80.0), lowest Supervised NIN (60.0). 3 of 6 figures are measured. "
        "Order against the published figures, Kendall's tau (3 rows): -0.33."
    )
    assert page(report).select(".lead")[0].get_text() == report.claims[0]


def test_the_page_names_data_machine_versions_and_the_citation(made_up: Any) -> None:
    suite = made_up()
    suite.finish_all()
    shown = text(suite.report())
    for part in (
        "4,000 training and 1,000 test images",
        "Some processor",
        "abcdef012345",
        "torch 2.15.0",
        "ICLR 2018",
        "quick",
    ):
        assert part in shown
    assert "processes" not in shown


def test_the_page_names_several_processes(made_up: Any) -> None:
    suite = made_up()
    result = suite.finish("supervised", 90.0)
    result.environment.processes = 2
    suite.run("supervised").directory.save(result)
    assert "Some processor, CPU threads per run: 1 in each of 2 processes" in text(suite.report())


def test_names_are_escaped(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 90.0, title="<b>my</b> photos & more")
    html = summary(suite.report()).data
    assert "&lt;b&gt;my&lt;/b&gt; photos &amp; more" in html
    assert "<b>my</b>" not in html


# --- As data ---


def test_the_table_is_written_beside_the_plan(made_up: Any) -> None:
    suite = made_up(seeds=2)
    suite.finish("supervised", 90.0, best=91.0)
    suite.finish("supervised", 91.0, best=92.0, seed=1)
    report = suite.report()
    report.save()
    table = pd.read_csv(report.path.parent / "table.csv").set_index("row")
    assert list(table.index) == list(published_table("table3"))
    assert set(table.pop("column")) == {"top1"}
    unit, better = table.pop("unit"), table.pop("better")
    assert table[["images", "sampling_error", "standard_error"]].isna().all(axis=None)  # the results do not say
    table = table.drop(columns=["images", "sampling_error", "standard_error"])
    line = table.loc["Supervised NIN"]
    assert line.to_dict() == pytest.approx(
        {"published": 92.8, "measured": 90.5, "std": 0.5**0.5, "n": 2, "difference": math.nan, "best_epoch": 91.5}, nan_ok=True
    )
    assert (set(unit), set(better)) == ({"%"}, {"higher"})
    assert table["measured"].notna().sum() == 1


def test_histories_hold_every_epoch_of_every_finished_run(made_up: Any) -> None:
    suite = made_up(seeds=2)
    suite.finish("supervised", 90.0, best=95.0)
    suite.finish("rotnet", 80.0, seed=1)
    suite.fail("rotnet-conv")
    histories = suite.report().histories
    assert histories.to_dict("list") == {
        "run": ["supervised"] * 3 + ["rotnet"] * 3,
        "seed": [0] * 3 + [1] * 3,
        "metric": ["top1"] * 3 + ["rotation_top1"] * 3,
        "measure": ["accuracy (%)"] * 6,
        "epoch": [1, 2, 3] * 2,
        "value": [45.0, 95.0, 90.0, 40.0, 80.0, 80.0],
    }


# --- Which plan ---


def test_without_a_plan_the_newest_of_the_suite_is_taken(made_up: Any) -> None:
    older, newer = made_up(), made_up(set="epochs=7")
    os.utime(older.path, (1000, 1000))
    assert SuiteReport(ReportConfig()).path.samefile(newer.path)
    os.utime(newer.path, (500, 500))
    assert SuiteReport(ReportConfig()).path.samefile(older.path)


def test_no_plan_says_what_makes_one() -> None:
    with pytest.raises(RotnetError, match=r"no plan of suite 'table3'.*make reproduce-table3"):
        SuiteReport(ReportConfig())


def test_grey_images_are_an_experiment_of_the_suites_own(made_up: Any) -> None:
    suite = made_up("questions", preset="paper")
    for run in suite.plan.runs:
        suite.finish(run.key, 80.0, title="CIFAR-10, grey" if run.config.grey else "CIFAR-10")
    report = suite.report()
    assert report.differences == []
    assert report.comparable


def test_a_run_of_another_task_has_no_figure_and_says_so(made_up: Any) -> None:
    suite = made_up("figure5a")
    suite.finish("rotnet", {"flip_top1": 90.0})
    suite.finish("probe-all", 70.0)
    cells = suite.report().rows[0].cells
    assert {cell.mean for cell in cells.values()} == {None}
    assert {cell.unfinished for cell in cells.values()} == {"finished without rotation_top1"}
    assert "finished without rotation_top1" in summary(suite.report()).data


@pytest.mark.parametrize(("suite", "columns"), [("table9", "10"), ("table3", None)])
def test_a_table_of_many_columns_says_how_many_for_printing(made_up: Any, suite: str, columns: str | None) -> None:
    made = made_up(suite)
    made.finish_all(by_target={f"class {number}": 50.0 for number in range(10)})
    [table] = page(made.report()).select("table.figures")
    assert table.get("style") == (f"--columns: {columns}" if columns else None)
    assert ("many" in table["class"]) == (columns is not None)

"""Reports of several columns: by layer, by class, over labels and epochs."""

from typing import Any

import pandas as pd
import pytest

from rotnet_lib.report.published import published_table
from tests.report.pages import below, cells, page, text

# --- A table of several columns: table 1 ---


def test_table1_has_a_column_a_block_and_leaves_out_blocks_a_net_has_not(made_up: Any) -> None:
    report = made_up("table1").report()
    assert {row.label: list(row.cells) for row in report.rows} == {
        f"RotNet with {blocks} conv. blocks": [f"conv{n}" for n in range(1, blocks + 1)] for blocks in (3, 4, 5)
    }
    assert list(report.columns.values()) == ["conv1", "conv2", "conv3", "conv4", "conv5"]


def test_a_cell_of_the_matrix_is_the_layers_own_metric_of_the_rows_run(made_up: Any) -> None:
    suite = made_up("table1")
    suite.finish("probe4", {"conv1_top1": 81.0, "conv2_top1": 82.0, "conv3_top1": 83.0, "conv4_top1": 84.0}, best=90.0)
    report = suite.report()
    four = cells(report)["RotNet with 4 conv. blocks"]
    assert (four["conv2"], four["conv4"], four["conv5"]) == ("82.00", "84.00", "")
    assert below(report, "RotNet with 4 conv. blocks") == {
        "conv1": "85.07",
        "conv2": "89.06",
        "conv3": "86.21",
        "conv4": "61.73",
        "conv5": "",
    }
    assert cells(report)["RotNet with 3 conv. blocks"]["conv1"] == "missing"
    assert below(report, "RotNet with 3 conv. blocks")["conv1"] == "85.45"


def test_the_best_epoch_of_a_cell_is_its_note(made_up: Any) -> None:
    suite = made_up("table1")
    suite.finish("probe4", 82.0, best=90.0, images=900)
    [note, *_] = [cell["title"] for cell in page(suite.report()).select("table.figures td[title]")]
    assert note == "standard error 1.28; best epoch: 90.00"


def test_the_published_experiment_has_differences_below(made_up: Any) -> None:
    suite = made_up("table1", preset="paper")
    suite.finish_all(title="CIFAR-10")
    assert below(suite.report(), "RotNet with 4 conv. blocks", "difference")["conv2"] == "-39.06"


def test_the_matrix_says_how_many_seeds_are_missing(made_up: Any) -> None:
    suite = made_up("table1", seeds=3)
    suite.finish("probe3", 70.0, seed=2)
    assert cells(suite.report())["RotNet with 3 conv. blocks"]["conv1"] == "70.00 (1 of 3)"


def test_the_verdict_of_the_matrix_goes_by_column(made_up: Any) -> None:
    suite = made_up("table1")
    suite.finish("probe3", {"conv1_top1": 60.0, "conv2_top1": 80.0, "conv3_top1": 50.0})
    assert suite.report().verdict == "Nothing to compare yet. 3 of 12 figures are measured."  # one row
    suite.finish("probe4", {"conv1_top1": 70.0, "conv2_top1": 75.0, "conv3_top1": 55.0, "conv4_top1": 50.0})
    assert suite.report().verdict == (
        "conv1: highest RotNet with 4 conv. blocks (70.0), lowest RotNet with 3 conv. blocks (60.0); conv2: highest RotNet "
        "with 3 conv. blocks (80.0), lowest RotNet with 4 conv. blocks (75.0); conv3: highest RotNet with 4 conv. blocks "
        "(55.0), lowest RotNet with 3 conv. blocks (50.0). 7 of 12 figures are measured."
    )


def test_the_matrix_as_data_has_a_line_a_figure(made_up: Any) -> None:
    suite = made_up("table1", preset="paper")
    suite.finish("probe5", 50.0, best=60.0, title="CIFAR-10")
    report = suite.report()
    report.save()
    table = pd.read_csv(report.path.parent / "table.csv")
    assert len(table) == 3 + 4 + 5
    line = table[(table["row"] == "RotNet with 5 conv. blocks") & (table["column"] == "conv4")].iloc[0].to_dict()
    figures = {name: line[name] for name in ("published", "measured", "n", "difference", "best_epoch")}
    assert figures == pytest.approx({"published": 74.5, "measured": 50.0, "n": 1, "difference": -24.5, "best_epoch": 60.0})
    assert pd.isna(line["std"])


# --- A table by class: table 9 ---

CLASSES = {"cat": 60.0, "ship": 90.0, "frog": 75.0}


def test_table9_has_a_column_a_class(made_up: Any) -> None:
    suite = made_up("table9", seeds=2)
    suite.finish("supervised", 75.0, by_target=CLASSES)
    suite.finish("supervised", 75.0, by_target={"cat": 62.0, "ship": 90.0, "frog": 73.0}, seed=1)
    report = suite.report()
    assert list(report.columns) == list(CLASSES)
    [supervised, _] = report.rows
    assert {name: cell.values for name, cell in supervised.cells.items()} == {
        "cat": [60.0, 62.0],
        "ship": [90.0, 90.0],
        "frog": [75.0, 73.0],
    }
    assert cells(report)["Supervised"]["cat"] == "61.00 ± 1.41"


def test_a_row_by_class_that_is_not_measured_stands_in_the_columns_of_those_that_are(made_up: Any) -> None:
    """The source names CIFAR-10's classes in its own words: they would stand beside the data's."""
    suite = made_up("table9")
    suite.finish("supervised", 75.0, by_target=CLASSES)
    assert cells(suite.report())["RotNet"] == {"Top-1 accuracy (%)": "RotNet"} | dict.fromkeys(CLASSES, "missing")


def test_before_anything_is_measured_the_columns_are_the_published_classes(made_up: Any) -> None:
    assert list(made_up("table9").report().columns) == list(published_table("table9")["RotNet"])


def test_the_verdict_by_class_names_the_best_and_the_worst(made_up: Any) -> None:
    suite = made_up("table9")
    suite.finish("supervised", 75.0, by_target=CLASSES)
    suite.finish("rotnet-conv", 75.0, by_target={"cat": 95.0, "ship": 80.0, "frog": 81.0})
    assert suite.report().verdict == (
        "Supervised: 75.0 overall, highest ship (90.0), lowest cat (60.0); "
        "RotNet: 75.0 overall, highest cat (95.0), lowest ship (80.0)."
    )


def test_a_row_by_rotation_that_is_not_measured_is_one_figure_to_come(made_up: Any) -> None:
    """Nothing published, nothing measured: which rotations there are is not known yet."""
    suite = made_up("inspect")
    suite.fail("inspect")
    report = suite.report()
    assert "0 of 1 figures are measured." in report.verdict
    assert "failed" in text(report)


def test_a_run_that_trains_nothing_is_reported_by_rotation(made_up: Any) -> None:
    suite = made_up("inspect")
    suite.finish("inspect", 70.0, by_target={"0 degrees": 80.0, "90 degrees": 60.0}, trained=False)
    report = suite.report()
    assert list(report.columns) == ["0 degrees", "90 degrees"]
    assert "0 s of training steps" in text(report)
    assert report.histories.empty


# --- Figures 5a and 5b ---

COURSE = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0]


def test_a_figure_part_way_is_that_epochs_in_the_history(made_up: Any) -> None:
    suite = made_up("figure5a", set="pretrain.epochs=10")
    suite.finish("rotnet", 95.0, course=COURSE)
    [rotation, _] = suite.report().rows
    assert {cell.x: cell.mean for cell in rotation.cells.values()} == {2: 20.0, 4: 40.0, 6: 60.0, 8: 80.0, 10: 95.0}


def test_a_figure_part_way_is_every_seeds(made_up: Any) -> None:
    suite = made_up("figure5a", set="pretrain.epochs=10", seeds=2)
    suite.finish("rotnet", 95.0, course=COURSE)
    suite.finish("rotnet", 95.0, course=[value + 2 for value in COURSE], seed=1)
    [rotation, _] = suite.report().rows
    assert rotation.cells["0.4"].values == [40.0, 42.0]


def test_a_figure_part_way_of_a_run_that_is_not_finished_is_missing(made_up: Any) -> None:
    [rotation, _] = made_up("figure5a").report().rows
    assert (rotation.cells["0.4"].mean, rotation.cells["0.4"].unfinished) == (None, "missing")


def test_the_columns_of_figure5a_are_pretext_epochs(made_up: Any) -> None:
    report = made_up("figure5a", preset="paper").report()
    assert list(report.columns.values()) == ["20", "40", "60", "80", "100"]
    assert list(cells(report)["Objects (non-linear probe on conv2)"])[:2] == ["pretext epochs", "20"]


def test_the_probes_of_figure5a_stand_under_the_epochs_of_their_checkpoints(made_up: Any) -> None:
    suite = made_up("figure5a", set="pretrain.epochs=10")
    suite.finish("probe-0.2", 51.0)
    suite.finish("probe-all", 55.0)
    found = cells(suite.report())["Objects (non-linear probe on conv2)"]
    assert (found["2"].split()[0], found["4"], found["10"].split()[0]) == ("51.00", "missing", "55.00")


def test_the_verdict_of_figure5a_is_the_course_of_its_rows(made_up: Any) -> None:
    suite = made_up("figure5a", set="pretrain.epochs=10")
    suite.finish("rotnet", 95.0, course=COURSE)
    assert suite.report().verdict == (
        "Rotation (pretext task) rises from 20.0 at 2 to 95.0 at 10. 5 of 10 figures are measured."
    )


def test_the_columns_of_figure5b_are_labels_a_class_and_all_is_what_the_data_has(made_up: Any) -> None:
    suite = made_up("figure5b")
    assert list(suite.report().columns.values()) == ["5", "20", "100", "all"]
    suite.finish("rotnet-all", 70.0, train_images=4000)  # of 10 classes
    assert list(suite.report().columns.values()) == ["5", "20", "100", "400"]


def test_the_verdict_of_figure5b_says_where_rotnet_stands_above(made_up: Any) -> None:
    suite = made_up("figure5b")
    for labels, rotnet, supervised in (("5", 50.0, 30.0), ("all", 80.0, 90.0)):
        suite.finish(f"rotnet-{labels}", rotnet)
        suite.finish(f"supervised-{labels}", supervised)
    assert suite.report().verdict == (
        "RotNet + conv (pretext task on all images) is above Supervised NIN at 5 "
        "(50.0 against 30.0); RotNet + conv (pretext task on all images) is not above Supervised NIN at 400 "
        "(80.0 against 90.0) "
        "labelled images per class. 4 of 8 figures are measured."
    )


def test_one_column_of_a_curve_is_nothing_to_compare(made_up: Any) -> None:
    suite = made_up("figure5b")
    suite.finish("rotnet-5", 50.0)
    suite.finish("supervised-5", 30.0)
    assert suite.report().verdict == "Nothing to compare yet. 2 of 8 figures are measured."


def test_one_row_of_a_curve_is_nothing_to_compare(made_up: Any) -> None:
    suite = made_up("figure5b")
    suite.finish("rotnet-5", 50.0)
    suite.finish("rotnet-20", 60.0)
    assert suite.report().verdict == "Nothing to compare yet. 2 of 8 figures are measured."


def test_a_presets_sweep_is_listed_as_a_difference(made_up: Any) -> None:
    report = made_up("figure5b").report()
    entry = {"name": "labels", "protocol": "20, 100, 400, 1000, all", "here": "5, 20, 100, all", "runs": "all"}
    assert entry in report.differences
    assert "labels" not in [entry["name"] for entry in made_up("figure5b", preset="paper").report().differences]


def test_a_figure_the_source_gives_no_figures_for_says_so(made_up: Any) -> None:
    assert "The source gives no figures for these." in text(made_up("figure5a").report())
    assert "The source gives no figures" not in text(made_up("table3").report())


@pytest.mark.parametrize(
    ("name", "count"), [("table1", 12), ("table2", 4), ("table3", 6), ("figure5a", 10), ("figure5b", 10), ("questions", 17)]
)
def test_every_figure_of_a_suite_is_measured_when_its_runs_are_finished(name: str, count: int, made_up: Any) -> None:
    suite = made_up(name, preset="paper")
    suite.finish_all(title="CIFAR-10")
    report = suite.report()
    assert sum(cell.mean is not None for row in report.rows for cell in row.cells.values()) == count
    assert "are measured" not in report.verdict
    assert report.comparable


def test_a_page_on_nearest_neighbours_speaks_of_no_training_and_no_published_figures(made_up: Any) -> None:
    suite = made_up("knn-cifar10")
    suite.finish("knn-random", {f"conv{n}_top1": 30.0 + n for n in range(1, 5)}, trained=False)
    said = text(suite.report())
    assert "without training anything on the backbones" in said
    for wrong in ("last epoch", "not the published experiment", "than with the published", "chosen so", "The source gives"):
        assert wrong not in said, wrong
    assert "These are not the protocol's settings (see below): compare the rows with one another." in said
    assert "There is no published table of these." in said


def test_a_suite_of_our_own_that_trains_has_a_last_epoch_and_no_published_figures(made_up: Any) -> None:
    suite = made_up("questions")
    suite.finish("rotnet-nonlinear", 60.0)
    said = text(suite.report())
    assert "at the last epoch" in said
    assert "not the published experiment" not in said
    assert "There is no published table of these." in said
    assert "at the last epoch" in text(made_up("table3").report())

"""Rotation Feature Decoupling beside RotNet: the suites are what their titles say, and share runs with the tables."""

from functools import partial
from typing import Any

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.report.answers import answers
from rotnet_lib.report.published import published_table
from rotnet_lib.report.report_config import ReportConfig
from rotnet_lib.report.suite_page import summary
from rotnet_lib.report.suite_plots import picture
from rotnet_lib.report.suite_report import SuiteReport
from rotnet_lib.stages.finetune import finetune
from rotnet_lib.stages.pretrain import pretrain
from rotnet_lib.stages.probe import probe
from rotnet_lib.stages.pu_weights import weigh_copies
from rotnet_lib.suites.plan import Options, Plan, PlannedRun, make_plan, plan_suite
from rotnet_lib.suites.presets import load_presets
from rotnet_lib.suites.suite import load_collection, load_suite
from tests.presets_of import suites_with_presets

planned = partial(plan_suite, fingerprint=lambda config: config.dataset)

CIFAR10, IMAGENET = (load_collection(f"decoupling-{name}").suites for name in ("cifar10", "imagenet"))
TABLES = [*CIFAR10, *IMAGENET]
SUITES = [*TABLES, "decoupling-ablation"]
OURS = {
    "decoupling-table1": {"Random with 4 conv. blocks", "Rotation Feature Decoupling with 4 conv. blocks"},
    "decoupling-table3": {
        *("Decoupling + non-linear", "Decoupling + conv"),
        *("Decoupling + non-linear (fine-tuned)", "Decoupling + conv (fine-tuned)"),
    },
    **{suite: {"Rotation Feature Decoupling"} for suite in IMAGENET},
}
"""The rows that no publication here has figures for."""


def runs(plan: Plan) -> dict[str, dict[str, Any]]:
    return {run.key: run.config.model_dump(mode="json") for run in plan.runs}


def run_of(plan: Plan, key: str, seed: int = 0) -> PlannedRun:
    return next(run for run in plan.runs if (run.key, run.config.seed) == (key, seed))


# --- What is compared ---


@pytest.mark.parametrize("suite", SUITES)
def test_the_paper_preset_differs_from_the_protocol_in_nothing(suite: str) -> None:
    for run in planned(suite, Options(preset="paper")).runs:
        assert run.config.protocol_differences() == {}
        assert run.config.dataset == run.dataset
        assert run.departures == {}


@pytest.mark.parametrize("suite", SUITES)
def test_a_copys_weight_is_said_by_rotnets_that_have_not_seen_the_image(suite: str) -> None:
    plan = planned(suite, Options(preset="paper", seeds=2))
    for seed in (0, 1):
        decoupling, pu = run_of(plan, "decoupling", seed), run_of(plan, "pu", seed)
        first, second = (run_of(plan, f"rotnet-fold{n}", seed) for n in (1, 2))
        assert decoupling.upstream == (pu,)
        assert decoupling.config.model_dump()["pu_weights"] == pu.name
        assert pu.upstream == (first, second)
        values = pu.config.model_dump()
        assert (values["backbone"], values["others"]) == (first.name, (second.name,))
        found = [run.config.model_dump() for run in (first, second, run_of(plan, "rotnet", seed))]
        assert [parameters.pop("fold") for parameters in found] == ["1/2", "2/2", None]
        assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("preset", load_presets())
@pytest.mark.parametrize("suite", [*CIFAR10, "decoupling-ablation"])
def test_on_nin_decoupling_and_rotnet_have_as_many_epochs(suite: str, preset: str) -> None:
    found = runs(planned(suite, Options(preset=preset)))
    assert len({values["epochs"] for values in found.values() if values.get("task") in ("rotation", "decoupling")}) == 1


@pytest.mark.parametrize("suite", TABLES)
def test_figures_are_published_for_rotnets_rows_only(suite: str) -> None:
    plan = planned(suite, Options(preset="paper"))
    assert plan.suite.published == suite.removeprefix("decoupling-")
    assert {row.label for row in plan.suite.rows if not row.published} == OURS[suite]
    assert plan.suite.source == "rotnet"


@pytest.mark.parametrize(("suite", "preset"), suites_with_presets(TABLES))
def test_runs_of_the_table_it_follows_are_the_same_runs(suite: str, preset: str) -> None:
    ours, theirs = (planned(name, Options(preset=preset)) for name in (suite, suite.removeprefix("decoupling-")))
    shared = {run.key: run.name for run in theirs.runs if run.key not in ("rotnet3", "rotnet5", "probe3", "probe5")}
    assert shared.items() <= {run.key: run.name for run in ours.runs}.items()


@pytest.mark.parametrize("suite", TABLES)
def test_rows_of_the_table_it_follows_are_measured_alike(suite: str) -> None:
    theirs = {row.label: row.cells for row in load_suite(suite.removeprefix("decoupling-")).rows}
    ours = {row.label: row.cells for row in load_suite(suite).rows if row.published}
    assert set(ours) == ({"RotNet with 4 conv. blocks"} if suite == "decoupling-table1" else set(theirs))
    assert all(theirs[label].items() <= cells.items() for label, cells in ours.items())


@pytest.mark.parametrize(
    ("suite", "key", "notebook", "values"),
    [
        ("decoupling-table1", "probe-decoupling", "probe", {"layer": ["all"], "classifier": "nonlinear"}),
        ("decoupling-table3", "decoupling-nonlinear", "probe", {"layer": ["conv2"], "classifier": "nonlinear"}),
        ("decoupling-table3", "decoupling-conv", "probe", {"layer": ["conv2"], "classifier": "conv"}),
        ("decoupling-table3", "finetuned-decoupling-nonlinear", "finetune", {"layer": ["conv2"], "classifier": "nonlinear"}),
        ("decoupling-table3", "finetuned-decoupling-conv", "finetune", {"layer": ["conv2"], "classifier": "conv"}),
        ("decoupling-table4", "rest-decoupling", "probe", {"layer": ["conv4", "conv5"], "classifier": "rest"}),
        ("decoupling-table7", "fc-decoupling", "voc_classification", {"trained": "fc6-8"}),
        ("decoupling-table7", "all-decoupling", "voc_classification", {"trained": "all"}),
        ("decoupling-table7", "detection-decoupling", "voc_detection", {}),
        ("decoupling-table7", "segmentation-decoupling", "voc_segmentation", {}),
    ],
)
def test_what_is_built_on_decoupling(suite: str, key: str, notebook: str, values: dict[str, Any]) -> None:
    plan = planned(suite, Options(preset="paper"))
    run = run_of(plan, key)
    assert run.upstream == (run_of(plan, "decoupling"),)
    assert run.config.stage == notebook
    assert values.items() <= run.config.model_dump(mode="json").items()


# --- Two schedules side by side ---


def test_every_network_of_table5_is_probed_by_both_schedules() -> None:
    plan = planned("decoupling-table5", Options(preset="paper"))
    found = runs(plan)
    for row in plan.suite.rows:
        short, long = (found[cell.run] for cell in (row.cells["conv1"], row.cells["conv1-65"]))
        assert (short["epochs"], short["recipe"], long["epochs"], long["recipe"]) == (35, "rotnet", 65, "decoupling")
        assert {name for name in short if short[name] != long[name]} == {"epochs", "lr_milestones", "recipe"}
        for layer in short["layer"]:
            assert row.cells[layer].metric == row.cells[f"{layer}-65"].metric == f"{layer}_top1"
            assert (row.cells[layer].run, row.cells[f"{layer}-65"].run) == (row.cells["conv1"].run, row.cells["conv1-65"].run)


def test_columns_of_table5_name_their_schedule_and_figures_are_published_for_rotnets() -> None:
    suite = load_suite("decoupling-table5")
    assert list(suite.headings) == list(suite.rows[0].cells)
    for column, heading in suite.headings.items():
        layer, long = column.removesuffix("-65"), column.endswith("-65")
        assert heading == f"{layer}, {65 if long else 35}-epoch recipe"
        assert (column in published_table("table5")["RotNet"]) == (not long)


# --- The parts ---


@pytest.mark.parametrize(
    ("key", "options", "weighted"),
    [
        ("lc", {"lambda_r": 0, "lambda_n": 0}, False),
        ("lc-pu", {"lambda_r": 0, "lambda_n": 0}, True),
        ("lc-lr", {"lambda_n": 0}, False),
        ("lc-ln", {"lambda_r": 0}, False),
        ("decoupling", {}, True),
    ],
)
def test_a_row_of_the_ablation_has_the_parts_it_names(key: str, options: dict[str, Any], weighted: bool) -> None:
    plan = planned("decoupling-ablation", Options(preset="paper"))
    values = runs(plan)[key]
    factors = {name: value for name, value in values["task_options"].items() if name.startswith("lambda_")}
    assert factors == {"lambda_c": 1, "lambda_r": 1, "lambda_n": 1} | options
    assert (values["pu_weights"] is not None) == weighted
    probe = run_of(plan, f"probe-{key}")
    assert probe.upstream == (run_of(plan, key),)
    [label] = (row.label for row in plan.suite.rows if row.cells["conv1"].run == f"probe-{key}")
    assert ("L_r" in label, "L_n" in label, "PU" in label) == ("lambda_r" not in options, "lambda_n" not in options, weighted)


def test_the_questions_of_the_ablation_are_of_columns_named_beforehand() -> None:
    suite = load_suite("decoupling-ablation")
    parts = [row.label for row in suite.rows][2:]
    asked = [(question.baseline, question.against, question.column) for question in suite.questions]
    assert asked == [
        *(("L_c alone", parts, column) for column in ("conv2", "conv4")),
        *(("RotNet", parts[-1:], column) for column in ("conv2", "conv4")),
    ]


# --- What users say ---


def test_weights_are_of_the_images_that_their_rotnets_were_trained_on() -> None:
    found = runs(planned("decoupling-table1", Options(preset="quick", set="pretrain.train_size=100 pretrain.image_size=16")))
    assert {found[key]["train_size"] for key in ("rotnet-fold1", "pu", "decoupling")} == {100}
    assert {found[key]["image_size"] for key in ("rotnet-fold1", "pu", "decoupling")} == {16}
    assert (found["probe4"]["train_size"], found["probe4"]["image_size"]) == (100, 16)


@pytest.mark.parametrize("word", ["fold=1/3", "pu.others=[x]", "decoupling.pu_weights=x", "pu_weights=x"])
def test_who_scores_which_images_is_the_suites(word: str) -> None:
    with pytest.raises(RotnetError, match=r"SET: \w+ is not to be set"):
        planned("decoupling-table1", Options(preset="quick", set=word))


# --- The runs ---

TINY = "width=0.03 image_size=16 train_size=40 test_size=20 epochs=1 batch_size=16 device=cpu"
STAGES: dict[str, Any] = {"pretrain": pretrain, "pu_weights": weigh_copies, "probe": probe, "finetune": finetune}


def made(name: str, text: str) -> list[SuiteReport]:
    """The reports of a suite's or a collection's runs, made in this process, where a kernel each would take minutes."""
    plan = make_plan(name, Options(preset="quick", set=text))
    for run in plan.runs:
        STAGES[run.config.stage](run.config).save()
    return [SuiteReport(ReportConfig(suite=part.suite.name, plan=str(part.write()))) for part in plan.parts]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("decoupling-cifar10", TINY),
        ("decoupling-ablation", TINY),
        ("decoupling-table5", TINY.replace("image_size=16", "image_size=40")),
    ],
)
def test_the_runs_give_every_figure(name: str, text: str) -> None:
    for report in made(name, text):
        cells = [cell for row in report.rows for cell in row.cells.values() if cell.planned]
        assert len(cells) == sum(len(row["cells"]) for row in report.suite["rows"])
        assert all(cell.n == cell.planned == 1 for cell in cells)
        assert "figures are measured" not in summary(report).data  # all of them are
        assert picture(report) is not None
        found = answers(report)
        assert (found is not None) == bool(report.suite["questions"])
        assert found is None or "Not measured" not in found.data

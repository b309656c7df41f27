"""Tables 4, 5 and 6 and the frozen stem are PROTOCOL's, and presets put other data in the place of ImageNet and Places205."""

from functools import partial
from typing import Any

import pytest

from rotnet_lib.report.published import published_table, source
from rotnet_lib.report.report_config import ReportConfig
from rotnet_lib.report.suite_report import SuiteReport
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.stages.pretrain import pretrain
from rotnet_lib.stages.probe import probe
from rotnet_lib.suites.plan import CollectionPlan, Options, Plan, make_plan, plan_suite
from rotnet_lib.suites.suite import load_collection

planned = partial(plan_suite, fingerprint=lambda config: config.dataset)

SUITES = load_collection("imagenet").suites
LAYERS = {
    "table4": ["conv4", "conv5"],
    "table5": [f"conv{n}" for n in range(1, 6)],
    "table6": [f"conv{n}" for n in range(1, 6)],
}


def runs(plan: Plan) -> dict[str, dict[str, Any]]:
    return {run.key: run.config.model_dump(mode="json") for run in plan.runs}


@pytest.mark.parametrize("suite", SUITES)
def test_the_paper_preset_differs_from_the_protocol_in_nothing_but_the_suites_own_data(suite: str) -> None:
    for run in planned(suite, Options(preset="paper")).runs:
        differences = run.config.protocol_differences()
        assert differences in ({}, {"dataset": ["imagenet", "places205"]})
        assert run.config.dataset == run.dataset
        assert getattr(run.config, "arch", None) == "alexnet"


@pytest.mark.parametrize("suite", LAYERS)
def test_a_row_probes_the_published_columns_in_one_pass(suite: str) -> None:
    plan = planned(suite, Options(preset="paper"))
    found = runs(plan)
    for row in plan.suite.rows:
        [key] = {cell.run for cell in row.cells.values()}
        assert list(row.cells) == LAYERS[suite] == found[key]["layer"]
        assert found[key]["classifier"] == ("rest" if suite == "table4" else "linear")
        assert {column: cell.metric for column, cell in row.cells.items()} == {n: f"{n}_top1" for n in LAYERS[suite]}


def upstream(plan: Plan, label: str) -> tuple[str, str, str]:
    """What a row's backbone was trained on, with which task, and what it is probed on."""
    row = next(row for row in plan.suite.rows if row.label == label)
    key = next(iter(row.cells.values())).run
    run = next(run for run in plan.runs if run.key == key)
    values: dict[str, Any] = run.config.model_dump()
    if not run.upstream:
        return "", values["backbone"], run.config.dataset
    [below] = run.upstream
    return below.config.dataset, below.config.model_dump()["task"], run.config.dataset


@pytest.mark.parametrize(
    ("suite", "label", "expected"),
    [
        ("table4", "RotNet", ("imagenet", "rotation", "imagenet")),
        ("table4", "ImageNet labels (Bojanowski & Joulin, 2017)", ("imagenet", "labels", "imagenet")),
        ("table4", "Random (Noroozi & Favaro, 2016)", ("", "random", "imagenet")),
        ("table5", "RotNet", ("imagenet", "rotation", "imagenet")),
        ("table5", "ImageNet labels", ("imagenet", "labels", "imagenet")),
        ("table5", "Random", ("", "random", "imagenet")),
        ("table5", "Random rescaled (Krähenbühl et al., 2015)", ("", "random-rescaled", "imagenet")),
        ("table6", "RotNet", ("imagenet", "rotation", "places205")),
        ("table6", "ImageNet labels", ("imagenet", "labels", "places205")),
        ("table6", "Places labels (Zhou et al., 2014)", ("places205", "labels", "places205")),
        ("table6", "RotNet, pretext task on Places205", ("places205", "rotation", "places205")),
        ("table6", "Random", ("", "random", "places205")),
        ("table6", "Random rescaled (Krähenbühl et al., 2015)", ("", "random-rescaled", "places205")),
        ("frozen-stem", "RotNet, all images", ("imagenet", "rotation", "imagenet")),
        ("frozen-stem", "Random", ("", "random", "imagenet")),
    ],
)
def test_a_row_is_what_its_label_says(suite: str, label: str, expected: tuple[str, str, str]) -> None:
    assert upstream(planned(suite, Options(preset="paper")), label) == expected


def test_the_frozen_stem_fixes_conv1_and_conv2_and_trains_the_rest() -> None:
    found = runs(planned("frozen-stem", Options(preset="paper")))
    for key in ("stem-random", "stem-rotnet"):
        assert (found[key]["layer"], found[key]["classifier"]) == (["conv2"], "rest")
    assert (found["supervised"]["task"], found["supervised"]["arch"]) == ("labels", "alexnet")


@pytest.mark.parametrize("suite", SUITES)
def test_rows_of_other_methods_stand_in_the_published_table_only(suite: str) -> None:
    plan = planned(suite, Options(preset="paper"))
    assert plan.suite.published
    labels = {published: {row.label for row in plan.suite.rows if row.published == published} for published in (True, False)}
    assert labels[True] < set(published_table(plan.suite.published))
    own = {"table6": {"RotNet, pretext task on Places205"}, "frozen-stem": {"RotNet, all images"}}
    assert labels[False] == own.get(suite, set())


def test_the_figure_of_one_picture_stands_beside_no_network_of_all_images() -> None:
    """ "RotNet, A" learned from one picture (Asano et al. 2020); here all images are learned from."""
    plan = planned("frozen-stem", Options(preset="paper"))
    assert published_table("frozen_stem")["RotNet, A"] == {"top1": 49.5}
    assert "RotNet, A" not in {row.label for row in plan.suite.rows}
    assert "single image" in source(plan.suite.source).text


def test_the_released_preset_pretrains_for_50_epochs() -> None:
    rotnet = runs(planned("table5", Options(preset="released")))["rotnet"]
    assert [round(share * rotnet["epochs"]) for share in rotnet["lr_milestones"]] == [15, 30, 45]
    assert (rotnet["epochs"], rotnet["lr_decay"]) == (50, 0.1)


def test_the_suites_share_their_runs() -> None:
    plan = make_plan("imagenet", Options(preset="paper"), fingerprint=lambda config: config.dataset)
    assert isinstance(plan, CollectionPlan)
    assert len([run for run in plan.runs if run.config.stage == "pretrain"]) == 4


def test_a_fingerprint_is_taken_once_of_each_data_and_is_in_the_names() -> None:
    """Taking ImageNet's lists 1.3 million files."""
    taken: list[str] = []

    def fingerprint(config: RunConfig) -> str:
        taken.append(config.dataset)
        return f"{config.dataset} as it is"

    plan = make_plan("imagenet", Options(preset="paper", seeds=2), fingerprint)
    assert taken == ["imagenet", "places205"]
    other = make_plan("imagenet", Options(preset="paper", seeds=2), fingerprint=lambda config: config.dataset)
    assert not {run.name for run in plan.runs} & {run.name for run in other.runs}


TINY = "width=0.02 image_size=40 train_size=40 test_size=20 epochs=1 batch_size=16 device=cpu"


@pytest.mark.parametrize("suite", SUITES)
def test_its_runs_give_every_figure_of_its_table(suite: str) -> None:
    """Tiny, in this process, where a kernel each would take minutes."""
    plan = plan_suite(suite, Options(preset="quick", set=TINY))
    for run in plan.runs:
        stage: Any = {"pretrain": pretrain, "probe": probe}[run.config.stage]
        stage(run.config).save()
    report = SuiteReport(ReportConfig(suite=suite, plan=str(plan.write())))
    cells = [cell for row in report.rows for cell in row.cells.values()]
    assert sum(cell.n for cell in cells) == sum(len(row.cells) for row in plan.suite.rows)
    assert all(cell.n == cell.planned for cell in cells)


# --- Data that stands in ---


def data_of(plan: Plan) -> dict[str, str]:
    return {run.key: run.config.dataset for run in plan.runs}


def test_a_dataset_asked_for_stands_in_for_imagenet_and_the_presets_image_size_goes() -> None:
    plan = planned("table6", Options(preset="quick", dataset="tiny-imagenet"))
    of_imagenet = [run.config for run in plan.runs if run.dataset == "imagenet"]
    of_places = [run.config for run in plan.runs if run.dataset == "places205"]
    assert {config.source()[:2] for config in of_imagenet} == {("tiny-imagenet", None)}
    assert {config.source()[:2] for config in of_places} == {("shapes:1", 64)}


def test_an_override_says_what_stands_in_for_places205() -> None:
    options = Options(preset="paper", set="places-rotnet.dataset=imagefolder:/somewhere")
    assert data_of(planned("table6", options))["places-rotnet"] == "imagefolder:/somewhere"

"""Suites and presets as YAML: table 3 is PROTOCOL's, and what is wrong in a YAML is named."""

import itertools
from functools import partial
from typing import Any

import pytest

from rotnet_lib.data.source import DATASETS
from rotnet_lib.report.published import published_table, source
from rotnet_lib.runs.config import RunConfig, TrainingConfig
from rotnet_lib.suites.plan import Options, Plan, plan_suite
from rotnet_lib.suites.suite import SuiteCell, collection_names, load_collection, load_suite, suite_names
from rotnet_lib.training.schedules import learning_rate
from tests.presets_of import suites_with_presets

planned = partial(plan_suite, fingerprint=lambda config: config.dataset)
"""For suites whose data is not here."""

# --- Table 3, word by word ---

TABLE3 = {  # row -> notebook, what it builds on, arch, classifier or task
    "Supervised NIN": ("pretrain", None, "nin3", "labels"),
    "Random Init. + conv": ("probe", "random", "nin4", "conv"),
    "RotNet + non-linear": ("probe", "rotnet", "nin4", "nonlinear"),
    "RotNet + conv": ("probe", "rotnet", "nin4", "conv"),
    "RotNet + non-linear (fine-tuned)": ("finetune", "rotnet", "nin4", "nonlinear"),
    "RotNet + conv (fine-tuned)": ("finetune", "rotnet", "nin4", "conv"),
}


@pytest.fixture(scope="module")
def paper() -> Plan:
    return plan_suite("table3", Options(preset="paper"))


def configs(plan: Plan) -> dict[str, TrainingConfig]:
    """Of the runs that train something."""
    return {run.key: run.config for run in plan.runs if isinstance(run.config, TrainingConfig)}


def figure(label: str, plan: Plan) -> SuiteCell:
    """The one figure of a row."""
    [cell] = next(row for row in plan.suite.rows if row.label == label).cells.values()
    return cell


def falls(config: TrainingConfig) -> list[int]:
    """The epochs after which the learning rate falls."""
    rates = [learning_rate(config, epoch, steps_per_epoch=1) for epoch in range(config.epochs)]
    assert all(later == pytest.approx(earlier * 0.2) for earlier, later in itertools.pairwise(rates) if later < earlier)
    return [epoch for epoch in range(1, config.epochs) if rates[epoch] < rates[epoch - 1]]


def test_table3_has_the_six_trained_rows(paper: Plan) -> None:
    assert [row.label for row in paper.suite.rows] == list(TABLE3)
    assert set(TABLE3) < set(published_table("table3"))


@pytest.mark.parametrize("label", TABLE3)
def test_a_row_of_table3_is_the_protocols_run(label: str, paper: Plan) -> None:
    cell = figure(label, paper)
    run = next(run for run in paper.runs if run.key == cell.run)
    notebook, backbone, arch, kind = TABLE3[label]
    values = run.config.model_dump(mode="json")
    assert run.config.stage == notebook
    assert values["arch"] == arch
    assert values["width"] == 1.0
    if notebook == "pretrain":
        assert (values["task"], cell.metric) == (kind, "top1")
        return
    assert (values["layer"], values["classifier"], cell.metric) == (["conv2"], kind, "conv2_top1")
    assert [upstream.key for upstream in run.upstream] == [key for key in (backbone,) if key != "random"]
    if notebook == "finetune":
        assert (values["freeze"], values["labels_per_class"]) == (False, None)


def test_the_published_table3_is_on_cifar10(paper: Plan) -> None:
    assert {(run.dataset, run.config.dataset) for run in paper.runs} == {("cifar10", "cifar10")}
    assert DATASETS["cifar10"].published_title == "CIFAR-10"


def test_the_rotnet_of_table3_predicts_four_rotations_with_four_blocks(paper: Plan) -> None:
    rotnet = configs(paper)["rotnet"].model_dump()
    assert (rotnet["task"], rotnet["arch"]) == ("rotation", "nin4")
    assert (rotnet["task_options"]["angles"], rotnet["task_options"]["copies"]) == ([0, 90, 180, 270], "all")


@pytest.mark.parametrize(
    ("key", "epochs", "after"),
    [
        ("rotnet", 100, [30, 60, 80]),
        ("supervised", 100, [30, 60, 80]),
        ("rotnet-nonlinear", 50, [20, 40, 45]),
        ("rotnet-conv", 100, [35, 70, 85]),
        ("random-conv", 100, [35, 70, 85]),
        ("finetuned-nonlinear", 50, [20, 40, 45]),
        ("finetuned-conv", 100, [35, 70, 85]),
    ],
)
def test_the_paper_preset_is_the_published_schedule(key: str, epochs: int, after: list[int], paper: Plan) -> None:
    config = configs(paper)[key]
    assert config.dataset == "cifar10"
    assert (config.epochs, config.schedule, falls(config)) == (epochs, "step", after)
    assert (config.lr, config.batch_size, config.momentum, config.weight_decay) == (0.1, 128, 0.9, 5e-4)
    assert (config.augment, config.crop_pct) == ("pad-crop", 1.0)
    assert (config.train_size, config.test_size, config.image_size) == (None, None, None)


def test_the_paper_preset_differs_from_the_protocol_in_nothing(paper: Plan) -> None:
    differences = {key: config.protocol_differences() for key, config in configs(paper).items()}
    assert differences == {key: {} for key in paper.suite.runs}


def test_the_released_preset_is_the_authors_configuration(paper: Plan) -> None:
    released = configs(plan_suite("table3", Options(preset="released")))
    assert (released["rotnet"].epochs, falls(released["rotnet"])) == (200, [60, 120, 160])
    for key in ("rotnet-nonlinear", "finetuned-nonlinear"):
        assert (released[key].epochs, falls(released[key])) == (100, [20, 40, 45])  # the rest at the last rate
    for key in ("rotnet-conv", "random-conv", "finetuned-conv"):
        ours, theirs = configs(paper)[key].hashed_parameters(), released[key].hashed_parameters()
        assert {name for name in ours if ours[name] != theirs[name]} <= {"backbone"}
    changed = {name for config in released.values() for name in config.protocol_differences()}
    assert changed == {"epochs", "lr_milestones"}


# --- Every suite, every preset ---


@pytest.mark.parametrize(("name", "preset"), suites_with_presets(suite_names()))
def test_every_preset_is_valid_for_every_suite(name: str, preset: str) -> None:
    plan = planned(name, Options(preset=preset, seeds=2))
    assert len(plan.runs) == 2 * len(plan.suite.runs)
    assert len({run.name for run in plan.runs}) == len(plan.runs)
    assert source(plan.suite.source)


# --- The other tables and figures, word by word ---


def plan_of(name: str) -> Plan:
    return plan_suite(name, Options(preset="paper"))


def upstream_of(key: str, plan: Plan) -> RunConfig:
    """The config of the one run that a run builds on."""
    [upstream] = next(run for run in plan.runs if run.key == key).upstream
    return upstream.config


@pytest.mark.parametrize("blocks", [3, 4, 5])
def test_a_row_of_table1_probes_every_block_of_its_rotnet(blocks: int) -> None:
    plan = plan_of("table1")
    row = next(row for row in plan.suite.rows if row.label == f"RotNet with {blocks} conv. blocks")
    [key] = {cell.run for cell in row.cells.values()}
    assert {column: cell.metric for column, cell in row.cells.items()} == {
        f"conv{n}": f"conv{n}_top1" for n in range(1, blocks + 1)
    }
    values, rotnet = configs(plan)[key].model_dump(mode="json"), upstream_of(key, plan).model_dump(mode="json")
    assert (values["layer"], values["classifier"]) == (["all"], "nonlinear")
    assert (rotnet["arch"], rotnet["task"]) == (f"nin{blocks}", "rotation")


def test_table1_has_the_published_columns() -> None:
    found = {row.label: list(row.cells) for row in load_suite("table1").rows}
    assert found == {label: list(figures) for label, figures in published_table("table1").items()}


@pytest.mark.parametrize("label", published_table("table2"))
def test_a_row_of_table2_predicts_the_rotations_it_names(label: str) -> None:
    plan = plan_of("table2")
    cell = figure(label, plan)
    number, angles = label.split(": ")
    rotnet = upstream_of(cell.run, plan).model_dump(mode="json")
    assert rotnet["task_options"]["angles"] == [float(angle) for angle in angles.split()]
    assert len(rotnet["task_options"]["angles"]) == int(number)
    values = configs(plan)[cell.run].model_dump(mode="json")
    assert (values["arch"], values["layer"], values["classifier"]) == ("nin4", ["conv2"], "nonlinear")
    assert cell.metric == "conv2_top1"


def test_table9_is_the_supervised_and_the_conv_row_of_table3_by_class() -> None:
    rows = {row.label: row for row in load_suite("table9").rows}
    assert all(row.by_target for row in rows.values())
    assert {label: [cell.run for cell in row.cells.values()] for label, row in rows.items()} == {
        "Supervised": ["supervised"],
        "RotNet": ["rotnet-conv"],
    }


def test_figure5b_has_the_protocols_labels_a_class() -> None:
    found = {key: config.labels_per_class for key, config in configs(plan_of("figure5b")).items() if key != "rotnet"}
    labels = [20, 100, 400, 1000, None]
    assert found == {f"{row}-{'all' if n is None else n}": n for row in ("rotnet", "supervised") for n in labels}


def test_the_pretext_task_of_figure5b_sees_all_images() -> None:
    plan = plan_of("figure5b")
    assert {upstream_of(f"rotnet-{n}", plan).model_dump()["labels_per_class"] for n in (20, 100, 400, 1000, "all")} == {None}


@pytest.mark.parametrize(
    ("key", "parameter", "value"),
    [
        ("one", "task_options.copies", "one"),
        ("shuffled", "task_options.copies", "shuffled"),
        ("large", "task_options.copies", "one-large-batch"),
        ("slanted", "task_options.angles", [45, 135, 225, 315]),
        ("cropped", "task_options.crop_for", [45]),
        ("turned", "task_options.angles", [90, 180, 270]),
        ("jittered", "colour_jitter", 0.4),
        ("greyed", "grey", True),
        ("weighted", "pu_weights", None),
        ("instance", "task", "rotation-instance"),
    ],
)
def test_a_question_changes_one_thing_of_the_rotnet(key: str, parameter: str, value: Any) -> None:
    found = configs(plan_of("questions"))
    ours, theirs = found[key].model_dump(mode="json"), found["rotnet"].model_dump(mode="json")
    outer, _, inner = parameter.partition(".")
    differ = {name for name in ours if ours[name] != theirs[name]}
    if key == "instance":
        assert differ == {"task", "task_options"}  # its task has options of its own
    else:
        assert differ == {outer}
    if value is not None:
        assert (ours[outer][inner] if inner else ours[outer]) == value


def test_every_question_compares_rows_with_another_row() -> None:
    questions = load_suite("questions").questions
    assert [question.ask[:2] for question in questions] == [f"{n}." for n in range(1, 10)]
    assert all(question.against and question.baseline not in question.against for question in questions)


def test_every_row_of_the_questions_is_asked_about() -> None:
    suite = load_suite("questions")
    asked = {label for question in suite.questions for label in (question.baseline, *question.against)}
    assert asked == {row.label for row in suite.rows}


@pytest.mark.parametrize("name", collection_names())
def test_a_collection_is_of_suites_there_are(name: str) -> None:
    assert set(load_collection(name).suites) <= set(suite_names())
    assert load_collection(name).title

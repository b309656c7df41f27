"""Suites and presets as YAML: table 3 is PROTOCOL's, and what is wrong in a YAML is named."""

import itertools
from typing import Any

import pytest
from pydantic import ValidationError

from rotnet_lib.config import TrainingConfig
from rotnet_lib.errors import RotnetError
from rotnet_lib.report.published import published_rows, source
from rotnet_lib.suites.plan import Options, Plan, make_plan
from rotnet_lib.suites.suite import Preset, Suite, SuiteRun, load_presets, load_suite, preset_named, suite_names
from rotnet_lib.training.schedules import learning_rate

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
    return make_plan("table3", Options(preset="paper"))


def configs(plan: Plan) -> dict[str, TrainingConfig]:
    return {run.key: run.config for run in plan.runs}


def falls(config: TrainingConfig) -> list[int]:
    """The epochs after which the learning rate falls."""
    rates = [learning_rate(config, epoch, steps_per_epoch=1) for epoch in range(config.epochs)]
    assert all(later == pytest.approx(earlier * 0.2) for earlier, later in itertools.pairwise(rates) if later < earlier)
    return [epoch for epoch in range(1, config.epochs) if rates[epoch] < rates[epoch - 1]]


def test_table3_has_the_six_trained_rows(paper: Plan) -> None:
    assert [row.label for row in paper.suite.rows] == list(TABLE3)
    assert set(TABLE3) < set(published_rows("table3"))


@pytest.mark.parametrize("label", TABLE3)
def test_a_row_of_table3_is_the_protocols_run(label: str, paper: Plan) -> None:
    row = next(row for row in paper.suite.rows if row.label == label)
    run = next(run for run in paper.runs if run.key == row.run)
    notebook, backbone, arch, kind = TABLE3[label]
    values = run.config.model_dump(mode="json")
    assert run.config.stage == notebook
    assert values["arch"] == arch
    assert values["width"] == 1.0
    if notebook == "pretrain":
        assert (values["task"], row.metric) == (kind, "top1")
        return
    assert (values["layer"], values["classifier"], row.metric) == (["conv2"], kind, "conv2_top1")
    assert run.upstream is None if backbone == "random" else run.upstream and run.upstream.key == backbone
    if notebook == "finetune":
        assert (values["freeze"], values["labels_per_class"]) == (False, None)


def test_the_published_table3_is_on_cifar10(paper: Plan) -> None:
    assert paper.suite.data == "CIFAR-10"
    assert {config.dataset for config in configs(paper).values()} == {"cifar10"}


def test_the_rotnet_of_table3_predicts_four_rotations_with_four_blocks(paper: Plan) -> None:
    rotnet = configs(paper)["rotnet"].model_dump()
    assert (rotnet["task"], rotnet["arch"]) == ("rotation", "nin4")
    assert rotnet["task_options"] == {"angles": [0, 90, 180, 270], "copies": "all"}


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
    assert config.augment
    assert (config.train_size, config.test_size, config.image_size) == (None, None, None)


def test_the_paper_preset_differs_from_the_protocol_in_nothing(paper: Plan) -> None:
    differences = {key: config.protocol_differences() for key, config in configs(paper).items()}
    assert differences == {key: {} for key in paper.suite.runs}


def test_the_released_preset_is_the_authors_configuration(paper: Plan) -> None:
    released = configs(make_plan("table3", Options(preset="released")))
    assert (released["rotnet"].epochs, falls(released["rotnet"])) == (200, [60, 120, 160])
    for key in ("rotnet-nonlinear", "finetuned-nonlinear"):
        assert (released[key].epochs, falls(released[key])) == (100, [20, 40, 45])  # the rest at the last rate
    for key in ("rotnet-conv", "random-conv", "finetuned-conv"):
        ours, theirs = configs(paper)[key].identity(), released[key].identity()
        assert {name for name in ours if ours[name] != theirs[name]} <= {"backbone"}
    changed = {name for config in released.values() for name in config.protocol_differences()}
    assert changed == {"epochs", "lr_milestones"}


# --- Every suite, every preset ---


@pytest.mark.parametrize("name", suite_names())
@pytest.mark.parametrize("preset", load_presets())
def test_every_preset_is_valid_for_every_suite(name: str, preset: str) -> None:
    plan = make_plan(name, Options(preset=preset, seeds=2))
    assert len(plan.runs) == 2 * len(plan.suite.runs)
    assert len({run.name for run in plan.runs}) == len(plan.runs)
    assert source(plan.suite.source)


def test_presets() -> None:
    presets = load_presets()
    assert {"paper", "released", "quick"} <= set(presets)
    assert presets["paper"].set == {}  # the config classes' defaults are the protocol
    assert all(preset.description for preset in presets.values())


@pytest.mark.parametrize("name", suite_names())
def test_the_quick_preset_needs_no_data_and_says_what_it_changes(name: str) -> None:
    for run in make_plan(name, Options(preset="quick")).runs:
        differences = run.config.protocol_differences()
        assert run.config.dataset == "shapes"
        assert run.config.threads == 1  # so that figures do not hang on the number of cores
        assert {"dataset", "width", "epochs", "train_size"} <= set(differences)


def test_the_more_special_key_of_a_preset_wins() -> None:
    preset = Preset(
        description="",
        set={
            "probe.conv": {"lr": 3.0},
            "probe": {"lr": 2.0, "epochs": 2},
            "all": {"lr": 1.0, "epochs": 1, "width": 0.5},
            "pretrain.labels": {"lr": 4.0},
        },
    )
    assert preset.parameters(SuiteRun(notebook="probe", set={"classifier": "conv"})) == {"lr": 3.0, "epochs": 2, "width": 0.5}
    assert preset.parameters(SuiteRun(notebook="probe", set={"classifier": "linear"})) == {"lr": 2.0, "epochs": 2, "width": 0.5}
    assert preset.parameters(SuiteRun(notebook="pretrain", set={"task": "labels"})) == {"lr": 4.0, "epochs": 1, "width": 0.5}
    assert preset.parameters(SuiteRun(notebook="finetune")) == {"lr": 1.0, "epochs": 1, "width": 0.5}


# --- What is wrong in a YAML ---


def suite_values(**changes: Any) -> dict[str, Any]:
    values = {
        "name": "mine",
        "title": "Mine",
        "data": "CIFAR-10",
        "published": "table3",
        "source": "rotnet",
        "runs": {"supervised": {"notebook": "pretrain", "set": {"task": "labels"}}},
        "rows": [{"label": "Supervised NIN", "run": "supervised", "metric": "top1"}],
    }
    return values | changes


def test_a_suite_may_be_as_small_as_this() -> None:
    assert Suite(**suite_values()).runs["supervised"].notebook == "pretrain"


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"runs": {"supervised": {"notebook": "pretrian"}}}, ["notebook of run 'supervised' 'pretrian'", "'pretrain'?"]),
        (
            {"runs": {"supervised": {"notebook": "probe", "backbone": "supervized"}}},
            ["backbone of run 'supervised' 'supervized'", "did you mean 'supervised'?"],
        ),
        (
            {"rows": [{"label": "Supervised NIN", "run": "suprevised", "metric": "top1"}]},
            ["run of row 'Supervised NIN' 'suprevised'", "did you mean 'supervised'?"],
        ),
        (
            {"rows": [{"label": "Supervised NiN", "run": "supervised", "metric": "top1"}]},
            ["row of table3 'Supervised NiN'", "did you mean 'Supervised NIN'?"],
        ),
        ({"published": "tabel3"}, ["published table 'tabel3'", "did you mean 'table3'?"]),
        ({"titel": "x"}, ["titel"]),
        ({"runs": {"supervised": {"notebook": "pretrain", "sets": {}}}}, ["sets"]),
    ],
)
def test_what_is_wrong_in_a_suite_is_named(changes: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises((ValidationError, RotnetError)) as error:
        Suite(**suite_values(**changes))
    for part in parts:
        assert part in str(error.value)


def test_unknown_suites_and_presets_are_named_with_the_nearest() -> None:
    assert "table3" in suite_names()
    assert "presets" not in suite_names()
    with pytest.raises(RotnetError, match=r"unknown suite 'tabel3'; did you mean 'table3'\?"):
        load_suite("tabel3")
    with pytest.raises(RotnetError, match="unknown suite 'presets'"):
        load_suite("presets")
    with pytest.raises(RotnetError, match=r"unknown preset 'quik'; did you mean 'quick'\? Allowed: paper, released, "):
        preset_named("quik")

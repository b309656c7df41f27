"""Entries of `methods.yaml`: which METHODS names, what they say of runs of their task, and what is wrong in them."""

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rotnet_lib.cli import main
from rotnet_lib.errors import RotnetError
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.suites.methods import OWN, asked_for, load_methods
from rotnet_lib.suites.plan import Options, PlannedRun, plan_suite
from rotnet_lib.suites.resolve import configure, from_notebook
from tests.methods import INSTANCE, SPLIT, use_methods


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RotNet and two others."""
    use_methods(tmp_path, monkeypatch, instance=INSTANCE, split=SPLIT)


def test_rotnet_is_a_method_and_core() -> None:
    rotnet = load_methods()["rotnet"]
    assert (rotnet.task, rotnet.core, rotnet.label) == ("rotation", True, "RotNet")
    assert next(iter(load_methods())) == "rotnet"


def test_what_decides_which_images_and_which_network_is_no_methods_own() -> None:
    assert {"epochs", "lr", "batch_size", "augment", "weight_decay", "schedule", "task_options"} <= set(OWN)
    assert not {"dataset", "train_size", "test_size", "image_size", "width", "arch", "seed", "task", "validate"} & set(OWN)


# --- METHODS ---


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("words", "names"),
    [
        (None, ["rotnet"]),
        ("core", ["rotnet"]),
        ("all", ["rotnet", "instance", "split"]),
        ("split", ["split"]),
        ("split,instance", ["instance", "split"]),
        ("split, core", ["rotnet", "split"]),
        ("rotnet,core,rotnet", ["rotnet"]),
        ("split,all", ["rotnet", "instance", "split"]),
    ],
)
def test_methods_are_named_or_meant_by_a_word_and_keep_their_order(words: str | None, names: list[str]) -> None:
    assert asked_for(words) == names


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("words", "word", "nearest"), [("splt", "splt", "split"), ("core,instanz", "instanz", "instance"), ("Core", "Core", "core")]
)
def test_an_unknown_method_is_named_with_the_nearest(words: str, word: str, nearest: str) -> None:
    message = f"unknown method in METHODS, '{word}'; did you mean '{nearest}'? Allowed: core, all, rotnet, instance, split."
    with pytest.raises(RotnetError, match=re.escape(message)):
        asked_for(words)


@pytest.mark.parametrize("words", ["", "rotnet,", ","])
def test_no_name_is_no_method(words: str) -> None:
    with pytest.raises(RotnetError, match=r"unknown method in METHODS, ''\. Allowed: core, all, rotnet"):
        asked_for(words)


@pytest.mark.parametrize("words", ["core jigsaw", "core  jigsaw", "rotnet, core jigsaw"])
def test_names_with_a_space_between_them_are_told_of_commas(words: str) -> None:
    with pytest.raises(RotnetError, match=r"METHODS: names are separated by commas, .*: core,jigsaw\."):
        asked_for(words)


# --- What a method says of its task's runs ---


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("preset", "arch", "expected"),
    [
        ("quick", "nin4", {"epochs": 3, "lr": 0.03, "batch_size": 8}),  # batch_size: of every pretext task's
        ("quick", "alexnet", {"epochs": 4, "lr": 0.02}),
        ("short", "nin4", {"epochs": 8, "lr": 0.1}),
        ("none", "nin4", {"epochs": 100}),
    ],
)
def test_its_values_stand_over_the_presets_by_benchmark(preset: str, arch: str, expected: dict[str, Any]) -> None:
    values = configure("pretrain", {"task": "rotation-instance", "arch": arch}, preset).model_dump()
    assert expected.items() <= values.items()
    cell = {"task": "rotation-instance", "arch": arch, "preset": preset, "task_options": {}}
    assert from_notebook(PretrainConfig, cell).model_dump() == values


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("preset", "arch", "expected"),
    [
        ("quick", "nin4", {"gamma": 1.5, "dimension": 16, "momentum": 0.6}),
        ("paper", "nin4", {"gamma": 2.0, "dimension": 64, "momentum": 0.6}),
        ("none", "nin5", {"gamma": 2.0, "dimension": 64, "momentum": 0.6}),
        ("quick", "alexnet", {"gamma": 2.0, "dimension": 128, "angles": (0, 180)}),
    ],
)
def test_its_options_are_by_benchmark_and_the_presets_stand_over_them(preset: str, arch: str, expected: dict[str, Any]) -> None:
    asked = {"task": "rotation-instance", "arch": arch, "task_options": {"temperature": 0.2}}
    options = configure("pretrain", asked, preset).model_dump()["task_options"]
    expected = {name: list(value) if isinstance(value, tuple) else value for name, value in expected.items()}
    assert (expected | {"temperature": 0.2}).items() <= options.items()


@pytest.mark.usefixtures("three")
def test_what_the_user_says_stands_over_the_method() -> None:
    asked = {"task": "rotation-instance", "epochs": 7, "task_options": {"dimension": 8}, "lr": "protocol"}
    values = configure("pretrain", asked, "quick").model_dump()
    assert (values["epochs"], values["lr"], values["task_options"]["dimension"]) == (7, 0.1, 8)


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("task", ["rotation", "decoupling", "labels"])
def test_it_says_nothing_of_other_tasks(task: str) -> None:
    found = configure("pretrain", {"task": task}, "quick")
    assert found.model_dump()["epochs"] == (18 if task == "labels" else 5)


def planned(key: str, text: str = "", methods: str = "all") -> PlannedRun:
    plan = plan_suite("table3", Options(preset="quick", methods=methods, set=text), fingerprint=lambda config: "f")
    return next(run for run in plan.runs if run.key == key)


@pytest.mark.usefixtures("three")
def test_a_run_is_the_same_in_a_suite_and_by_the_command() -> None:
    assert planned("instance").config == configure("pretrain", {"task": "rotation-instance", "arch": "nin4"}, "quick")


@pytest.mark.usefixtures("three")
def test_each_value_of_it_has_its_origin() -> None:
    origins = planned("instance", "instance.task_options.negatives=10").origins
    assert origins["epochs"] == origins["task_options.gamma"] == "method instance, preset quick"
    assert origins["task_options.momentum"] == "method instance"
    assert origins["task_options.negatives"] == "SET"
    assert (origins["batch_size"], origins["task"]) == ("preset quick", "suite table3")


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"task_options.gamma": [2.0, 1.5], "task_options.dimension": [64, 16]}),
        ("instance.task_options.dimension=8", {"task_options.gamma": [2.0, 1.5], "task_options.dimension": [64, 8]}),
        ("instance.task=rotation instance.task_options.gamma=3", {"task": ["rotation-instance", "rotation"]}),
    ],
)
def test_options_that_the_preset_changes_are_among_what_differs(text: str, expected: dict[str, Any]) -> None:
    departures = planned("instance", text).departures
    assert expected.items() <= departures.items()
    assert planned("rotnet").departures == {}


@pytest.mark.usefixtures("three")
def test_the_plan_shows_options_that_the_preset_changes() -> None:
    output = CliRunner().invoke(main, ["plan", "table3", "--preset", "quick", "--methods", "instance"]).output
    assert "task_options.dimension 16 (64)" in output
    assert "task_options.momentum" not in output  # the method's own


# --- What is wrong in an entry ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "rotation-instanze"}, "unknown pretext task 'rotation-instanze'; did you mean 'rotation-instance'?"),
        ({"labels": {"tabel5": "RotNet"}}, "unknown published table 'tabel5'; did you mean 'table5'?"),
        ({"labels": {"table5": "RotNett"}}, "unknown beginning of a row of table5 'RotNett'; did you mean 'RotNet'?"),
        ({"labels": {"table3": "Rot"}}, "unknown beginning of a row of table3 'Rot'"),
        ({"options": {"cifar": {}}}, "unknown benchmark of options 'cifar'; did you mean 'cifar10'?"),
        ({"options": {"cifar10": {"dimensions": 3}}}, "unknown task option 'dimensions' of rotation-instance; did you mean"),
        ({"presets": {"quik": {}}}, "unknown preset 'quik'; did you mean 'quick'?"),
        ({"presets": {"quick": {"cifar": {}}}}, "unknown benchmark of quick 'cifar'; did you mean 'cifar10'?"),
        (
            {"presets": {"quick": {"cifar10": {"epohcs": 3}}}},
            "unknown parameter of a method (quick, cifar10) 'epohcs'; did you mean 'epochs'?",
        ),
        ({"presets": {"quick": {"cifar10": {"width": 0.5}}}}, "unknown parameter of a method (quick, cifar10) 'width'"),
        ({"presets": {"quick": {"cifar10": {"task_options": [1]}}}}, "presets.quick.cifar10.task_options: options by name"),
        ({"presets": {"quick": {"cifar10": {"task_options": {"dimension": 1}}}}}, "task_options.dimension: Input should be"),
        ({"deviations": {"cifar": []}}, "unknown benchmark of deviations 'cifar'; did you mean 'cifar10'? Allowed: all, "),
        ({"titel": "x"}, "titel Extra inputs are not permitted; did you mean 'title'? Allowed: title, label, labels"),
        ({"needs": ""}, "needs String should have at least 1 character"),
        ({"task": "rotation"}, "task rotation is that of rotnet already"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {name: value for name, value in INSTANCE.items() if name not in ("options", "presets")}
    use_methods(tmp_path, monkeypatch, mine=entry | changes)
    with pytest.raises(RotnetError, match=re.escape(f"methods.yaml, mine: {message}")):
        load_methods()


@pytest.mark.parametrize("name", ["core", "all", "Mine", "my method", "a,b", "a_b", "-a", "a{b}"])
def test_a_name_can_stand_in_methods_and_in_keys(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_methods(tmp_path, monkeypatch, **{name: INSTANCE})
    with pytest.raises(RotnetError, match=re.escape(f"methods.yaml: '{name}' is no name: a-z, 0-9 and hyphens, and neither")):
        load_methods()


@pytest.mark.parametrize(
    ("name", "what"),
    [("probe", "a notebook"), ("finetune", "a notebook"), ("random", "an untrained backbone"), ("epochs", "a parameter")],
)
def test_a_name_that_means_something_else_is_refused(
    name: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_methods(tmp_path, monkeypatch, **{name: INSTANCE})
    with pytest.raises(RotnetError, match=re.escape(f"methods.yaml: '{name}' is the name of {what}, and keys of runs")):
        load_methods()

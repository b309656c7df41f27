"""The typed config: what is wrong is named, and what decides a figure is told from what does not."""

import functools
import types
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.config import ImagesConfig, RunConfig, TrainingConfig
from rotnet_lib.stages.pretrain import PretrainConfig

EXECUTION = {"runs", "max_damaged", "workers", "device", "threads", "compile", "gpus"}
EXPERIMENT = {"seed", "task", "task_options", "arch", "grey", "labels_per_class", "colour_jitter", "fold", "pu_weights"}


def message(parameters: dict[str, Any]) -> str:
    with pytest.raises(RotnetError) as error:
        PretrainConfig.build(parameters)
    return str(error.value)


# --- Names and values ---


@pytest.mark.parametrize(
    ("name", "match"), [("epoch", "epochs"), ("batchsize", "batch_size"), ("learning_rate", None), ("dataset_", "dataset")]
)
def test_an_unknown_parameter_is_named_with_the_nearest(name: str, match: str | None) -> None:
    text = message({name: 3})
    assert "pretrain" in text
    assert f"'{name}'" in text
    assert (f"did you mean '{match}'?" in text) == (match is not None)
    for field in PretrainConfig.model_fields:
        assert field in text


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("epochs", 0, "greater than or equal to 1, not 0"),
        ("epochs", 2.5, "integer"),
        ("epochs", "many", "integer"),
        ("batch_size", 1, "greater than or equal to 2, not 1"),
        ("seed", -1, "greater than or equal to 0, not -1"),
        ("lr", -0.1, "greater than or equal to 0, not -0.1"),
        ("lr", float("nan"), "finite"),
        ("lr", float("inf"), "finite"),
        ("lr", "fast", "number"),
        ("momentum", 1, "less than 1, not 1"),
        ("lr_decay", 1.5, "less than or equal to 1, not 1.5"),
        ("lr_decay", 0, "greater than 0, not 0"),
        ("lr_decay", "slowly", "number"),
        ("lr_decay", {"first": 0.1}, "number"),
        ("schedule", "cosine", "'step' or 'one-cycle', not 'cosine'"),
        ("device", "gpu", "not 'gpu'"),
        ("augment", "sometimes", "'none', 'pad-crop', 'random-crop' or 'resized-crop', not 'sometimes'"),
        ("augment", False, "not False"),  # as it was written while there was one kind
        ("width", 0, "greater than 0, not 0"),
        ("crop_pct", 0, "greater than 0, not 0"),
        ("crop_pct", 1.1, "less than or equal to 1, not 1.1"),
        ("shrink", 7, "greater than or equal to 8, not 7"),
        ("stream", "sometimes", "boolean"),
        ("max_damaged", 1.5, "less than or equal to 1, not 1.5"),
        ("workers", -1, "greater than or equal to 0, not -1"),
        ("gpus", 0, "greater than or equal to 1, not 0"),
        ("image_size", 4, "greater than or equal to 8, not 4"),
        ("train_size", 0, "greater than or equal to 1, not 0"),
        ("lr_milestones", 0.5, "tuple, not 0.5"),
        ("threads", 0, "greater than or equal to 1"),
        ("dataset", 7, "string, not 7"),
        ("grey", "a little", "boolean"),
        ("labels_per_class", 0, "greater than or equal to 1, not 0"),
        ("colour_jitter", 1.5, "less than or equal to 1, not 1.5"),
        ("colour_jitter", -0.1, "greater than or equal to 0, not -0.1"),
        ("pu_weights", 7, "string, not 7"),
        ("fold", 2, "string, not 2"),
        ("fold", "3/2", "'3/2' is no part: write k/K, K at least 2 and k from 1 to K, such as 1/2"),
        ("checkpoints", 0.5, "tuple, not 0.5"),
    ],
)
def test_a_wrong_value_is_named_with_its_field(field: str, value: object, reason: str) -> None:
    text = message({field: value})
    assert text.startswith(f"pretrain: {field}: ")
    assert reason in text
    assert str(PretrainConfig.model_fields[field].description) in text


@pytest.mark.parametrize("options", [[0, 90], "angles", 7])
def test_task_options_that_are_no_dictionary(options: object) -> None:
    assert "task_options" in message({"task_options": options})


@pytest.mark.parametrize("field", ["lr_milestones", "checkpoints"])
@pytest.mark.parametrize("shares", [[30, 60, 80], [0.3, 1.5], [-0.1]])
def test_milestones_and_checkpoints_are_fractions_and_not_epochs(field: str, shares: list[float]) -> None:
    """A milestone beyond the end would never come, and the rate would stay at its peak."""
    assert field in message({field: shares})


@pytest.mark.parametrize(("factor", "reason"), [(0, "greater than 0, not 0"), (float("inf"), "finite"), ("x", "number")])
def test_a_wrong_factor_of_a_list_is_named_with_its_place(factor: object, reason: str) -> None:
    text = message({"lr_decay": [0.1, factor, 10]})
    assert text.startswith("pretrain: lr_decay.1: ")
    assert reason in text
    assert "\n" not in text  # told once, not once for each kind of value that is allowed


@pytest.mark.parametrize("factors", [[], [0.1, 0.1], [0.1] * 4])
def test_there_are_as_many_factors_as_milestones(factors: list[float]) -> None:
    text = message({"lr_decay": factors})
    assert f"lr_decay lists {len(factors)}, lr_milestones 3: give a factor for each" in text


def test_a_number_alone_is_for_any_milestones() -> None:
    assert PretrainConfig.build({"lr_milestones": [0.1, 0.2, 0.3, 0.4], "lr_decay": 0.5}).lr_factors == (0.5,) * 4
    assert PretrainConfig.build({"lr_milestones": []}).lr_factors == ()


def test_every_wrong_value_is_told_at_once() -> None:
    text = message({"epochs": 0, "lr": -1, "schedule": "cosine"})
    for field in ("epochs", "lr", "schedule"):
        assert f"{field}: " in text


@pytest.mark.parametrize(
    ("parameters", "parts"),
    [
        ({"arch": "nin9"}, ["unknown arch 'nin9'", "nin3, nin4, nin5"]),
        ({"task": "rotaton"}, ["unknown pretext task 'rotaton'", "did you mean 'rotation'?"]),
        ({"task_options": {"angels": [0, 180]}}, ["'angels'", "did you mean 'angles'?"]),
        ({"task": "labels", "task_options": {"angles": [0, 180]}}, ["task option 'angles' of labels"]),
    ],
)
def test_unknown_names_among_the_values(parameters: dict[str, Any], parts: list[str]) -> None:
    text = message(parameters)
    for part in parts:
        assert part in text


def test_a_config_does_not_change() -> None:
    config = PretrainConfig.build({})
    with pytest.raises(ValidationError, match="frozen"):
        config.epochs = 3  # type: ignore[misc]


def test_the_effective_config_holds_every_option_of_the_task() -> None:
    configs = [
        PretrainConfig.build({"task_options": options})
        for options in ({}, {"angles": [0, 90, 180, 270]}, {"angles": (0.0, 90.0, 180.0, 270.0), "copies": "all"})
    ]
    for config in configs:
        assert config.task_options == {"angles": [0, 90, 180, 270], "copies": "all", "crop_for": [], "gamma": 2, "pu_after": 0}
        assert config.hashed_parameters() == configs[0].hashed_parameters()


# --- From a notebook ---


def test_a_notebooks_namespace_is_its_parameters() -> None:
    namespace = {
        "epochs": 3,
        "lr": 0.2,
        "lr_milestones": [0.5],
        "task_options": {"angles": [0, 180]},
        "train_size": None,
        # What a kernel and a cell's imports leave beside them.
        "In": ["", "epochs = 3"],
        "Out": {},
        "_": "",
        "__name__": "__main__",
        "_ih": [""],
        "get_ipython": lambda: None,
        "exit": functools.partial(print),
        "PretrainConfig": PretrainConfig,
        "np": np,
        "module": types.ModuleType("module"),
        "array": np.zeros(3),
    }
    config = PretrainConfig.from_notebook(namespace)
    assert (config.epochs, config.lr, config.lr_milestones, config.train_size) == (3, 0.2, (0.5,), None)
    assert config == PretrainConfig.build({name: namespace[name] for name in list(namespace)[:5]})


@pytest.mark.parametrize("value", [3, "x", None, True, 0.5, [1], {"a": 1}, (1, 2)])
def test_a_plain_value_that_is_no_parameter_is_refused(value: object) -> None:
    """papermill only warns of one, and the run would go on with the default."""
    with pytest.raises(RotnetError, match="'epoch'; did you mean 'epochs'"):
        PretrainConfig.from_notebook({"lr": 0.1, "epoch": value})


# --- What a field says about a run ---


def test_every_field_has_its_role_and_a_description() -> None:
    roles = {name: PretrainConfig.role(name) for name in PretrainConfig.model_fields}
    assert {name for name, role in roles.items() if role == "execution"} == EXECUTION & roles.keys()
    assert {name for name, role in roles.items() if role == "experiment"} == EXPERIMENT
    assert set(roles.values()) == {"execution", "experiment", "protocol"}
    assert all(field.description for field in PretrainConfig.model_fields.values())


OTHER: dict[str, Any] = {
    "runs": "elsewhere",
    "device": "cpu",
    "threads": 2,
    "compile": True,
    "gpus": 2,
    "seed": 1,
    "task": "labels",
    "task_options": {"angles": [0, 180]},
    "arch": "nin5",
    "dataset": "shapes",
    "image_size": 16,
    "crop_pct": 0.5,
    "stream": True,
    "shrink": 256,
    "validate": 0.1,
    "init": "torch",
    "max_damaged": 0.5,
    "workers": 2,
    "train_size": 10,
    "test_size": 10,
    "epochs": 7,
    "batch_size": 64,
    "lr": 0.2,
    "schedule": "one-cycle",
    "lr_milestones": [0.5],
    "lr_decay": 0.5,
    "momentum": 0.5,
    "weight_decay": 0.0,
    "augment": "none",
    "width": 0.5,
    "grey": True,
    "labels_per_class": 20,
    "colour_jitter": 0.4,
    "fold": "1/2",
    "pu_weights": "pu-nin4-s0-0123456789",
    "checkpoints": [0.5],
}


@pytest.mark.parametrize("field", PretrainConfig.model_fields)
def test_a_run_is_its_parameters_but_not_how_it_is_carried_out(field: str) -> None:
    default, other = PretrainConfig.build({}), PretrainConfig.build({field: OTHER[field]})
    assert default != other
    assert (default.hashed_parameters() == other.hashed_parameters()) == (field in EXECUTION)
    assert not other.hashed_parameters().keys() & EXECUTION


def test_a_field_that_came_later_leaves_the_names_of_runs_as_they_were() -> None:
    """Where it has the value that all runs had before, it is no part of the name."""
    later = {"validate": 0.1, "init": "torch"}
    before = PretrainConfig.build({"validate": "none", "init": "he"})
    assert set(before.later_parameters()) == later.keys()
    assert before.hashed_parameters().keys() | later.keys() | EXECUTION >= PretrainConfig.model_fields.keys()
    assert not before.hashed_parameters().keys() & later.keys()
    for name, value in later.items():
        other = PretrainConfig.build({name: value})
        assert set(other.later_parameters()) == later.keys() - {name}
        assert other.hashed_parameters() == before.hashed_parameters() | {name: value}


@pytest.mark.parametrize("field", PretrainConfig.model_fields)
def test_differences_from_the_protocol_are_those_of_protocol_fields(field: str) -> None:
    default, other = PretrainConfig.build({}), PretrainConfig.build({field: OTHER[field]})
    expected = {}
    if field not in EXECUTION | EXPERIMENT:
        expected = {field: [default.model_dump(mode="json")[field], OTHER[field]]}
    assert other.protocol_differences() == expected


def test_a_stage_that_does_not_train_has_no_schedule() -> None:
    """Every run has a seed, data, a device; images of one label have more; what only training has is a `TrainingConfig`'s."""
    of_runs, of_images, of_training = (set(schema.model_fields) for schema in (RunConfig, ImagesConfig, TrainingConfig))
    assert of_runs == {"runs", "seed", "dataset", "train_size", "test_size", "workers", "device", "threads"}
    assert of_images - of_runs == {"validate", "image_size", "crop_pct", "grey", "stream", "shrink", "max_damaged"}
    assert of_runs < of_images < of_training
    assert of_training - of_images == {
        *("labels_per_class", "epochs", "batch_size", "lr", "schedule", "lr_milestones", "lr_decay", "momentum"),
        *("weight_decay", "augment", "colour_jitter", "compile", "gpus"),
    }


def test_the_same_values_spelled_otherwise_are_the_same_run() -> None:
    plain = PretrainConfig.build({"lr": 1, "lr_milestones": (0.3, 0.6, 0.8), "task_options": {"angles": (0, 180)}})
    other = PretrainConfig.build({"lr": 1.0, "lr_milestones": [0.3, 0.6, 0.8], "task_options": {"angles": [0.0, 180.0]}})
    assert plain.hashed_parameters() == other.hashed_parameters()

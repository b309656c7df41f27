"""Odd values of parameters: each ends in a config, or in a RotnetError that can be shown."""

import datetime
import os
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rotnet_lib.voc  # noqa: F401 (registers its stages)
from rotnet_lib.data.source import DATASETS
from rotnet_lib.errors import RotnetError
from rotnet_lib.models import ARCHS
from rotnet_lib.pretext import TASKS
from rotnet_lib.pretext.task import task_options
from rotnet_lib.registry import Registry
from rotnet_lib.runs.directory import directory_of
from rotnet_lib.runs.plain import plain_values
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.pretrain import PretrainConfig

ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
MANY: Any = [0] * 10
for _ in range(8):
    MANY = [MANY] * 10  # as YAML's anchors make it: a few objects, 10^9 values

# Objects of no use, numbers without use, text that is no text, what is nested; then what is nearly right.
ODD: list[Any] = [
    *(b"nin4", b"\xff", object(), len, type, datetime.date(2020, 1, 1), deque([1]), {1}, set(), range(3), Path("x")),
    *(np.int64(3), np.float32(0.5), np.array([1, 2]), np.array(["conv1"]), torch.tensor(2), torch.tensor([0.5])),
    *(float("nan"), float("inf"), -float("inf"), 10**400, -(10**400), 10**5000, 2**64, 2**63, 1e308, -1, 0, True, False),
    *(
        "\ud800",
        "a\udc80b",
        "\0",
        "a\0b",
        "",
        " ",
        "x" * 300,
        "ü" * 200,
        "x" * 5000,
        "9" * 300,
        "1e999",
        "nan",
        "~nosuchuser/x",
    ),
    *([], [[]], [[[]]], {}, (), [None], ["nin4"], ["\ud800"], [float("nan")], [10**400], [True], ENDLESS, {1: 2}, {b"x": 1}),
    *(
        {("a",): 1},
        {"a": [1]},
        {"angles": "x"},
        {"angles": [True, False]},
        {"gamma": 10**400},
        {"gamma": True},
        {"bank": object()},
    ),
    *("imagefolder:", "imagefolder:\0", "imagefolder:~nosuchuser", "shapes:-1", "shapes:" + "9" * 300, "voc:" + "z" * 400),
    *("scenes:0", "newest", "random", "0/0", "1/" + "9" * 300, "conv1,conv1", ".", "/", "rotation", "labels"),
]


def checked(error: RotnetError) -> str:
    """What the user is told: it can be printed, and is not too long to be read."""
    assert len(str(error).encode()) < 10_000
    return str(error)


def outcome(stage: str, parameters: dict[Any, Any]) -> str | None:
    """None for a config whose run has a directory, else what the user is told. Any other error is the test's."""
    try:
        config = STAGES[stage].config.build(parameters)
        config.model_dump_json()
        directory = directory_of(config, "fingerprint")
        assert directory.state == "missing"
        assert len(os.fsencode(directory.name)) <= 255
    except RotnetError as error:
        return checked(error)
    return None


@pytest.mark.slow
@pytest.mark.parametrize("stage", list(STAGES))
@pytest.mark.parametrize("base", ["nothing", "random", "told"])
def test_every_parameter_set_to_odd_values_ends_in_a_config_or_is_named(stage: str, base: str) -> None:
    fields = STAGES[stage].config.model_fields
    voc = stage.startswith("voc")
    told = {"dataset": "scenes:64" if voc else "shapes", "arch": "alexnet" if voc else "nin4", "width": 1.0, "grey": False}
    given: dict[str, Any] = {"nothing": {}, "random": told | {"backbone": "random"}, "told": told | {"backbone": "some-run"}}[
        base
    ]
    given = {name: value for name, value in given.items() if name in fields}
    for field in fields:
        for value in ODD:
            outcome(stage, given | {field: value})


@pytest.mark.parametrize("stage", list(STAGES))
def test_a_notebook_hands_on_every_parameter_as_it_is(stage: str) -> None:
    """So what is odd in its globals ends as above."""
    schema = STAGES[stage].config
    for field in schema.model_fields:
        for value in ODD:
            found = schema.parameters_in({field: value, "In": [], "_": 1})
            assert found.keys() == {field}
            assert found[field] is value


@pytest.mark.parametrize("stage", list(STAGES))
@pytest.mark.parametrize("name", [1, None, "\ud800", ("a",), b"lr", "x" * 5000], ids=lambda name: repr(name)[:12])
def test_odd_names_are_named(stage: str, name: Any) -> None:
    assert f"unknown parameter of {stage}" in str(outcome(stage, {name: 1}))


@pytest.mark.parametrize("parameters", [None, 3, ["lr"], "lr=1"])
def test_parameters_are_given_by_name(parameters: Any) -> None:
    with pytest.raises(RotnetError, match="pretrain: parameters are given by name"):
        PretrainConfig.build(parameters)


@pytest.mark.parametrize(
    ("parameters", "part"),
    [
        ({"epochs": True}, "epochs: a number is needed, not True (YAML reads yes, no, on and off so too)"),
        ({"lr_milestones": [0.5, False]}, "lr_milestones: a number is needed"),
        ({"task_options": {"gamma": True}}, "task_options.gamma: a number is needed, not True"),
        ({"seed": 2**64}, "seed: 18446744073709551616 is too large: at most 2^64 - 1"),
        ({"seed": "9" * 30}, "seed: 999999999999999999999999999999 is too large"),
        ({"epochs": 10**5000}, "epochs: a number of thousands of digits is too large"),
        ({"task_options": {1: 2}}, "task_options: the key 1 is no text"),
        ({"task_options": ENDLESS}, "nested deeper than 20. Does one hold itself?"),
        ({"checkpoints": MANY}, "more than 10,000 values. Is an anchor (&, *) used many times over?"),
        ({"epochs": object()}, "epochs: a value of type object is none that a run can be described by. Allowed: None, true"),
        ({"dataset": b"shapes"}, "dataset: a value of type bytes"),
        ({"dataset": "a\ud800b"}, "dataset: 'a\\ud800b' holds a character that cannot be written"),
        ({"dataset": "x" * 5000}, "dataset: a text of 5,000 characters"),
        ({"arch": ["nin4"]}, "unknown arch '['nin4']'"),
        ({"task": {}}, "task: Input should be a valid string"),
    ],
    ids=lambda value: str(value)[:30].encode("ascii", "replace").decode() if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said(parameters: dict[str, Any], part: str) -> None:
    with pytest.raises(RotnetError) as error:
        PretrainConfig.build(parameters)
    assert part in str(error.value)


@pytest.mark.parametrize("layer", [[[]], [None], [["conv1"]], {"conv1": 1}])
def test_layers_are_names(layer: Any) -> None:
    with pytest.raises(RotnetError, match="layer"):
        STAGES["probe"].config.build({"layer": layer})


def test_a_parameter_set_to_an_object_is_not_passed_over() -> None:
    """The run would use the default."""
    with pytest.raises(RotnetError, match="epochs: a value of type object"):
        PretrainConfig.from_notebook({"epochs": object(), "np": np})
    assert PretrainConfig.from_notebook({"epochs": np.int64(3), "np": np}).epochs == 3


def test_numbers_arrays_and_paths_become_plain() -> None:
    config = PretrainConfig.build(
        {
            "epochs": np.int64(7),
            "lr": np.float64(0.5),
            "lr_milestones": np.array([0.25, 0.5]),
            "train_size": torch.tensor(40),
            "dataset": np.str_("shapes"),
            "runs": Path("elsewhere"),
            "seed": 2**64 - 1,
            "lr_decay": (0.1, 0.2),
        }
    )
    same = {"epochs": 7, "lr": 0.5, "lr_milestones": [0.25, 0.5], "train_size": 40, "dataset": "shapes", "runs": "elsewhere"}
    assert config == PretrainConfig.build(same | {"seed": 2**64 - 1, "lr_decay": [0.1, 0.2]})


def test_a_set_has_no_order_and_is_refused() -> None:
    with pytest.raises(RotnetError, match="layer: a value of type set"):
        plain_values("probe", {"layer": {"conv1", "conv2"}})


def test_plain_values_stay_as_they_are() -> None:
    values: dict[str, Any] = {"a": None, "b": True, "c": 0, "d": 0.5, "e": "ü", "f": [1, (2, "x")], "g": {"h": [{}]}}
    assert plain_values("x", values) == values


@pytest.mark.parametrize("registry", [STAGES, DATASETS, ARCHS, TASKS], ids=lambda registry: registry.kind)
@pytest.mark.parametrize("name", [[], {}, None, 3, b"nin4", "\ud800", 10**5000, ("nin4",)], ids=lambda name: repr(type(name)))
def test_an_odd_name_is_looked_up_in_vain(registry: Registry[Any], name: Any) -> None:
    assert name not in registry
    with pytest.raises(RotnetError, match=f"unknown {registry.kind} '.*Allowed: ") as error:
        registry[name]
    str(error.value).encode()


@pytest.mark.parametrize("options", [{1: 2}, {"angles": [0, True]}, {"angles": object()}, [], "angles", None, 3])
@pytest.mark.parametrize("task", list(TASKS))
def test_odd_task_options_are_named(task: str, options: Any) -> None:
    with pytest.raises(RotnetError):
        task_options(task, options)

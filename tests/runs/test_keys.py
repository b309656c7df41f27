"""Parameters that have keys (`task_options`): each key comes from the strongest source that says it."""

from typing import Any

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.resolution import Resolved, Said
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.stages.probe import ProbeConfig


def resolved(*said: Said, weak: tuple[Said, ...] = ()) -> Resolved[PretrainConfig]:
    return PretrainConfig.resolve(said, preset=lambda _: weak)


def options(origin: str, **values: Any) -> Said:
    return Said(origin, {"task_options": values})


def test_what_a_stronger_source_does_not_say_comes_from_a_weaker_one() -> None:
    said = (options("SET", gamma=3.0), options("suite", gamma=4.0, copies="one"))
    found = resolved(*said, weak=(options("preset", copies="shuffled", pu_after=0.5), options("method", angles=[0, 90])))
    expected = {"angles": [0, 90], "copies": "one", "crop_for": [], "gamma": 3.0, "pu_after": 0.5}
    assert found.config.model_dump(mode="json")["task_options"] == expected
    origins = {name: origin for name, origin in found.origins.items() if name.startswith("task_options")}
    assert origins == {
        "task_options": "SET; suite; preset; method",
        "task_options.gamma": "SET",
        "task_options.copies": "suite",
        "task_options.pu_after": "preset",
        "task_options.angles": "method",
    }


def test_options_that_nobody_says_are_the_tasks_own() -> None:
    found = resolved(options("SET"), Said("suite", {"task_options": "auto"}))
    assert found.config == PretrainConfig.build({})
    assert found.origins["task_options"] == "default"


def test_what_is_said_stays_as_it_was() -> None:
    weak, strong = {"copies": "one"}, {"gamma": 3.0}
    resolved(Said("SET", {"task_options": strong}), weak=(Said("preset", {"task_options": weak}),))
    assert (weak, strong) == ({"copies": "one"}, {"gamma": 3.0})


@pytest.mark.parametrize(
    ("value", "reason"), [("angles", "valid dictionary"), ([0], "valid dictionary"), (None, "says nothing")]
)
def test_what_has_no_keys_is_refused_with_its_origin(value: Any, reason: str) -> None:
    with pytest.raises(RotnetError, match=rf"task_options.*{reason}.*\[suite\]"):
        resolved(options("SET", gamma=3.0), Said("suite", {"task_options": value}))


def test_a_wrong_option_names_who_said_options() -> None:
    with pytest.raises(RotnetError, match=r"unknown task option 'gama' of rotation; did you mean 'gamma'\?.* \[SET; preset\]"):
        resolved(options("SET", copies="one"), weak=(options("preset", gama=3.0),))


def test_dictionaries_alone_have_keys() -> None:
    assert [name for name in PretrainConfig.model_fields if PretrainConfig.has_keys(name)] == ["task_options"]
    assert not any(ProbeConfig.has_keys(name) for name in ProbeConfig.model_fields)

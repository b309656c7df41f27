"""The grammar of SET: `name=value`, `target.name=value`, `name.key=value`, separated by spaces."""

from typing import Any

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.suites.overrides import parse_overrides
from rotnet_lib.suites.plan import Options, plan_suite
from rotnet_lib.suites.suite import Suite, SuiteRun, load_suite


@pytest.fixture(scope="module")
def suite() -> Suite:
    return load_suite("table3")


def applied(text: str, suite: Suite) -> dict[str, dict[str, Any]]:
    """Run -> what the overrides make of no parameters at all, where they make anything."""
    found: dict[str, dict[str, Any]] = {}
    for key, run in suite.runs.items():
        values: dict[str, Any] = {}
        for override in parse_overrides(text, suite.name, suite.runs):
            override.apply(key, run, values)
        if values:
            found[key] = values
    return found


PRETRAIN = {"supervised", "rotnet"}
PROBES = {"random-conv", "rotnet-nonlinear", "rotnet-conv"}
FINETUNED = {"finetuned-nonlinear", "finetuned-conv"}


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("epochs=20", PRETRAIN | PROBES | FINETUNED),
        ("classifier=linear", PROBES | FINETUNED),
        ("labels_per_class=20", PRETRAIN | PROBES | FINETUNED),
        ("checkpoints=[0.5]", PRETRAIN),
        ("finetune.labels_per_class=20", FINETUNED),
        ("probe.epochs=20", PROBES),
        ("pretrain.epochs=20", PRETRAIN),
        ("rotnet.epochs=20", {"rotnet"}),
        ("rotnet-conv.epochs=20", {"rotnet-conv"}),
    ],
)
def test_an_override_is_for_every_run_that_has_the_parameter_or_for_its_target(
    text: str, targets: set[str], suite: Suite
) -> None:
    assert set(applied(text, suite)) == targets


def test_what_means_nothing_to_a_run_is_passed_over_unless_the_run_is_named() -> None:
    suite = load_suite("table3", methods="exemplar")
    for text in ("epochs=20", "probe.epochs=20"):
        assert {"exemplar-conv"} <= set(applied(text, suite)) <= set(suite.runs) - {"exemplar-svm"}
    assert set(applied("grid=3", suite)) == {"exemplar-svm"}
    assert set(applied("probe.train_size=500", suite)) >= {"exemplar-conv", "exemplar-svm"}
    with pytest.raises(RotnetError, match=r"run 'exemplar-svm' .*epochs: the svm classifier is not trained in steps.*\[SET\]"):
        plan_suite("table3", Options(preset="quick", methods="exemplar", set="exemplar-svm.epochs=2"))


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        ("20", 20),
        ("0.05", 0.05),
        ("true", True),
        ("null", None),
        ("one-cycle", "one-cycle"),
        ("imagefolder:/my/photos", "imagefolder:/my/photos"),
        ("[0.5,0.75]", [0.5, 0.75]),
        ("[0.5, 0.75]", [0.5, 0.75]),
        ("[ [1, 2],  [3] ]", [[1, 2], [3]]),
        ("{a: 1, b: [2, 3]}", {"a": 1, "b": [2, 3]}),
        ("'a=b'", "a=b"),
    ],
)
def test_a_value_is_read_as_yaml(value: str, parsed: Any, suite: Suite) -> None:
    assert applied(f"epochs=1 rotnet.dataset={value} lr=0.5", suite)["rotnet"] == {"epochs": 1, "dataset": parsed, "lr": 0.5}


def test_a_key_within_a_parameter(suite: Suite) -> None:
    text = "rotnet.task_options.angles=[0, 180] rotnet.task_options.copies=one"
    assert applied(text, suite) == {"rotnet": {"task_options": {"angles": [0, 180], "copies": "one"}}}


def test_a_key_leaves_the_others_as_they_are(suite: Suite) -> None:
    values: dict[str, Any] = {"task_options": {"angles": [0, 90], "copies": "one"}}
    before = values["task_options"]
    for override in parse_overrides("task_options.angles=[0,180]", suite.name, suite.runs):
        override.apply("rotnet", suite.runs["rotnet"], values)
    assert values == {"task_options": {"angles": [0, 180], "copies": "one"}}
    assert before == {"angles": [0, 90], "copies": "one"}  # the preset's own values are not written into


def test_the_last_word_wins(suite: Suite) -> None:
    assert applied("epochs=20 probe.epochs=5", suite)["rotnet-conv"] == {"epochs": 5}
    assert applied("probe.epochs=5 epochs=20", suite)["rotnet-conv"] == {"epochs": 20}


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_nothing_is_nothing(text: str, suite: Suite) -> None:
    assert parse_overrides(text, suite.name, suite.runs) == []


def test_any_white_space_separates(suite: Suite) -> None:
    assert applied("  rotnet.lr=1\n\trotnet.epochs=2  ", suite) == {"rotnet": {"lr": 1, "epochs": 2}}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("epochs", ["'epochs' is no name=value", "Example"]),
        ("epochs = 20", ["'epochs' is no name=value"]),
        ("=20", ["'=20' is no name=value"]),
        ("epohcs=20", ["'epohcs'", "did you mean 'epochs'?"]),
        ("probe.epohcs=20", ["of probe", "'epohcs'", "did you mean 'epochs'?"]),
        ("rotnet-conv.clasifier=conv", ["of rotnet-conv", "did you mean 'classifier'?"]),
        ("rotnet.classifier=conv", ["of rotnet", "'classifier'"]),
        ("rotnet=3", ["rotnet"]),
        ("prob.lr=0.1", ["prob.lr", "did you mean 'probe'?"]),
        ("seed=3", ["seed is not to be set", "SEEDS"]),
        ("runs=elsewhere", ["runs is not to be set", "RUNS"]),
        ("probe.backbone=random", ["backbone is not to be set"]),
        ("rotnet-conv.layer=conv1", ["layer is not to be set"]),
        ("rotnet.pu_weights=supervised", ["pu_weights is not to be set"]),
        ("validate=", ["'validate=' says no value", "validate=auto"]),
        ("pu_weights=supervised", ["pu_weights is not to be set"]),  # a notebook's name as well
        ("rotnet.fold=1/2", ["fold is not to be set"]),
        ("rotnet.task_options.angles.first=0", ["too deep"]),
        ("lr_milestones=[0.5, 0.75", ["bracket is not closed", "lr_milestones=[0.5, 0.75"]),
        ("dataset='shapes", ["dataset='shapes", "cannot be read"]),
    ],
)
def test_what_is_wrong_is_named(text: str, parts: list[str], suite: Suite) -> None:
    with pytest.raises(RotnetError) as error:
        parse_overrides(f"lr=0.1 {text}", suite.name, suite.runs)
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize("text", ["jigsaw.epochs=3", "jigsaw-conv.lr=1", "finetuned-jigsaw-conv.lr=1"])
def test_a_run_of_a_method_that_is_not_asked_for_is_to_be_had_by_methods(text: str, suite: Suite) -> None:
    with pytest.raises(RotnetError, match=r"METHODS=jigsaw \(or core,jigsaw\) adds runs of jigsaw\.") as error:
        plan_suite("table3", Options(preset="quick", set=text))
    assert "unknown target of" in str(error.value)
    with pytest.raises(RotnetError) as error:
        parse_overrides("jigsow.epochs=3", suite.name, suite.runs, ["jigsaw"])
    assert "METHODS" not in str(error.value)


# --- Suites with other stages, and collections ---


@pytest.fixture(scope="module")
def collected() -> dict[str, SuiteRun]:
    """The runs of two suites: one has an `inspect` run, the other probes of its own."""
    return load_suite("inspect").runs | load_suite("table2").runs


def test_an_override_may_name_a_run_of_any_suite_of_a_collection(collected: dict[str, SuiteRun]) -> None:
    [power, lr] = parse_overrides("inspect.power=4 probe-8.lr=0.5", "both", collected)
    assert (power.target, power.path, lr.target, lr.path) == ("inspect", ("power",), "probe-8", ("lr",))


def test_an_override_leaves_runs_alone_that_have_no_such_parameter(collected: dict[str, SuiteRun]) -> None:
    [epochs] = parse_overrides("epochs=3", "both", collected)
    found: dict[str, dict[str, Any]] = {key: {} for key in collected}
    for key, run in collected.items():
        epochs.apply(key, run, found[key])
    assert found == {key: {} if key == "inspect" else {"epochs": 3} for key in collected}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("inspect.epochs=3", ["of inspect", "'epochs'"]),
        ("inspect.compare=x", ["compare is not to be set"]),
        ("probe-9.lr=0.5", ["'probe-9'", "did you mean 'probe-8'?"]),
        ("epohcs=3", ["of both", "did you mean 'epochs'?"]),
        ("finetune.lr=1", ["target of 'finetune.lr=1' in SET, 'finetune'", "Allowed: pretrain, inspect, probe"]),
    ],
)
def test_what_is_wrong_for_a_collection_is_named(text: str, parts: list[str], collected: dict[str, SuiteRun]) -> None:
    with pytest.raises(RotnetError) as error:
        parse_overrides(text, "both", collected)
    for part in parts:
        assert part in str(error.value)

"""Names of runs: a run is its parameters."""

import re
from typing import Any, ClassVar

import pytest

from rotnet_lib.runs.config import RunConfig, TrainingConfig
from rotnet_lib.runs.directory import directory_of, run_name
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.suites.plan import Options, plan_suite

RANDOM = {"backbone": "random", "arch": "nin4", "dataset": "cifar10"}
TRAINING: dict[str, tuple[type[RunConfig], dict[str, Any]]] = {
    name: (STAGES[name].config, RANDOM if "backbone" in STAGES[name].config.model_fields else {})
    for name in STAGES
    if issubclass(STAGES[name].config, TrainingConfig)
}
"""Stage that trains by epochs -> its config and parameters that are enough for it."""
OTHER: dict[str, Any] = {
    "seed": 1,
    "dataset": "shapes",
    "image_size": 64,
    "crop_pct": 0.5,
    "stream": True,
    "shrink": 256,
    "validate": 0.1,
    "train_size": 100,
    "test_size": 100,
    "epochs": 30,
    "grid": 2,
    "batch_size": 64,
    "lr": 0.05,
    "schedule": "one-cycle",
    "lr_milestones": [0.5],
    "lr_decay": 0.1,
    "momentum": 0.8,
    "weight_decay": 0.0,
    "augment": "none",
    "task": "labels",
    "task_options": {"angles": [0, 180]},
    "arch": "nin5",
    "width": 0.5,
    "init": "torch",
    "backbone": "rotation-nin4-s0-0123456789",
    "layer": "conv1",
    "classifier": "linear",
    "freeze": True,
    "labels_per_class": 20,
    "grey": True,
    "colour_jitter": 0.4,
    "fold": "1/2",
    "pu_weights": "pu-nin4-s0-0123456789",
    "checkpoints": [0.5],
    "checkpoint": 0.5,
    "views": "rotated",
    "combine": "concatenate",
    "recipe": "decoupling",
    "half": "L",
}
"""For every parameter that decides the figures, a value that is not its default."""
NEEDS: dict[str, dict[str, Any]] = {
    "checkpoint": {"backbone": OTHER["backbone"]},
    "recipe": {"arch": "alexnet", "classifier": "linear"},
    "grid": {"classifier": "svm"},
    "half": {"backbone": "split-brain-nin4-split-s0-0123456789", "arch": "nin4-split"},
}
"""What such a parameter asks of others: a random backbone has no checkpoints, say."""
EXECUTION = {"runs": "elsewhere", "device": "cpu", "compile": True, "threads": 3, "gpus": 2, "max_damaged": 0.5, "workers": 2}
"""The same for those that say where and how a run is carried out."""


def name_of(stage: str, **changes: Any) -> str:
    schema, base = TRAINING[stage]
    if "backbone" in base | changes:
        base = base | {"width": 1.0}  # so that nothing is left to ask that run, which does not exist
    config = schema.build(base | changes)
    return run_name(config, "slug", "fingerprint")


@pytest.mark.parametrize(
    ("stage", "field"),
    [(stage, field) for stage, (schema, _) in TRAINING.items() for field in schema.model_fields if field not in EXECUTION],
)
def test_every_parameter_that_decides_the_figures_is_in_the_name(stage: str, field: str) -> None:
    base = NEEDS.get(field, {})
    assert name_of(stage, **base, **{field: OTHER[field]}) != name_of(stage, **base)


@pytest.mark.parametrize("stage", list(TRAINING))
@pytest.mark.parametrize("field", EXECUTION)
def test_where_and_how_a_run_is_carried_out_is_not(stage: str, field: str) -> None:
    assert name_of(stage, **{field: EXECUTION[field]}) == name_of(stage)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"layer": "conv1,conv2"}, {"layer": ["conv1", "conv2"]}),
        ({"epochs": "protocol"}, {"epochs": 50}),
        ({"lr": 1}, {"lr": 1.0}),
        ({"lr_milestones": "protocol"}, {"lr_milestones": [0.4, 0.8, 0.9]}),
    ],
)
def test_two_spellings_of_a_run_have_one_name(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert name_of("probe", **one) == name_of("probe", **other)


def test_task_options_spelled_out_or_left_out_have_one_name() -> None:
    options = {"angles": [0, 90, 180, 270], "copies": "all", "crop_for": [], "gamma": 2, "pu_after": 0}
    assert name_of("pretrain", task_options=options) == name_of("pretrain", task_options={}) == name_of("pretrain")
    assert name_of("pretrain", task_options={"copies": "one"}) != name_of("pretrain")


def test_data_stage_and_version_are_in_the_name() -> None:
    class Changed(PretrainConfig):
        version: ClassVar[int] = PretrainConfig.version + 1

    class Other(PretrainConfig):
        stage: ClassVar[str] = "other"

    values = PretrainConfig.build({}).model_dump()  # the protocol has nothing to say of a stage it does not know
    configs = (PretrainConfig.build(values), Changed.build(values), Other.build(values))
    names = {run_name(config, "slug", data) for config in configs for data in ("fingerprint", "another")}
    assert len(names) == 6


def test_a_name_is_readable_and_safe_in_a_path() -> None:
    name = run_name(PretrainConfig.build({"seed": 3}), "Rotation: nin4/my photos, ü", "")
    assert re.fullmatch(r"rotation-nin4-my-photos-s3-[0-9a-f]{10}", name)


@pytest.mark.parametrize(
    ("suite", "key", "name"),
    [
        ("table3", "rotnet", "rotation-nin4-cifar10-s0-e9e0c53b6f"),
        ("table3", "random-conv", "probe-random-nin4-conv2-conv-cifar10-s0-b63bceb23d"),
        ("table7", "fc-supervised", "voc-classification-alexnet-fc6-8-voc2007-s0-f1bcc1ced7"),
    ],
)
def test_names_stay_as_they_are(suite: str, key: str, name: str) -> None:
    """Another name is right only if another computation is meant: users' finished runs are no longer found."""
    plan = plan_suite(suite, Options(preset="paper"), lambda config: "0123456789")
    assert next(run.name for run in plan.runs if run.key == key) == name


def test_a_name_is_cut_where_a_file_system_would_refuse_it() -> None:
    configs = [PretrainConfig.build({"dataset": f"imagefolder:/photos/{'x' * length}"}) for length in (190, 250)]
    names = [directory_of(config, "fingerprint").name for config in configs]
    assert re.fullmatch(rf"rotation-nin4-{'x' * 190}-s0-[0-9a-f]{{10}}", names[0])
    assert len(names[1]) == 255
    assert re.fullmatch(r"rotation-nin4-x+-s0-[0-9a-f]{10}", names[1])


def test_names_that_are_cut_alike_differ_by_their_hash() -> None:
    configs = [PretrainConfig.build({"dataset": f"imagefolder:/photos/{'x' * 249}{end}"}) for end in "ab"]
    one, other = (directory_of(config, "fingerprint").name for config in configs)
    assert one[:-10] == other[:-10]
    assert one != other

"""The published protocol, as `docs/protocol.md` has it, is what a run does whose parameters are left alone."""

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.models import ARCHS
from rotnet_lib.pretext import TASKS
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.runs.protocols import BENCHMARKS, benchmark_of, general_first, kind_of, protocol_values, recipes
from rotnet_lib.stages.finetune import FinetuneConfig
from rotnet_lib.stages.inspection import InspectConfig
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.stages.probe import ProbeConfig
from rotnet_lib.training.schedules import learning_rate

RUN = {"backbone": "some-run", "width": 1.0}


def rates(config: TrainingConfig) -> tuple[list[int], list[float]]:
    """The epochs up to which each learning rate holds, and the rates."""
    by_epoch = [learning_rate(config, epoch, steps_per_epoch=1) for epoch in range(config.epochs)]
    groups = [(rate, len(list(group))) for rate, group in itertools.groupby(by_epoch)]
    return list(itertools.accumulate(length for _, length in groups)), [rate for rate, _ in groups]


@pytest.mark.parametrize("arch", list(ARCHS))
def test_every_arch_has_a_protocol(arch: str) -> None:
    assert benchmark_of(arch) in BENCHMARKS
    config = PretrainConfig.build({"arch": arch})
    assert config.protocol_differences() == {}


def test_an_unknown_arch_has_none() -> None:
    with pytest.raises(RotnetError, match=r"unknown arch 'alexnot'; did you mean 'alexnet'\?"):
        benchmark_of("alexnot")


@pytest.mark.parametrize("task", ["rotation", "labels"])
def test_alexnet_is_pretrained_as_published(task: str) -> None:
    """Batch 192, lr 0.01, /10 after epochs 10 and 20 of 30; random resized crop and flip."""
    config = PretrainConfig.build({"arch": "alexnet", "task": task})
    assert (config.dataset, config.batch_size, config.momentum, config.weight_decay) == ("imagenet", 192, 0.9, 5e-4)
    assert (config.augment, config.crop_pct) == ("resized-crop", 224 / 256)
    ends, found = rates(config)
    assert ends == [10, 20, 30]
    assert found == pytest.approx([0.01, 0.001, 0.0001])


TABLE4 = [10, 20, 30, 40]


@pytest.mark.parametrize(
    ("classifier", "ends"), [("linear", [5, 15, 25, 35]), ("rest", TABLE4), ("nonlinear", TABLE4), ("conv", TABLE4)]
)
@pytest.mark.parametrize("stage", [ProbeConfig, FinetuneConfig])
def test_alexnet_is_probed_as_published(stage: type[TrainingConfig], classifier: str, ends: list[int]) -> None:
    """lr 0.01, 0.002, 0.0004, 0.00008; resized to 256, random crop 224, flip."""
    config = stage.build(RUN | {"arch": "alexnet", "dataset": "imagenet", "classifier": classifier})
    assert (config.batch_size, config.momentum, config.weight_decay) == (192, 0.9, 5e-4)
    assert (config.augment, config.crop_pct) == ("random-crop", 224 / 256)
    found_ends, found = rates(config)
    assert found_ends == ends
    assert found == pytest.approx([0.01, 0.002, 0.0004, 0.00008])
    assert config.protocol_differences() == {}


def test_nin_is_pretrained_as_published() -> None:
    config = PretrainConfig.build({})
    assert (config.arch, config.momentum, config.weight_decay) == ("nin4", 0.9, 5e-4)
    assert (config.dataset, config.batch_size, config.augment, config.crop_pct) == ("cifar10", 128, "pad-crop", 1.0)
    ends, found = rates(config)
    assert ends == [30, 60, 80, 100]
    assert found == pytest.approx([0.1, 0.02, 0.004, 0.0008])


@pytest.mark.parametrize("arch", ["nin4", "alexnet"])
def test_what_is_said_wins_over_the_protocol(arch: str) -> None:
    given: dict[str, Any] = {"epochs": 3, "lr": 0.5, "batch_size": 7, "augment": "none", "crop_pct": 0.5, "dataset": "shapes"}
    config = PretrainConfig.build({"arch": arch} | given)
    assert {name: getattr(config, name) for name in given} == given
    assert set(config.protocol_differences()) == set(given)


@pytest.mark.parametrize("word", ["protocol", "auto"])
def test_a_word_means_the_protocols(word: str) -> None:
    names = ("epochs", "lr", "batch_size", "augment", "crop_pct", "dataset", "lr_milestones", "lr_decay", "stream")
    left = dict.fromkeys(names, word)
    for arch in ("nin4", "alexnet"):
        assert PretrainConfig.build({"arch": arch} | left) == PretrainConfig.build({"arch": arch})


@pytest.mark.parametrize(("dataset", "streamed"), [("imagenet", True), ("places205", True), ("shapes", False)])
def test_a_set_larger_than_memory_is_streamed_unless_told_otherwise(dataset: str, streamed: bool) -> None:
    config = PretrainConfig.build({"arch": "alexnet", "dataset": dataset})
    assert config.stream == streamed
    assert "stream" not in config.protocol_differences()
    other = PretrainConfig.build({"arch": "alexnet", "dataset": dataset, "stream": not streamed})
    assert other.protocol_differences()["stream"] == [streamed, not streamed]


def test_a_stage_takes_of_the_protocol_what_it_has_parameters_for() -> None:
    config = InspectConfig.build(RUN | {"arch": "alexnet", "dataset": "imagenet"})
    assert config.crop_pct == 0.875
    assert "lr" not in config.protocol()


def test_decouplings_linear_probes_train_longer() -> None:
    """65 epochs where RotNet's are 35, and else alike."""
    asked = RUN | {"arch": "alexnet", "dataset": "imagenet", "classifier": "linear"}
    ours, theirs = ProbeConfig.build(asked), ProbeConfig.build(asked | {"recipe": "decoupling"})
    ends, found = rates(theirs)
    assert ends == [5, 25, 45, 65]
    assert found == pytest.approx([0.01, 0.002, 0.0004, 0.00008])
    assert theirs.protocol_differences() == {}
    values, others = ours.model_dump(), theirs.model_dump()
    assert {name for name in values if values[name] != others[name]} == {"epochs", "lr_milestones", "recipe"}
    shortened = ProbeConfig.build(asked | {"recipe": "decoupling", "epochs": 35})
    assert shortened.protocol_differences() == {"epochs": [65, 35]}


@pytest.mark.parametrize(("arch", "classifier"), [("alexnet", "rest"), ("alexnet", "nonlinear"), ("nin4", "linear")])
def test_a_recipe_that_says_nothing_of_a_classifier_is_refused(arch: str, classifier: str) -> None:
    with pytest.raises(
        RotnetError,
        match=rf"recipe: no .* {classifier} on {arch}, but for: linear on alexnet, linear on alexnet-split\. Leave recipe out",
    ):
        ProbeConfig.build(RUN | {"arch": arch, "dataset": "shapes", "classifier": classifier, "recipe": "decoupling"})


def test_only_linear_probes_on_alexnet_have_a_recipe_besides_rotnets() -> None:
    assert recipes("probe") == {("imagenet", "linear"): ["decoupling"]}
    assert recipes("finetune") == recipes("pretrain") == {}


def test_the_pretext_task_of_decoupling_has_a_protocol_on_alexnet_only() -> None:
    """Batch 192 and random resized crops, as RotNet's; on NIN all as RotNet's."""
    found, rotnets = (PretrainConfig.protocol_for({"arch": "alexnet", "task": task}) for task in ("decoupling", "rotation"))
    assert {name for name in found if found[name] != rotnets[name]} == {"epochs", "lr_milestones", "lr_decay"}
    assert (found["epochs"], found["batch_size"], found["lr"], found["augment"]) == (245, 192, 0.01, "resized-crop")
    for arch in ("alexnet", "nin4"):
        assert PretrainConfig.build({"arch": arch, "task": "decoupling"}).protocol_differences() == {}
    shortened = PretrainConfig.build({"arch": "alexnet", "task": "decoupling", "epochs": 49, "lr_decay": 0.1})
    assert shortened.protocol_differences() == {"epochs": [245, 49], "lr_decay": [[0.1, 0.1, 0.1, 10, 0.1], 0.1]}
    on_nin = [PretrainConfig.protocol_for({"arch": "nin4", "task": task}) for task in ("decoupling", "rotation")]
    assert on_nin[0] == on_nin[1]


def test_a_task_may_say_any_parameter_of_the_protocol() -> None:
    """Also those that all other tasks leave at their default."""
    own = {"weight_decay": 1e-3, "momentum": 0.5, "schedule": "one-cycle", "image_size": 30}

    @TASKS.register("other")
    class Other(Rotation):
        protocol: ClassVar[Mapping[str, Any]] = {"cifar10": {**Rotation.protocol["cifar10"], **own}}

    try:
        config = PretrainConfig.build({"arch": "nin3", "task": "other"})
        assert {name: getattr(config, name) for name in own} == own
        assert config.protocol_differences() == {}
        assert PretrainConfig.build({"arch": "nin3", "task": "other", "momentum": 0.9}).protocol_differences() == {
            "momentum": [0.5, 0.9]
        }
        with pytest.raises(
            RotnetError, match=r"task: other has no schedule for imagenet, the benchmark of alexnet\. It has: cif"
        ):
            PretrainConfig.build({"arch": "alexnet", "task": "other"})
    finally:
        TASKS.remove("other")


def test_a_kind_is_its_task_or_its_classifier_and_the_recipe() -> None:
    assert kind_of({"task": "rotation", "arch": "nin4"}) == "rotation"
    assert kind_of({"classifier": "linear", "recipe": "decoupling"}) == "linear.decoupling"
    assert kind_of({"power": 4}) == ""
    assert general_first("probe.linear.decoupling") == ["probe", "probe.linear", "probe.linear.decoupling"]


@pytest.mark.parametrize("arch", ["nin4", "alexnet"])
def test_a_classifier_that_the_protocol_does_not_know_says_nothing_on_top(arch: str) -> None:
    found = protocol_values("probe", arch, "new")
    assert found == protocol_values("inspect", arch)
    assert found.items() < protocol_values("probe", arch, "linear").items()

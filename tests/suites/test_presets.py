"""Presets: which setting a run is given, and what stands in for the data."""

import re
from typing import Any

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.runs.protocols import kind_of
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.suites.plan import Options, make_plan, plan_suite
from rotnet_lib.suites.presets import Preset, load_presets, preset_named
from rotnet_lib.suites.resolve import configure
from rotnet_lib.suites.suite import suite_names
from rotnet_lib.voc.config import VocConfig

BENCHMARK_ARCHS = {"cifar10": "nin4", "imagenet": "alexnet"}


def test_presets() -> None:
    presets = load_presets()
    assert {"paper", "released", "quick"} <= set(presets)
    assert presets["paper"].set == {}  # the config classes' defaults are the protocol
    assert all(preset.description for preset in presets.values())


@pytest.mark.parametrize("name", suite_names())
def test_the_quick_preset_needs_no_data_and_says_what_it_changes(name: str) -> None:
    for run in plan_suite(name, Options(preset="quick")).runs:
        differences = run.config.protocol_differences()
        of_images = {"cifar10": "shapes", "imagenet": "shapes", "places205": "shapes:1"}
        assert run.config.dataset == (of_images | {"voc2007": "scenes:128", "voc2012": "scenes:192"})[run.dataset]
        assert run.config.threads == 1  # so that figures do not hang on the number of cores
        trained = {"epochs"} if isinstance(run.config, TrainingConfig) else set()
        trained |= {"iterations"} if isinstance(run.config, VocConfig) else set()
        assert {"dataset", "width", "train_size", *trained} <= set(differences)


def test_a_dataset_that_is_asked_for_is_not_called_drawn_shapes() -> None:
    preset = Preset(data="drawn shapes", description="a narrow network")
    assert preset.described(None) == "drawn shapes, a narrow network"
    assert preset.described("imagefolder:/my") == "imagefolder:/my in place of drawn shapes, a narrow network"
    words = "drawn shapes, and voc:/my in place of PASCAL VOC, a narrow network"
    assert preset.described("voc:/my", voc=True) == words
    assert Preset(description="a narrow network").described("imagefolder:/my") == "a narrow network"


def test_what_stands_in_for_pascal_voc_is_said_of_its_tasks() -> None:
    preset = Preset(data="drawn shapes", voc_data="drawn scenes", description="a narrow network")
    assert preset.described(None) == "drawn shapes, a narrow network"
    assert preset.described(None, voc=True) == "drawn shapes, and drawn scenes in place of PASCAL VOC, a narrow network"
    assert preset.described("voc:/my", voc=True) == "drawn shapes, and voc:/my in place of PASCAL VOC, a narrow network"
    table7 = plan_suite("table7", Options(preset="quick")).preset_description
    assert "drawn scenes in place of PASCAL VOC" in table7
    both = make_plan("decoupling-imagenet", Options(preset="quick"))
    assert "PASCAL VOC" in both.preset_description
    of_parts = {part.suite.name: "PASCAL VOC" in part.preset_description for part in both.parts}
    assert of_parts == {"decoupling-table4": False, "decoupling-table5": False, "decoupling-table7": True}


def test_words_are_values_too() -> None:
    Preset(
        description="",
        set={"cifar10": {"all": {"train_size": "all", "validate": "none", "lr": "protocol", "momentum": "protocol"}}},
    )


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"datasets": {"cifra10": "shapes"}}, ["'cifra10'", "did you mean 'cifar10'?"]),
        ({"set": {"cifar10": {"pretrain.linear": {"epochs": 2}}}}, ["'pretrain.linear' 'linear'", "rotation"]),
        ({"set": {"cifar10": {"probe.rotation": {"epochs": 2}}}}, ["'probe.rotation' 'rotation'", "linear", "svm", "random"]),
        ({"set": {"cifar10": {"finetune.svm": {"epochs": 2}}}}, ["'finetune.svm' 'svm'", "linear"]),
        ({"set": {"cifar10": {"all": {"train_size": "many"}}}}, ["'all': train_size", "integer", "not 'many'"]),
        ({"set": {"cifar10": {"probe": {"layer": "conv2"}}}}, ["'probe': layer says which run it is"]),
        ({"set": {"cifar10": {"probe": {"lr": -1}}}}, ["'probe': lr", "greater than or equal to 0", "not -1"]),
    ],
)
def test_what_no_run_could_take_is_an_error(values: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(ValueError, match=".*".join(map(re.escape, parts))):
        Preset(description="", **values)


def test_the_more_special_key_of_a_preset_wins() -> None:
    settings = {
        "probe.conv": {"lr": 3.0},
        "probe": {"lr": 2.0, "epochs": 2},
        "all": {"lr": 1.0, "epochs": 1, "width": 0.5},
        "pretrain.labels": {"lr": 4.0},
    }
    preset = Preset(description="", set={"cifar10": settings})

    def said(notebook: str, **kind: str) -> tuple[Any, ...]:
        values = preset.parameters(notebook, "nin4", kind_of(kind), "cifar10")
        assert values.keys() == {"lr", "epochs", "width"}
        return values["lr"], values["epochs"], values["width"]

    assert said("probe", classifier="conv") == (3.0, 2, 0.5)
    assert said("probe", classifier="linear") == (2.0, 2, 0.5)
    assert said("pretrain", task="labels") == (4.0, 1, 0.5)
    assert said("finetune") == (1.0, 1, 0.5)


def test_a_recipe_is_more_special_than_its_classifier() -> None:
    settings: dict[str, Any] = {"probe.linear.decoupling": {"epochs": 9}, "probe.linear": {"epochs": 5, "lr": 2.0}}
    preset = Preset(description="", set={"imagenet": settings | {"probe": {"lr": 1.0, "epochs": 1}}})

    def said(**kind: str) -> tuple[Any, Any]:
        values = preset.parameters("probe", "alexnet", kind_of(kind), "imagenet")
        return values["epochs"], values["lr"]

    assert said(classifier="linear", recipe="decoupling") == (9, 2.0)
    assert said(classifier="linear", recipe="rotnet") == said(classifier="linear") == (5, 2.0)
    assert said(classifier="rest") == (1, 1.0)


@pytest.mark.parametrize(("backbone", "epochs"), [("random", 4), ("random-rescaled", 1), ("rotation-nin4", 1), (None, 1)])
def test_what_a_preset_says_of_an_untrained_backbone_counts_over_the_rest(backbone: str | None, epochs: int) -> None:
    settings: dict[str, Any] = {"probe.random": {"epochs": 4}, "probe": {"epochs": 2}, "probe.conv": {"epochs": 1}}
    preset = Preset(description="", set={"cifar10": settings})
    assert preset.parameters("probe", "nin4", "conv", "cifar10", backbone)["epochs"] == epochs


def test_the_night_preset_is_a_schedule_for_all_of_cifar10() -> None:
    found = {run.key: run.config for run in plan_suite("table3", Options(preset="night"), fingerprint=lambda config: "f").runs}
    assert {key: config.epochs for key, config in found.items() if isinstance(config, TrainingConfig)} == {
        "supervised": 80,
        "rotnet": 25,
        "random-conv": 40,
        "rotnet-nonlinear": 25,
        "rotnet-conv": 25,
        "finetuned-nonlinear": 25,
        "finetuned-conv": 25,
    }
    for config in found.values():
        assert (config.dataset, config.train_size, config.test_size, config.threads) == ("cifar10", None, None, 1)


def test_a_preset_for_one_benchmark_refuses_others() -> None:
    words = "preset night: it is for cifar10 alone, and alexnet follows the protocol of imagenet. Presets for that: paper, "
    with pytest.raises(RotnetError, match=words):
        configure("pretrain", {"task": "rotation", "arch": "alexnet"}, "night")


@pytest.mark.parametrize("arch", BENCHMARK_ARCHS.values())
def test_the_released_preset_leaves_jigsaw_its_own_schedule(arch: str) -> None:
    assert preset_named("released").parameters("pretrain", arch, "jigsaw", "imagenet") == {}


@pytest.mark.parametrize("task", ["rotation", "labels", "rotation-instance"])
def test_the_released_preset_has_rotnets_schedule(task: str) -> None:
    found = [preset_named("released").parameters("pretrain", arch, task, "imagenet") for arch in ("nin4", "alexnet")]
    assert found == [{"epochs": 200}, {"epochs": 50, "lr_milestones": [0.3, 0.6, 0.9], "lr_decay": 0.1}]


def test_the_released_preset_leaves_decoupling_its_own_schedule() -> None:
    """Which is the released one; on NIN, where none is published, it has RotNet's."""
    found = {
        arch: preset_named("released").parameters("pretrain", arch, "decoupling", "imagenet")
        for arch in BENCHMARK_ARCHS.values()
    }
    config = PretrainConfig.build(found["alexnet"] | {"task": "decoupling", "arch": "alexnet"})
    assert (config.epochs, len(config.lr_factors), config.protocol_differences()) == (245, 5, {})
    assert PretrainConfig.build(found["nin4"] | {"task": "decoupling"}).epochs == 200


@pytest.mark.parametrize("name", ["quick", "short"])
def test_a_short_preset_keeps_the_ratio_of_the_two_recipes(name: str) -> None:
    kinds = ("linear", "linear.decoupling")
    epochs = [preset_named(name).parameters("probe", "alexnet", kind, "shapes")["epochs"] for kind in kinds]
    assert epochs[1] == round(epochs[0] * 65 / 35)


def test_a_preset_says_nothing_to_a_notebook_about_parameters_it_has_not() -> None:
    settings: dict[str, dict[str, Any]] = {"all": {"lr": 1.0, "epochs": 1, "seed": 3}, "inspect": {"power": 4}}
    preset = Preset(description="", set={"cifar10": settings})
    assert preset.parameters("inspect", "nin4", "", "cifar10") == {"seed": 3, "power": 4}


def test_a_preset_says_to_an_arch_what_is_for_its_benchmark() -> None:
    settings: dict[str, Any] = {"cifar10": {"all": {"lr": 1.0}}, "imagenet": {"pretrain": {"lr": 2.0}}}
    preset = Preset(description="", set=settings)
    found = {arch: preset.parameters("pretrain", arch, "", "imagenet") for arch in ("nin3", "alexnet")}
    assert found == {"nin3": {"lr": 1.0}, "alexnet": {"lr": 2.0}}


@pytest.mark.parametrize(("dataset", "size"), [("shapes:7", 64), ("imagefolder:/photos", None), ("imagenet", None)])
def test_a_presets_image_size_is_for_the_data_that_it_puts_in(dataset: str, size: int | None) -> None:
    preset = Preset(description="", datasets={"imagenet": "shapes:7"}, set={"imagenet": {"all": {"image_size": 64}}})
    assert preset.parameters("pretrain", "alexnet", "rotation", dataset).get("image_size") == size


@pytest.mark.parametrize(("dataset", "scaled"), [("scenes:256", True), ("voc:/photos", False), ("voc2007", False)])
def test_a_presets_scales_are_for_the_data_that_it_puts_in(dataset: str, scaled: bool) -> None:
    scales = {"train_scales", "test_scale"}
    values = preset_named("short").parameters("voc_detection", "alexnet", "", dataset)
    assert values.keys() & scales == (scales if scaled else set())


@pytest.mark.parametrize(
    ("dataset", "expected"), [(None, {"shapes", "shapes:1"}), ("fashion-mnist", {"fashion-mnist", "shapes:1"})]
)
def test_a_dataset_asked_for_is_for_what_the_protocol_measures_on(dataset: str | None, expected: set[str]) -> None:
    """Places205, which the suite itself names, stays or is stood in for."""
    plan = plan_suite("table6", Options(preset="quick", dataset=dataset), fingerprint=lambda config: "f")
    assert {run.config.dataset for run in plan.runs} == expected


@pytest.mark.parametrize("benchmark", BENCHMARK_ARCHS)
@pytest.mark.parametrize("task", ["rotation", "rotation-instance"])
def test_the_settings_for_pretraining_hold_for_every_pretext_task(task: str, benchmark: str) -> None:
    quick = preset_named("quick")
    values = quick.parameters("pretrain", BENCHMARK_ARCHS[benchmark], task, "shapes")
    assert quick.set[benchmark]["pretrain"].items() <= values.items()


@pytest.mark.parametrize("benchmark", BENCHMARK_ARCHS)
def test_supervised_runs_have_settings_of_their_own(benchmark: str) -> None:
    quick = preset_named("quick")
    values = quick.parameters("pretrain", BENCHMARK_ARCHS[benchmark], "labels", "shapes")
    assert quick.set[benchmark]["pretrain.labels"].items() <= values.items()
    assert quick.set[benchmark]["pretrain.labels"] != quick.set[benchmark]["pretrain"]


@pytest.mark.parametrize("preset", load_presets())
def test_every_sweep_of_a_preset_ends_with_all_labels(preset: str) -> None:
    """The last column is runs that table 3 has made."""
    for values in preset_named(preset).sweeps.values():
        assert values[-1] == "all"


@pytest.mark.parametrize("preset", load_presets())
def test_no_preset_asks_for_more_labels_a_class_than_there_are(preset: str) -> None:
    for run in plan_suite("figure5b", Options(preset=preset)).runs:
        if isinstance(run.config, TrainingConfig):
            assert (run.config.labels_per_class or 0) <= (run.config.train_size or 50_000) / 10

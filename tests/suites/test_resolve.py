"""One function resolves a run's parameters, whoever asks, and says where each value comes from."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.directory import PARAMETERS
from rotnet_lib.runs.resolution import Said
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.stages.probe import ProbeConfig
from rotnet_lib.suites.plan import Options, Plan, plan_suite
from rotnet_lib.suites.resolve import configure, from_notebook, resolve


def plan_of(text: str = "", preset: str = "paper", suite: str = "table3") -> Plan:
    return plan_suite(suite, Options(preset=preset, set=text), fingerprint=lambda config: "f")


def run_of(plan: Plan, key: str) -> RunConfig:
    return next(run.config for run in plan.runs if run.key == key)


def sizes(config: RunConfig) -> tuple[int | None, int | None]:
    return config.train_size, config.test_size


def begin(plan: Plan, key: str) -> str:
    """Make a run's directory, with its parameters alone; returns its name."""
    directory = next(run.directory for run in plan.runs if run.key == key)
    directory.path.mkdir(parents=True)
    config = run_of(plan, key)
    (directory.path / PARAMETERS).write_text(yaml.safe_dump(config.model_dump(mode="json")))
    return directory.name


# --- By every route the same ---


@pytest.mark.parametrize("preset", ["paper", "quick", "short", "released"])
@pytest.mark.parametrize("text", ["", "pretrain.train_size=300", "rotnet.image_size=32 rotnet.shrink=64", "rotnet.width=0.3"])
def test_a_probe_means_the_same_in_a_suite_by_the_command_and_in_a_notebook(preset: str, text: str) -> None:
    plan = plan_of(text, preset)
    asked = {"backbone": begin(plan, "rotnet"), "layer": "conv2", "classifier": "nonlinear"}
    planned = run_of(plan, "rotnet-nonlinear")
    assert configure("probe", asked, preset) == planned
    assert from_notebook(ProbeConfig, asked | {"preset": preset, "lr": "auto"}) == planned
    assert ProbeConfig.build(planned.model_dump(mode="json")) == planned  # as a child process reads it


@pytest.mark.parametrize("dataset", ["shapes:1", "shapes", "cifar10", "fashion-mnist", "imagefolder:/photos", "protocol"])
def test_a_dataset_means_the_same_however_it_is_said(dataset: str) -> None:
    """The preset's image size is for the drawn shapes that it puts in."""
    said = configure("pretrain", {"dataset": dataset, "arch": "nin4"}, "quick")
    assert said.model_dump()["image_size"] == (24 if dataset.startswith("shapes") else None)
    assert run_of(plan_of(f"dataset={dataset}", "quick"), "rotnet") == said
    if dataset != "protocol":
        options = Options(preset="quick", dataset=dataset)
        assert run_of(plan_suite("table3", options, fingerprint=lambda config: "f"), "rotnet") == said


def test_a_preset_asks_for_no_more_images_than_a_users_folder_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user asks for stays, and is an error where the data is opened."""
    for split, count in (("train", 3), ("test", 1001)):
        for number in range(count):
            path = tmp_path / split / "cat" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    asked = {"dataset": f"imagefolder:{tmp_path}", "arch": "nin4"}
    assert sizes(configure("pretrain", asked, "quick")) == (None, 1000)
    assert sizes(configure("pretrain", asked | {"train_size": 4000}, "quick")) == (4000, 1000)
    listed, scan = [], os.scandir

    def watched(path: Any) -> Any:
        listed.append(str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", watched)
    plan = plan_suite("table3", Options(preset="quick", dataset=str(asked["dataset"])), fingerprint=lambda config: "f")
    once_a_stage = len({run.config.stage for run in plan.runs})  # it may hold a million files
    assert listed.count(str(tmp_path / "train" / "cat")) == once_a_stage < len(plan.runs)
    assert {sizes(run.config) for run in plan.runs} == {(None, 1000)}


@pytest.mark.parametrize(("images", "expected"), [((4, 5), (None, None)), ((1001, 199), (1000, None))])
def test_a_preset_asks_for_no_more_images_than_a_users_lists_have(
    images: tuple[int, int], expected: tuple[int | None, int | None], tmp_path: Path
) -> None:
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    for split, count in zip(("train", "val"), images, strict=True):
        ids = [f"{split}{number}" for number in range(count)]
        (tmp_path / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(ids))
        for name in ids:
            (tmp_path / "JPEGImages" / f"{name}.jpg").touch()
            (tmp_path / "SegmentationClass" / f"{name}.png").touch()
    asked = {"dataset": f"voc:{tmp_path}", "backbone": "random"}
    assert sizes(configure("voc_segmentation", asked, "short")) == expected
    assert sizes(configure("voc_segmentation", asked | {"dataset": "voc2012"}, "short")) == (1000, 200)


def test_a_row_that_names_its_own_data_is_as_by_the_command() -> None:
    row = run_of(plan_of(preset="quick", suite="table6"), "places-random")
    asked = {"backbone": "random", "arch": "alexnet", "dataset": "shapes:1", "layer": "conv1,conv2,conv3,conv4,conv5"}
    assert configure("probe", asked | {"classifier": "linear"}, "quick") == row


@pytest.mark.parametrize("preset", ["paper", "quick"])
def test_a_suites_probes_see_the_images_of_their_backbones_run(preset: str) -> None:
    """They saw all of the protocol's, whatever the pretext task was trained on."""
    plan = plan_of("pretrain.train_size=300 pretrain.shrink=64", preset)
    data = {key: run_of(plan, key).data for key in ("rotnet", "rotnet-conv", "finetuned-conv")}  # type: ignore[attr-defined]
    assert len(set(data.values())) == 1
    assert (data["rotnet"].train_size, data["rotnet"].shrink) == (300, 64)


def test_no_limit_can_be_said_where_the_backbones_run_has_one() -> None:
    name = begin(plan_of("rotnet.train_size=300 rotnet.shrink=64 rotnet.image_size=24"), "rotnet")
    follows = ProbeConfig.build({"backbone": name})
    assert (follows.train_size, follows.shrink, follows.image_size) == (300, 64, 24)
    said = ProbeConfig.build({"backbone": name, "train_size": "all", "shrink": "none", "image_size": "own"})
    assert (said.train_size, said.shrink, said.image_size) == (None, None, None)
    named = ProbeConfig.build({"backbone": name, "dataset": "cifar10"})  # as the run's: it is followed all the same
    assert named == follows


# --- Origins ---


@pytest.mark.parametrize(
    ("key", "field", "origin"),
    [
        ("linear-rotnet", "lr", "protocol: imagenet, probe.linear"),
        ("linear-rotnet", "classifier", "suite table5"),
        ("linear-rotnet", "epochs", "SET"),
        ("linear-rotnet", "momentum", "protocol"),
        ("linear-rotnet", "views", "default"),
        ("rotnet", "labels_per_class", "default"),
        ("rotnet", "dataset", "protocol: imagenet"),
        ("rotnet", "arch", "suite table5"),
        ("linear-random", "seed", "SEEDS"),
    ],
)
def test_each_value_has_its_origin(key: str, field: str, origin: str) -> None:
    plan = plan_of("probe.epochs=3", suite="table5")
    assert next(run.origins[field] for run in plan.runs if run.key == key) == origin


def test_what_the_preset_and_the_backbones_run_decide_says_so() -> None:
    plan = plan_of(preset="quick")
    probe = next(run for run in plan.runs if run.key == "rotnet-conv")
    assert probe.origins["epochs"] == "preset quick"
    for name in ("arch", "width", "dataset", "train_size"):
        assert probe.origins[name] == f"backbone: {probe.config.model_dump()['backbone']}"
    assert probe.origins.keys() == ProbeConfig.model_fields.keys()


def test_the_word_protocol_is_stronger_than_the_preset() -> None:
    assert configure("pretrain", {"epochs": "protocol"}, "quick").model_dump()["epochs"] == 100
    assert configure("pretrain", {"epochs": "auto"}, "quick").model_dump()["epochs"] == 5


@pytest.mark.parametrize("name", ["schedule", "width", "momentum", "train_size", "epochs", "augment", "dataset"])
def test_protocol_can_be_said_of_whatever_a_preset_changes(name: str) -> None:
    said = configure("pretrain", {name: "protocol"}, "quick").model_dump()[name]
    assert said == PretrainConfig.build({}).model_dump()[name]


def test_backbone_said_where_no_run_can_be_followed_is_as_nothing_said() -> None:
    asked = {"backbone": "random", "arch": "nin4"}
    followed = dict.fromkeys(("dataset", "train_size", "width", "grey"), "backbone")
    assert configure("probe", asked | followed, "quick") == configure("probe", asked, "quick")


def test_a_suite_takes_the_words_of_arch_and_width() -> None:
    plain = run_of(plan_of(), "rotnet-conv")
    for text in ("probe.width=auto", "probe.width=backbone", "arch=auto", "probe.arch=backbone"):
        assert run_of(plan_of(text), "rotnet-conv") == plain
    with pytest.raises(RotnetError, match=r"so its arch and width are those: nin4, 1\. To change them, set rotnet\.arch"):
        plan_of("probe.width=0.5")
    assert (
        configure("voc_classification", {"backbone": "random", "arch": "protocol"}, "quick").model_dump()["arch"] == "alexnet"
    )


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ({"weight_decay": None}, ["weight_decay: null (None) says nothing. Say auto, or a value. [SET]"]),
        ({"epochs": True}, ["a number is needed, not True", "[SET]"]),
        ({"task": "rotaton"}, ["unknown pretext task 'rotaton'; did you mean 'rotation'?", "[SET]"]),
        ({"arch": "nin9"}, ["unknown arch 'nin9'", "[SET]"]),
        ({"task_options": {"angle": 3}}, ["'angle'", "did you mean 'angles'?", "[SET]"]),
        ({"gpus": 3}, ["pretrain: gpus: a batch of 8 images does not divide among 3 processes", "[SET]"]),
        ({"train_size": "none"}, ["not 'none'; words for it: auto, all, protocol (", "[SET]"]),
        ({"lr": None}, ["lr: null (None) says nothing. Say protocol, or a value. [SET]"]),
        ({"lr": -1}, ["lr: ", "not -1", "[SET]"]),
        ({"epochs": 0}, ["epochs: ", "not 0", "[SET]"]),
        ({"augment": "flip"}, ["augment: ", "[SET]"]),
    ],
)
def test_a_message_about_a_value_says_who_gave_it(said: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(RotnetError) as error:
        resolve("pretrain", [Said("SET", said)], preset="quick")
    for part in parts:
        assert part in str(error.value)


def test_nothing_said_is_the_protocol() -> None:
    config = PretrainConfig.build({})
    assert config.protocol_differences() == {}
    assert (config.dataset, config.train_size, config.epochs) == ("cifar10", None, 100)

"""What a probe or a fine-tuning run is told, and what it works out: its backbone, its layers, its schedule."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.models.network import Network
from rotnet_lib.runs.directory import METRICS, MODEL, PARAMETERS, RunDirectory, checkpoint_of
from rotnet_lib.stages.backbone_config import UNTRAINED
from rotnet_lib.stages.classifier_config import ClassifierConfig
from rotnet_lib.stages.finetune import FinetuneConfig
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.stages.probe import ProbeConfig, probe
from rotnet_lib.training.checkpoints import load_tensors, save_backbone
from rotnet_lib.training.schedules import learning_rate
from tests.results import finished

RANDOM = {"backbone": "random", "arch": "nin4", "dataset": "cifar10"}


def make_run(name: str, **parameters: Any) -> Path:
    """A pretrain run's directory as far as following a backbone looks at it: no weights, no result."""
    directory = Path("runs", name)
    directory.mkdir(parents=True)
    config = PretrainConfig.build({"dataset": "shapes", "width": 0.05} | parameters)
    (directory / PARAMETERS).write_text(yaml.safe_dump(config.model_dump(mode="json")))
    return directory


def finish_run(*, minutes_ago: float = 0, **parameters: Any) -> RunDirectory:
    """A finished pretrain run as far as choosing a backbone looks at it: no weights."""
    run = finished(PretrainConfig.build({"dataset": "shapes", "width": 0.05} | parameters))
    for file in run.path.iterdir():
        os.utime(file, (time.time() - 60 * minutes_ago,) * 2)
    return run


# --- The backbone ---


@pytest.mark.parametrize(
    ("other", "asked"),
    [
        ({"minutes_ago": 10}, {}),
        ({"task": "labels"}, {}),
        ({"finished": False}, {}),
        ({"arch": "nin3"}, {"layer": "conv4"}),
        ({"arch": "nin3"}, {"layer": "conv1,conv4"}),
        ({"arch": "nin3"}, {"arch": "nin4"}),
        ({"width": 0.1}, {"width": 0.05}),
        ({"dataset": "cifar10"}, {"dataset": "shapes"}),
    ],
    ids=["older", "supervised", "unfinished", "no-such-layer", "not-all-layers", "other-arch", "other-width", "other-data"],
)
def test_newest_is_the_newest_finished_pretext_run_that_fits(other: dict[str, Any], asked: dict[str, Any]) -> None:
    run = finish_run(minutes_ago=5)
    if other.pop("finished", True):
        finish_run(seed=1, **other)
    else:
        make_run("other", **other)
    assert ProbeConfig.build(asked).backbone == run.name


def test_newest_goes_by_when_runs_finished() -> None:
    first, second = finish_run(minutes_ago=9), finish_run(minutes_ago=6, seed=1)
    assert ProbeConfig.build({}).backbone == second.name
    os.utime(first.path / METRICS)
    assert ProbeConfig.build({"backbone": "newest"}).backbone == first.name
    os.utime(second.path / METRICS, (time.time() + 60,) * 2)
    assert ProbeConfig.build({"layer": "all"}).backbone == second.name


@pytest.mark.parametrize("parameters", [{}, {"layer": "conv5"}, {"arch": "nin4", "dataset": "cifar10"}])
def test_without_a_run_that_fits_it_says_which_command_makes_one(parameters: dict[str, Any]) -> None:
    finish_run(task="labels")
    rotnet = finish_run(arch="nin4")
    if not parameters:
        (rotnet.path / METRICS).unlink()
    with pytest.raises(RotnetError) as error:
        ProbeConfig.build(parameters)
    for part in ("no finished pretext run", "'runs'", "rotnet run pretrain", "-p backbone random"):
        assert part in str(error.value)
    for asked in parameters.values():
        assert asked in str(error.value)


def test_no_runs_folder_at_all_says_the_same() -> None:
    with pytest.raises(RotnetError, match=r"no finished pretext run in 'runs'.*rotnet run pretrain"):
        FinetuneConfig.build({})


@pytest.mark.parametrize("backbone", UNTRAINED)
@pytest.mark.parametrize("given", [{}, {"dataset": "shapes"}])
def test_a_random_backbone_needs_an_arch(backbone: str, given: dict[str, Any]) -> None:
    make_run("rotnet")  # there is a run to follow, but it has nothing to do with it
    with pytest.raises(RotnetError, match="so arch must") as error:
        ProbeConfig.build({"backbone": backbone} | given)
    assert f"'{backbone}' follows no run" in str(error.value)
    assert "nin3, nin4, nin5" in str(error.value)


@pytest.mark.parametrize("backbone", UNTRAINED)
def test_a_random_backbone_has_width_1_unless_told(backbone: str) -> None:
    assert ProbeConfig.build(RANDOM | {"backbone": backbone}).width == 1.0
    assert ProbeConfig.build(RANDOM | {"backbone": backbone, "width": 0.5}).width == 0.5
    assert ProbeConfig.build({"backbone": backbone, "arch": "nin4"}).dataset == "cifar10"  # the protocol's


def test_what_is_not_said_follows_the_backbones_run() -> None:
    said: dict[str, Any] = {
        "arch": "nin5",
        "train_size": 30,
        "test_size": 20,
        "image_size": 16,
        "crop_pct": 0.5,
        "stream": True,
        "shrink": 64,
    }
    make_run("rotnet", **said)
    config = ProbeConfig.build({"backbone": "rotnet"})
    assert {name: getattr(config, name) for name in said} == said
    assert (config.width, config.dataset) == (0.05, "shapes")
    assert ProbeConfig.build({"backbone": "rotnet", "train_size": 10}).train_size == 10


def test_with_other_data_the_backbones_sizes_mean_nothing() -> None:
    make_run("rotnet", train_size=30, test_size=20, image_size=16, crop_pct=0.5, stream=True, shrink=64, grey=True)
    config = ProbeConfig.build({"backbone": "rotnet", "dataset": "cifar10"})
    assert (config.dataset, config.train_size, config.test_size, config.image_size) == ("cifar10", None, None, None)
    assert (config.crop_pct, config.stream, config.shrink) == (1.0, False, None)  # as for any run on that data
    assert config.grey is True  # what the backbone sees is no size of a dataset


def test_a_run_from_before_grey_was_a_parameter_is_in_colour() -> None:
    path = make_run("rotnet") / PARAMETERS
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith("grey")))
    assert ProbeConfig.build({"backbone": "rotnet"}).grey is False


@pytest.mark.parametrize("grey", [True, False])
def test_images_are_grey_where_the_backbones_were(grey: bool) -> None:
    rotnet = finish_run(grey=grey).name
    for stage in (ProbeConfig, FinetuneConfig):
        assert stage.build({"backbone": rotnet}).grey is grey
        assert stage.build({"backbone": "newest", "grey": "backbone"}).grey is grey
        assert stage.build({"backbone": rotnet, "grey": not grey}).grey is not grey


def test_where_no_run_is_asked_images_keep_their_colour() -> None:
    assert ProbeConfig.build(RANDOM).grey is False
    later = {"backbone": "later", "arch": "nin4", "width": 1.0, "dataset": "cifar10"}
    assert ProbeConfig.build(later).grey is False
    assert ProbeConfig.build(later | {"grey": True}).grey is True


def test_the_schedule_does_not_follow_the_backbones_run() -> None:
    make_run("rotnet", epochs=7, batch_size=8, lr=0.7, seed=7, colour_jitter=0.4, labels_per_class=5)
    config = ProbeConfig.build({"backbone": "rotnet"})
    assert (config.epochs, config.batch_size, config.lr, config.seed) == (50, 128, 0.1, 0)
    assert (config.colour_jitter, config.labels_per_class) == (0, None)


def test_a_run_that_does_not_exist_yet_is_not_asked_if_nothing_is_left_to_it() -> None:
    """A suite names its runs before they are made."""
    config = ProbeConfig.build({"backbone": "later", "arch": "nin4", "width": 0.5, "dataset": "shapes"})
    assert (config.backbone, config.arch, config.width) == ("later", "nin4", 0.5)


def test_a_run_that_is_not_there_is_named() -> None:
    make_run("rotnet")
    with pytest.raises(RotnetError, match="rotnot"):
        ProbeConfig.build({"backbone": "rotnot"})


def test_a_run_is_named_by_directory_path_or_file(tmp_path: Path) -> None:
    weights = make_run("rotnet") / MODEL
    weights.touch()
    for name in ("rotnet", "runs/rotnet", str(tmp_path / "runs" / "rotnet"), f"runs/rotnet/{MODEL}"):
        assert checkpoint_of(name, "runs").samefile(weights), name
        assert ProbeConfig.build({"backbone": name}).arch == "nin4"


def test_missing_weights_are_named(tiny: dict[str, Any]) -> None:
    make_run("rotnet")
    with pytest.raises(RotnetError, match=f"no checkpoint .*runs/rotnet/{MODEL}"):
        probe(ProbeConfig.build(tiny | {"backbone": "rotnet"}))


@pytest.mark.parametrize(("other", "name"), [({"arch": "nin4"}, "nin4"), ({"width": 0.1}, "width=0.1")])
def test_a_checkpoint_of_another_arch_or_width_is_named(
    other: dict[str, Any], name: str, pretrained: Any, tiny: dict[str, Any]
) -> None:
    run = pretrained()
    with pytest.raises(RotnetError, match=r"holds a nin3 of width 0\.05") as error:
        probe(ProbeConfig.build(tiny | {"backbone": run.name} | other))
    assert name in str(error.value)
    assert str(run.path / MODEL) in str(error.value)


# --- A file of weights without a run beside it ---


@pytest.fixture
def weights_file() -> Path:
    path = Path("imported", "rotnet.safetensors")
    backbone = make_backbone("nin5", width=0.05, mean=(0,) * 3, std=(1,) * 3)
    save_backbone(path, Network(backbone, 4, 32), backbone)
    return path


def test_a_file_without_a_run_says_its_arch_and_width(weights_file: Path) -> None:
    config = ProbeConfig.build({"backbone": str(weights_file), "dataset": "shapes", "layer": "conv5"})
    followed = (config.backbone, config.arch, config.width, config.dataset, config.train_size, config.grey)
    assert followed == (str(weights_file), "nin5", 0.05, "shapes", None, False)
    told = ProbeConfig.build({"backbone": str(weights_file), "dataset": "shapes", "grey": True, "width": 0.1})
    assert (told.width, told.grey) == (0.1, True)  # what does not fit is said when the weights are loaded


@pytest.mark.parametrize("folder", ["", "runs"])
def test_such_a_file_may_lie_anywhere(weights_file: Path, folder: str) -> None:
    Path("runs").mkdir()
    moved = weights_file.rename(Path(folder, weights_file.name))
    assert ProbeConfig.build({"backbone": str(moved), "dataset": "shapes"}).arch == "nin5"


def test_a_file_without_a_run_is_probed_on_the_protocols_data(weights_file: Path) -> None:
    assert ProbeConfig.build({"backbone": str(weights_file)}).dataset == "cifar10"


def test_a_file_without_a_run_has_one_state_of_its_weights(weights_file: Path, tiny: dict[str, Any]) -> None:
    config = ProbeConfig.build(tiny | {"backbone": str(weights_file), "checkpoint": 0.2})
    with pytest.raises(RotnetError, match=r"parameters\.yaml"):
        config.weights_file()


def test_a_file_that_holds_no_weights_is_named(weights_file: Path) -> None:
    weights_file.write_text("<html>404 Not Found</html>")
    with pytest.raises(RotnetError, match=rf"damaged checkpoint .*{weights_file}"):
        ProbeConfig.build({"backbone": str(weights_file), "dataset": "shapes"})


# --- The backbone as it was earlier ---


def backbone_in(path: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in load_tensors(path)[0].items() if name.startswith("backbone.")}


@pytest.mark.parametrize(("checkpoint", "file"), [(0.25, "model-epoch1"), (0.5, "model-epoch2"), (None, "model")])
def test_a_checkpoint_is_the_backbone_after_that_share_of_its_epochs(
    checkpoint: float | None, file: str, pretrained: Any, tiny: dict[str, Any]
) -> None:
    run = pretrained(epochs=4, checkpoints=[0.25, 0.5])
    outcome = probe(ProbeConfig.build(tiny | {"backbone": run.name, "checkpoint": checkpoint, "layer": "conv3"}))
    files = {path.stem: backbone_in(path) for path in run.path.glob("model*.safetensors")}
    read = backbone_in(outcome.directory.path / MODEL)
    fits = [name for name, tensors in files.items() if all(torch.equal(tensors[key], read[key]) for key in read)]
    assert fits == [file]
    assert len(files) == 3


def test_a_share_that_rounds_to_the_last_epoch_is_the_run_itself(pretrained: Any, tiny: dict[str, Any]) -> None:
    run = pretrained(epochs=2, checkpoints=[])
    outcome = probe(ProbeConfig.build(tiny | {"backbone": run.name, "checkpoint": 0.9, "layer": "conv3"}))
    read, whole = backbone_in(outcome.directory.path / MODEL), backbone_in(run.path / MODEL)
    assert all(torch.equal(tensor, whole[name]) for name, tensor in read.items())


@pytest.mark.parametrize(("shares", "said"), [([0.25, 0.75], r"Kept: 0\.25, 0\.75\."), ([], r"Kept: none\.")])
def test_a_checkpoint_that_was_not_kept_is_told_from_those_that_were(
    shares: list[float], said: str, pretrained: Any, tiny: dict[str, Any]
) -> None:
    run = pretrained(epochs=4, checkpoints=shares)
    with pytest.raises(RotnetError, match=rf"{run.name} did not keep its weights after 0\.5 of its epochs\. {said}"):
        probe(ProbeConfig.build(tiny | {"backbone": run.name, "checkpoint": 0.5}))


@pytest.mark.parametrize("backbone", UNTRAINED)
@pytest.mark.parametrize("stage", [ProbeConfig, FinetuneConfig])
def test_a_random_backbone_has_no_checkpoints(stage: type[ClassifierConfig], backbone: str) -> None:
    with pytest.raises(RotnetError, match="a random backbone has no epochs"):
        stage.build(RANDOM | {"backbone": backbone, "checkpoint": 0.2})


# --- Layer, classifier, arch ---


@pytest.mark.parametrize(
    ("layer", "named", "layers"),
    [
        ("conv2", ("conv2",), ("conv2",)),
        ("conv3,conv1", ("conv3", "conv1"), ("conv3", "conv1")),
        ("conv1, conv2", ("conv1", "conv2"), ("conv1", "conv2")),
        (["conv1", "conv4"], ("conv1", "conv4"), ("conv1", "conv4")),
        ("all", ("all",), ("conv1", "conv2", "conv3", "conv4")),
    ],
)
def test_layers(layer: Any, named: tuple[str, ...], layers: tuple[str, ...]) -> None:
    config = ProbeConfig.build(RANDOM | {"layer": layer})
    assert config.layer == named
    assert config.layers == layers


@pytest.mark.parametrize(
    ("parameters", "parts"),
    [
        ({"layer": "con4"}, ["layer of nin4 'con4'", "did you mean 'conv4'?", "conv1, conv2, conv3, conv4"]),
        ({"layer": "conv2,conv5"}, ["layer of nin4 'conv5'", "conv1, conv2, conv3, conv4"]),
        ({"layer": "conv1,conv1"}, ["layer", "twice"]),
        ({"layer": ""}, ["layer of nin4 ''"]),
        ({"classifier": "nonlinaer"}, ["classifier 'nonlinaer'", "did you mean 'nonlinear'?", "linear, nonlinear, conv, rest"]),
        ({"classifier": 0}, ["classifier '0'", "linear, nonlinear, conv, rest"]),
        ({"classifier": ""}, ["classifier ''", "linear, nonlinear, conv, rest"]),
        ({"arch": "nim4"}, ["arch 'nim4'", "did you mean 'nin4'?", "nin3, nin4, nin5"]),
        ({"laier": "conv4"}, ["'laier'", "did you mean 'layer'?"]),
        ({"views": "turned"}, ["views", "'one', 'rotated' or 'flipped'", "not 'turned'"]),
        ({"combine": "add"}, ["combine", "'average' or 'concatenate'", "not 'add'"]),
        ({"checkpoint": 20}, ["checkpoint", "less than 1", "not 20"]),
        ({"epochs": 0}, ["epochs", "greater than or equal to 1", "not 0"]),
        ({"lr_milestones": "late"}, ["lr_milestones", "not 'late'"]),
    ],
)
@pytest.mark.parametrize("stage", [ProbeConfig, FinetuneConfig])
def test_what_is_wrong_is_named_with_the_nearest_match(
    stage: type[ClassifierConfig], parameters: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(RotnetError) as error:
        stage.build(RANDOM | parameters)
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("parameters", "hint"),
    [
        ({"layer": "con4"}, "did you mean 'conv4'?"),
        ({"classifier": "nonlinaer"}, "did you mean 'nonlinear'?"),
        ({"arch": "nim4"}, "did you mean 'nin4'?"),
        ({"laier": "conv4"}, "did you mean 'layer'?"),
    ],
)
@pytest.mark.parametrize("runs", [0, 1])
def test_a_wrong_name_is_not_taken_for_a_missing_run(parameters: dict[str, Any], hint: str, runs: int) -> None:
    for _ in range(runs):
        make_run("rotnet")
    with pytest.raises(RotnetError) as error:
        ProbeConfig.build(parameters)
    assert hint in str(error.value)


# --- The schedule ---


@pytest.mark.parametrize("stage", [ProbeConfig, FinetuneConfig])
@pytest.mark.parametrize(
    ("classifier", "epochs", "falls"),
    [("linear", 50, [20, 40, 45]), ("nonlinear", 50, [20, 40, 45]), ("conv", 100, [35, 70, 85]), ("rest", 100, [35, 70, 85])],
)
def test_the_protocols_schedule_goes_by_classifier(
    stage: type[ClassifierConfig], classifier: str, epochs: int, falls: list[int]
) -> None:
    config = stage.build(RANDOM | {"classifier": classifier})
    rates = [learning_rate(config, epoch, steps_per_epoch=1) for epoch in range(config.epochs)]
    assert len(rates) == epochs
    assert [epoch for epoch in range(1, epochs) if rates[epoch] < rates[epoch - 1]] == falls
    assert rates[:: epochs - 1] == pytest.approx([0.1, 0.1 * 0.2**3])
    assert (config.batch_size, config.momentum, config.weight_decay, config.augment) == (128, 0.9, 5e-4, "pad-crop")
    assert config.protocol_differences() == {}


def test_a_schedule_asked_for_is_kept_and_listed() -> None:
    config = FinetuneConfig.build(RANDOM | {"classifier": "conv", "epochs": 20, "lr_milestones": [0.5], "width": 0.5})
    assert (config.epochs, config.lr_milestones) == (20, (0.5,))
    expected = {"epochs": [100, 20], "lr_milestones": [[0.35, 0.7, 0.85], [0.5]], "width": [1.0, 0.5]}
    assert config.protocol_differences() == expected


def test_other_data_differ_from_the_protocol() -> None:
    config = ProbeConfig.build(RANDOM | {"dataset": "shapes", "train_size": 100})
    assert config.protocol_differences() == {"dataset": ["cifar10", "shapes"], "train_size": [None, 100]}


def test_defaults() -> None:
    assert ProbeConfig.build(RANDOM).classifier == "nonlinear"
    assert FinetuneConfig.build(RANDOM).classifier == "conv"
    assert (ProbeConfig.build(RANDOM).views, ProbeConfig.build(RANDOM).checkpoint) == ("one", None)
    assert ProbeConfig.build(RANDOM).layer == FinetuneConfig.build(RANDOM).layer == ("conv2",)

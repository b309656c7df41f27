"""The pretrain stage from end to end, and that a run that was killed ends as one that was not."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
import yaml

from rotnet_lib.data.dataset import Dataset, load_dataset
from rotnet_lib.data.loader import Batch
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.network import Network
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.runs.directory import MODEL, RESUME, RunDirectory, directory_of
from rotnet_lib.runs.schema import MetricValue, RunResult
from rotnet_lib.stages.pretrain import PretrainConfig, pretext_task, pretrain
from rotnet_lib.stages.train import Outcome, train_stage
from rotnet_lib.training.checkpoints import load_backbone, load_tensors
from rotnet_lib.training.task import Step
from tests.training.weights import killed, same_weights, weights

TIMING = ["seconds", "inputs_per_second"]


# --- What a run leaves ---


def test_a_run_leaves_its_files(build: Callable[..., PretrainConfig]) -> None:
    config = build(epochs=2)
    outcome = pretrain(config)
    path = outcome.directory.path
    assert path.parent == Path.cwd() / "runs"
    assert not (path / "metrics.json").exists()  # it means "finished"
    outcome.save()
    assert {p.name for p in path.iterdir()} - {".lock"} == {
        "parameters.yaml",
        "seen.json",
        "history.csv",
        "model-epoch1.safetensors",
        "model.safetensors",
        "metrics.json",
    }
    assert yaml.safe_load((path / "parameters.yaml").read_text()) == config.model_dump(mode="json")
    pd.testing.assert_frame_equal(pd.read_csv(path / "history.csv"), outcome.history, check_dtype=False)
    assert RunResult.model_validate_json((path / "metrics.json").read_text()) == outcome.result


def test_the_result_says_what_was_run(build: Callable[..., PretrainConfig]) -> None:
    outcome = pretrain(build(epochs=2, task_options={"angles": [0, 180]}))
    outcome.save()
    stored = json.loads((outcome.directory.path / "metrics.json").read_text())
    assert stored["run"] == outcome.directory.path.name
    assert stored["stage"] == "pretrain"
    assert stored["parameters"] == outcome.result.parameters
    assert stored["parameters"]["task_options"] == {
        "angles": [0, 180],
        "copies": "all",
        "crop_for": [],
        "gamma": 2,
        "pu_after": 0,
    }
    assert stored["protocol_differences"] == {
        "dataset": ["cifar10", "shapes"],
        "train_size": [None, 40],
        "test_size": [None, 20],
        "epochs": [100, 2],
        "batch_size": [128, 16],
        "width": [1.0, 0.05],
    }
    training = stored["training"]
    assert training["epochs"] == 2
    assert training["inputs"] == 2 * 2 * 16 * 2  # epochs, batches, images, rotations
    assert list(stored["by_target"]["rotation_top1"]) == ["0 degrees", "180 degrees"]
    data = stored["data"]
    assert (data["name"], data["image_size"], data["train_images"], data["test_images"]) == ("shapes", 32, 40, 20)
    assert "drawn" in data["title"]
    assert len(data["classes"]) == 10
    assert stored["environment"]["packages"]["torch"]
    assert training["seconds"] == pytest.approx(outcome.history["seconds"].sum())
    assert stored["wall_seconds"] >= training["seconds"] > 0
    network = 3 * 10 * 25 + 10 * 8 + 8 * 5 + 5 * 10 * 25 + 2 * 10 * 10 + 10 * 10 * 9 + 2 * 10 * 10
    norms, head = 2 * (10 + 8 + 5 + 6 * 10), 10 * 2 + 2
    assert training["parameters"] == network + norms + head


class Scripted(Rotation):
    """Of the 80 test inputs so many are answered right, epoch by epoch, and at the end by rotation."""

    answered = (24, 48, 48, 36, 36)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.right = iter(self.answered)

    def evaluate(self, batch: Batch) -> Step:
        step = super().evaluate(batch)
        return replace(step, values={"rotation_top1": torch.arange(step.inputs) < next(self.right)})


def test_the_headline_is_the_last_epoch_and_the_best_is_beside_it(build: Callable[..., PretrainConfig]) -> None:
    def task(data: Dataset) -> tuple[Scripted, Backbone]:
        backbone = make_backbone("nin3", width=0.05, mean=data.mean, std=data.std)
        return Scripted(backbone, data, Scripted.Options()), backbone

    metrics = train_stage(build(epochs=4), task).result.metrics
    expected = MetricValue(last=45.0, best=60.0, best_epoch=2, chance=25.0)
    asked = {f"{angle} degrees": 20 for angle in (0, 90, 180, 270)}
    assert metrics == {"rotation_top1": expected.of_images(20, asked)}


def test_the_stored_weights_give_the_stored_figure(build: Callable[..., PretrainConfig]) -> None:
    """Measured again from the file alone, one rotated copy at a time."""
    outcome = pretrain(build(epochs=3, lr=0.05))
    outcome.save()
    path = outcome.directory.path / "model.safetensors"
    network = Network(load_backbone(path), 4, 32)
    network.load_state_dict(safetensors.torch.load_file(path))
    network.eval()
    images = load_dataset(DataSpec("shapes", train_size=40, test_size=20)).test.images.numpy()
    right = 0
    with torch.no_grad():
        for image in images:
            for quarters in range(4):
                turned = np.rot90(image, quarters).transpose(2, 0, 1).copy()
                right += int(network(torch.from_numpy(turned)[None]).argmax()) == quarters
    assert outcome.result.metrics["rotation_top1"].last == pytest.approx(100 * right / 80)


@pytest.mark.parametrize(
    "parameters",
    [
        {"arch": "nin4"},
        {"arch": "nin5"},
        {"task": "labels"},
        {"task_options": {"angles": [0, 45, 90, 135, 180, 225, 270, 315]}},
        {"task_options": {"copies": "one"}},
        {"task_options": {"copies": "shuffled"}},
        {"task_options": {"copies": "one-large-batch"}},
        {"task_options": {"crop_for": [45]}},
        {"task": "rotation-instance"},
        {"grey": True},
        {"colour_jitter": 0.4},
        {"schedule": "one-cycle"},
        {"augment": "none"},
        {"image_size": 28},
        {"momentum": 0},
        {"batch_size": 1000},
    ],
    ids=str,
)
def test_every_kind_of_run_ends_with_a_figure(parameters: dict[str, Any], build: Callable[..., PretrainConfig]) -> None:
    outcome = pretrain(build(**parameters))
    metric = "top1" if parameters.get("task") == "labels" else "rotation_top1"
    assert list(outcome.result.metrics) == [metric]
    assert 0 <= outcome.result.metrics[metric].last <= 100


# --- A run is its parameters ---


def test_a_finished_run_is_read_and_not_made_again(
    build: Callable[..., PretrainConfig], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = pretrain(build())
    first.save()
    files = {path: path.stat().st_mtime_ns for path in first.directory.path.glob("*.*")}
    shutil.rmtree(tmp_path / "cache")
    second = pretrain(build(threads=1))
    second.save()
    assert {path: path.stat().st_mtime_ns for path in second.directory.path.glob("*.*")} == files
    assert not (tmp_path / "cache").exists()  # its data was not loaded
    assert second.result == first.result
    pd.testing.assert_frame_equal(second.history, first.history, check_dtype=False)
    assert "finished already" in capsys.readouterr().out
    assert pretrain(build(seed=1)).directory.path != first.directory.path
    assert (tmp_path / "cache").exists()


def test_the_same_parameters_give_the_same_run(build: Callable[..., PretrainConfig]) -> None:
    first = pretrain(build(epochs=2, runs="first"))
    torch.manual_seed(1234)  # nothing depends on the process's own stream
    second = pretrain(build(epochs=2, runs="second"))
    assert first.directory.name == second.directory.name
    assert same_weights(first.directory, second.directory)
    pd.testing.assert_frame_equal(first.history.drop(columns=TIMING), second.history.drop(columns=TIMING))


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"lr": 0.05},
        {"augment": "none"},
        {"task_options": {"copies": "one"}},
        {"task_options": {"crop_for": [45]}},
        {"grey": True},
        {"colour_jitter": 0.4},
        {"labels_per_class": 2},
    ],
)
def test_other_parameters_give_another_run(
    change: dict[str, Any], build: Callable[..., PretrainConfig], once: Callable[..., Outcome]
) -> None:
    first, second = once(), pretrain(build(**change))
    assert first.directory.name != second.directory.name
    assert not same_weights(first.directory, second.directory)
    assert first.history["train_loss"].tolist() != second.history["train_loss"].tolist()


# --- A run that was killed ---


@pytest.mark.parametrize(
    ("step", "parameters"),
    [
        (1, {}),  # in the first epoch: nothing to go on from
        (2, {}),
        (3, {}),  # in the middle of the second
        (6, {}),
        (7, {}),  # in the last
        (5, {"schedule": "one-cycle"}),
        (13, {"task_options": {"copies": "one"}}),
        (4, {"task_options": {"copies": "shuffled"}}),
        (4, {"momentum": 0}),
        (4, {"colour_jitter": 0.4}),
    ],
)
def test_a_run_that_was_killed_ends_as_one_that_was_not(
    step: int, parameters: dict[str, Any], build: Callable[..., PretrainConfig], once: Callable[..., Outcome]
) -> None:
    """Bit for bit: weights, batch statistics and history. Killed before step `step` + 1; an epoch has 2, 10 if copies=one."""
    parameters = {"epochs": 4, "image_size": 16, **parameters}
    whole = once(**parameters)
    with killed(Rotation, step + 1):
        pretrain(build(runs="killed", **parameters))
    torch.manual_seed(1234)
    resumed = pretrain(build(runs="killed", **parameters))
    assert resumed.directory.name == whole.directory.name
    assert same_weights(whole.directory, resumed.directory)
    pd.testing.assert_frame_equal(whole.history.drop(columns=TIMING), resumed.history.drop(columns=TIMING), check_exact=True)
    assert resumed.result.training
    assert whole.result.training
    assert resumed.result.training.inputs == whole.result.training.inputs
    assert resumed.result.by_target == whole.result.by_target


def die_behind_the_last_epoch(config: PretrainConfig) -> None:
    """Train, and fail where the weights are written: there is a folder in the way."""
    in_the_way = directory_of(config, config.fingerprint()).path / MODEL
    in_the_way.mkdir(parents=True)
    with pytest.raises(RotnetError, match="Is a directory"):
        pretrain(config)
    in_the_way.rmdir()


def test_a_run_killed_after_its_last_epoch_only_writes_its_result(build: Callable[..., PretrainConfig]) -> None:
    whole = pretrain(build(epochs=2, runs="whole", checkpoints=[]))
    config = build(epochs=2, runs="killed", checkpoints=[])
    die_behind_the_last_epoch(config)
    trained = load_tensors(directory_of(config, config.fingerprint()).path / RESUME)[1]["history"]
    resumed = pretrain(config)
    assert resumed.history["seconds"].tolist() == [row["seconds"] for row in trained]  # no epoch was trained again
    assert len(trained) == 2
    assert same_weights(whole.directory, resumed.directory)
    assert resumed.result.metrics == whole.result.metrics


def test_a_damaged_resume_state_is_named(build: Callable[..., PretrainConfig]) -> None:
    die_behind_the_last_epoch(build())
    (path,) = Path("runs").glob("*/resume.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RotnetError) as error:
        pretrain(build())
    assert f"damaged checkpoint {path.absolute()}" in str(error.value)


# --- Weights kept on the way ---


def kept(directory: RunDirectory) -> dict[int, dict[str, torch.Tensor]]:
    """Epoch -> the weights as they were after it."""
    files = directory.path.glob("model-epoch*.safetensors")
    return {int(file.stem.removeprefix("model-epoch")): safetensors.torch.load_file(file) for file in files}


@pytest.mark.parametrize(
    ("epochs", "shares", "expected"),
    [
        (10, [0.2, 0.4, 0.6, 0.8], {2, 4, 6, 8}),
        (5, [0.5], {2}),  # to whole epochs, as milestones are
        (3, [0.1, 0.4, 0.9], {1}),  # the last epoch's are the run's own
        (1, [0.2, 0.8], set()),
        (2, [], set()),
    ],
)
def test_weights_are_kept_after_these_shares_of_the_epochs(
    epochs: int, shares: list[float], expected: set[int], build: Callable[..., PretrainConfig]
) -> None:
    outcome = pretrain(build(epochs=epochs, checkpoints=shares, train_size=20))
    assert set(kept(outcome.directory)) == expected


def test_weights_kept_are_those_of_a_run_that_ends_there(build: Callable[..., PretrainConfig]) -> None:
    """With a rate that does not fall before, nothing in an epoch depends on how many follow."""
    longer = pretrain(build(epochs=4, checkpoints=[0.25, 0.5], lr_milestones=[]))
    early = kept(longer.directory)
    for epochs in (1, 2):
        shorter = weights(pretrain(build(epochs=epochs, checkpoints=[], lr_milestones=[])).directory)
        assert early[epochs].keys() == shorter.keys()
        assert all(torch.equal(tensor, shorter[name]) for name, tensor in early[epochs].items())
    assert not torch.equal(early[1]["head.2.weight"], early[2]["head.2.weight"])


def test_a_run_that_was_killed_keeps_them_all(build: Callable[..., PretrainConfig]) -> None:
    whole = pretrain(build(epochs=4, checkpoints=[0.25, 0.5, 0.75], runs="whole"))
    config = build(epochs=4, checkpoints=[0.25, 0.5, 0.75], runs="killed")
    directory = directory_of(config, config.fingerprint())
    with killed(Rotation, 3):  # in the second epoch; an epoch has 2 steps
        pretrain(config)
    after_one = (directory.path / RESUME).read_bytes()
    with killed(Rotation, 3):  # in the third
        pretrain(config)
    assert set(kept(directory)) == {1, 2}
    (directory.path / RESUME).write_bytes(after_one)  # the second epoch's weights are on disk, its end is not recorded
    resumed = pretrain(config)
    ours, theirs = kept(resumed.directory), kept(whole.directory)
    assert set(ours) == set(theirs) == {1, 2, 3}
    assert all(torch.equal(tensor, theirs[epoch][name]) for epoch in ours for name, tensor in ours[epoch].items())


# --- How it starts ---


def test_the_authors_start_is_another_start_of_the_same_network(
    build: Callable[..., PretrainConfig], shapes_data: Dataset
) -> None:
    networks = {}
    for init in ("he", "torch"):
        task, backbone = pretext_task(build(init=init), shapes_data)
        networks[init] = {name: tensor.std().item() for name, tensor in backbone.state_dict().items() if tensor.ndim == 4}
        gain = backbone.state_dict()["blocks.conv1.1.weight"]
        assert gain.eq(1).all() == (init == "he")
        again = pretext_task(build(init=init), shapes_data)[0].module.state_dict()
        assert all(torch.equal(tensor, again[name]) for name, tensor in task.module.state_dict().items())  # by its seed
    last = "blocks.conv3.6.weight"  # 1x1: torch's is narrower by sqrt(6)
    assert networks["he"][last] / networks["torch"][last] == pytest.approx(6**0.5, rel=0.25)


def test_an_arch_with_one_start_has_no_other() -> None:
    """AlexNet starts as torch starts it, here and in the authors' code."""
    with pytest.raises(RotnetError, match=r"init: alexnet has one start, its own.*that start otherwise: nin3, nin4, nin5"):
        PretrainConfig.build({"arch": "alexnet", "init": "torch"})
    assert PretrainConfig.build({"arch": "alexnet"}).init == "he"


# --- Its name ---


@pytest.mark.parametrize(
    ("parameters", "slug"),
    [
        ({}, "rotation-nin3"),
        ({"task": "labels"}, "labels-nin3"),
        ({"task_options": {"angles": [0, 90, 180, 270]}}, "rotation-nin3"),
        ({"task_options": {"angles": [0, 22.5]}}, "rotation-nin3-angles 0 22.5"),
        ({"task_options": {"copies": "one"}, "grey": True}, "rotation-nin3-copies one-grey"),
        ({"colour_jitter": 0.4, "pu_weights": "somebody"}, "rotation-nin3-weighted-jitter 0.4"),
        ({"fold": "1/2"}, "rotation-nin3-fold 1/2"),
        ({"init": "torch"}, "rotation-nin3-init torch"),
        ({"task": "labels", "labels_per_class": 20}, "labels-nin3-20 labels"),
    ],
)
def test_a_name_begins_with_what_is_special(
    parameters: dict[str, Any], slug: str, build: Callable[..., PretrainConfig]
) -> None:
    assert build(**parameters).slug == slug

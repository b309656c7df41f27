"""The k-NN probe: what it measures, on which images, of which backbone; nothing is trained."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier

from rotnet_lib.data.dataset import Dataset, load_dataset
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.directory import METRICS, MODEL, RunDirectory
from rotnet_lib.runs.result import StageResult
from rotnet_lib.stages.knn import KnnConfig, find_neighbours
from rotnet_lib.training.checkpoints import load_backbone
from tests.weights import fresh, put_weights

Pretrained = Callable[..., RunDirectory]
FEW = {"dataset": "shapes", "train_size": 40, "test_size": 20, "width": 0.05, "neighbours": 5, "device": "cpu"}


def knn(**parameters: Any) -> StageResult:
    outcome = find_neighbours(KnnConfig.build(FEW | parameters))
    outcome.save()
    return outcome


def test_the_figures_are_those_of_a_classifier_on_average_pooled_features(pretrained: Pretrained, shapes_data: Dataset) -> None:
    """As scikit-learn finds them from features that are computed here, image by image."""
    run = pretrained()
    result = knn(backbone=run.name).result
    backbone = load_backbone(run.path / MODEL).eval()
    layers = ("conv1", "conv2", "conv3")
    assert list(result.metrics) == [f"{layer}_top1" for layer in layers]
    pooled: dict[tuple[str, str], np.ndarray] = {}
    for name, split in (("train", shapes_data.train), ("test", shapes_data.test)):
        with torch.no_grad():
            maps = backbone.features(split.read(range(len(split))), layers)
        pooled |= {(name, layer): maps[layer].double().mean((2, 3)).numpy() for layer in layers}
    for layer in layers:
        theirs = KNeighborsClassifier(5, metric="cosine", weights=lambda distances: np.exp((1 - distances) / 0.07))
        theirs.fit(pooled["train", layer], shapes_data.train.labels)
        right = theirs.predict(pooled["test", layer]) == shapes_data.test.labels.numpy()
        assert result.metrics[f"{layer}_top1"].last == pytest.approx(100 * right.mean())
        for label, name in enumerate(shapes_data.classes):
            own = right[shapes_data.test.labels.numpy() == label]
            assert result.by_target[f"{layer}_top1"][name] == pytest.approx(100 * own.mean())


def test_the_result_says_that_nothing_was_trained_and_what_guessing_gives(pretrained: Pretrained) -> None:
    outcome = knn(backbone=pretrained().name)
    result = outcome.result
    assert result.training is None
    assert {metric.chance for metric in result.metrics.values()} == {10.0}
    assert {metric.best for metric in result.metrics.values()} == {None}
    for metric in result.metrics.values():  # an accuracy of so many images, from which its standard error follows
        assert metric.images == 20
        assert sum(metric.target_images.values()) == 20
    assert (result.data.train_images, result.data.test_images) == (40, 20)
    assert not (outcome.directory.path / MODEL).exists()
    assert set(result.protocol_differences) >= {"neighbours"}
    assert KnnConfig.build({"backbone": "random", "arch": "nin4"}).protocol_differences() == {}


def test_layers_do_not_disturb_each_other(pretrained: Pretrained) -> None:
    run = pretrained()
    together = knn(backbone=run.name, layer="all").result
    for layer in ("conv1", "conv3"):
        assert knn(backbone=run.name, layer=layer).result.metrics == {f"{layer}_top1": together.metrics[f"{layer}_top1"]}


@pytest.mark.parametrize("backbone", ["random", "random-rescaled"])
def test_untrained_backbones_are_of_their_seed(backbone: str) -> None:
    asked = {"backbone": backbone, "arch": "alexnet", "width": 0.02, "image_size": 40}
    first, other = knn(**asked).result, knn(**asked, seed=1).result
    assert list(first.metrics) == [f"{layer}_top1" for layer in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")]
    assert first.metrics != other.metrics
    again = knn(**asked, runs="elsewhere").result
    assert first.metrics == again.metrics


def test_damaged_files_among_few_do_not_stop_the_rescaling_of_an_untrained_backbone(tmp_path: Path) -> None:
    """It reads images of the training split by itself, which are streamed here."""
    for split, kind, number in itertools.product(("train", "test"), ("a", "b"), range(8)):
        path = tmp_path / "photos" / split / kind / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        if (split, number) == ("train", 3):
            path.write_bytes(path.read_bytes()[:300])
    data = {"dataset": f"imagefolder:{tmp_path / 'photos'}", "stream": True, "workers": 0, "max_damaged": 0.5}
    own = {"backbone": "random-rescaled", "arch": "alexnet", "width": 0.02, "image_size": 40, "neighbours": 2}
    found = knn(**own | data | {"train_size": None, "test_size": None}).result
    assert found.data.damaged == ["train/a/3.jpg", "train/b/3.jpg"]


def test_it_takes_a_checkpoint_a_file_and_what_a_task_left_of_a_backbone(pretrained: Pretrained) -> None:
    run = pretrained(epochs=2, checkpoints=[0.5])
    assert knn(backbone=run.name, checkpoint=0.5).result.parameters["checkpoint"] == 0.5
    (run.path / MODEL).rename("weights.safetensors")
    file = pretrained(seed=1).path / MODEL
    assert list(knn(backbone=str(file), layer="conv2").result.metrics) == ["conv2_top1"]
    cut = put_weights(pretrained(arch="nin4"), fresh("nin4", last="conv2"))
    assert list(knn(backbone=cut.name).result.metrics) == ["conv1_top1", "conv2_top1"]
    with pytest.raises(RotnetError, match=r"knn: the weights in .* end at conv2, and have no conv3"):
        knn(backbone=cut.name, layer="conv1,conv3")


def test_a_finished_run_is_read(pretrained: Pretrained, capsys: pytest.CaptureFixture[str]) -> None:
    first = knn(backbone=pretrained().name)
    before = (first.directory.path / METRICS).read_bytes()
    again = knn(backbone=first.result.parameters["backbone"])
    assert again.result.metrics == first.result.metrics
    assert (first.directory.path / METRICS).read_bytes() == before
    assert "is finished already" in capsys.readouterr().out


def test_names_say_what_was_looked_at() -> None:
    told = {"backbone": "run", "arch": "nin4", "width": 1.0, "dataset": "shapes"}
    assert KnnConfig.build(told | {"layer": "conv2"}).slug == "knn-nin4-conv2"
    assert KnnConfig.build(told | {"checkpoint": 0.25, "labels_per_class": 20}).slug == "knn-nin4-all-at-0.25-20-labels"
    assert KnnConfig.build(told | {"backbone": "random-rescaled"}).slug == "knn-random-rescaled-nin4-all"


# --- Which images ---


def test_a_few_labels(pretrained: Pretrained) -> None:
    result = knn(backbone=pretrained().name, labels_per_class=2).result
    assert result.data.train_images == 20
    with pytest.raises(RotnetError, match=r"neighbours: 21 asked for, but there are 20 training images\. Allowed: 1 to 20"):
        knn(backbone="random", arch="nin3", labels_per_class=2, neighbours=21)


def test_training_images_that_were_held_out_stand_for_the_test_split(pretrained: Pretrained) -> None:
    result = knn(backbone=pretrained(validate=0.3).name, test_size="all").result
    assert result.data.validation
    assert result.data.train_images + result.data.test_images == 40
    assert result.data.tested_on == "held-out training images"


def test_images_that_the_backbone_has_seen_are_not_held_out(pretrained: Pretrained) -> None:
    with pytest.raises(RotnetError, match=r"knn: validate: 0.3 of the training images.*was trained on all of them"):
        KnnConfig.build(FEW | {"backbone": pretrained().name, "validate": 0.3})


def test_damaged_files_are_left_out_and_named(tmp_path: Any) -> None:
    for split, count in (("train", 6), ("test", 2)):
        for name in ("cat", "dog"):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                noise = np.random.default_rng([number, len(name)]).integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(noise).save(folder / f"{number}.png")
    (tmp_path / "photos" / "test" / "cat" / "0.png").write_bytes(b"none")
    photos = {"dataset": f"imagefolder:{tmp_path / 'photos'}", "train_size": None, "image_size": 32}
    asked = {"backbone": "random", "arch": "nin3", "stream": True, "workers": 0, "max_damaged": 0.5, "neighbours": 3}
    for size, read in ((None, {"cat": 1, "dog": 2}), (3, {"cat": 1, "dog": 1})):
        result = knn(**asked, layer="conv1", test_size=size, **photos).result
        assert result.data.damaged == ["test/cat/0.png"]
        assert set(result.by_target["conv1_top1"]) == {"cat", "dog"}
        metric = result.metrics["conv1_top1"]
        assert (metric.images, metric.target_images) == (sum(read.values()), read)


def test_an_accuracy_is_exact(pretrained: Pretrained, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the mean of zeros and ones it would be 14.000000000000002 of 7 of 50."""
    monkeypatch.setattr("rotnet_lib.evaluation.nearest_neighbours.classify", seven_right)
    result = knn(backbone=pretrained().name, layer="conv1", test_size=50).result
    assert result.metrics["conv1_top1"].last == 14.0


def seven_right(test: torch.Tensor, *given: Any, **more: Any) -> torch.Tensor:
    """Of 50 test images of ten classes, in which each class has five."""
    said = torch.full((len(test),), 0)
    labels = load_dataset(DataSpec("shapes", train_size=40, test_size=50)).test.labels
    others = (labels != 0).nonzero()[:2, 0]
    said[others] = labels[others]
    return said


# --- Errors ---


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"neighbours": 41}, r"neighbours: 41 asked for, but train_size leaves 40 training images\. Allowed: 1 to 40"),
        ({"neighbours": 0}, "neighbours: .*greater than or equal to 1"),
        ({"temperature": 0}, "temperature: .*greater than 0"),
        ({"layer": "con2"}, "unknown layer of nin3 'con2'; did you mean 'conv2'"),
        ({"epochs": 3}, "unknown parameter of knn 'epochs'"),
        ({"backbone": "random", "checkpoint": 0.5}, "checkpoint: a random backbone has no epochs"),
    ],
)
def test_wrong_parameters_are_named(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(RotnetError, match=said):
        KnnConfig.build(FEW | {"backbone": "random", "arch": "nin3"} | parameters)


def test_more_neighbours_than_images_are_found_by_the_run_where_the_config_cannot_know(tmp_path: Any) -> None:
    for split, count in (("train", 3), ("test", 1)):
        folder = tmp_path / "photos" / split / "cat"
        folder.mkdir(parents=True)
        for number in range(count):
            Image.fromarray(np.full((32, 32, 3), 40 * number, np.uint8)).save(folder / f"{number}.png")
    photos = {"dataset": f"imagefolder:{tmp_path / 'photos'}", "train_size": "all", "test_size": "all", "image_size": 32}
    with pytest.raises(RotnetError, match="neighbours: 5 asked for, but there are 3 training images"):
        knn(backbone="random", arch="nin3", **photos)
    assert knn(backbone="random", arch="nin3", **photos, neighbours=3).result.metrics["conv1_top1"].last == 100.0


def test_the_parameters_are_plain(pretrained: Pretrained) -> None:
    result = knn(backbone=pretrained().name, layer="conv1,conv2").result
    assert json.loads(json.dumps(result.parameters))["layer"] == ["conv1", "conv2"]
    assert (result.parameters["neighbours"], result.parameters["temperature"]) == (5, 0.07)

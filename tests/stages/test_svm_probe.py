"""The probe stage's classifier `svm`: what it measures, on which images, by which C, and what it refuses."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from sklearn.svm import LinearSVC

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.directory import MODEL, RunDirectory
from rotnet_lib.stages.probe import ProbeConfig, probe
from rotnet_lib.stages.svm_probe import PENALTIES, held_out
from rotnet_lib.stages.train import Outcome
from rotnet_lib.suites.resolve import configure
from rotnet_lib.training.checkpoints import load_backbone

Pretrained = Callable[..., RunDirectory]
FEW = {"dataset": "shapes", "train_size": 40, "test_size": 20, "width": 0.05, "classifier": "svm", "device": "cpu"}


def svm(**parameters: Any) -> Outcome:
    outcome = probe(ProbeConfig.build(FEW | parameters))
    outcome.save()
    return outcome


def test_the_figure_is_that_of_scikit_learn_on_all_layers_together(pretrained: Pretrained, shapes_data: Dataset) -> None:
    """Features are standardised by the training images; C is the one that the run's note names."""
    run = pretrained()
    outcome = svm(backbone=run.name, layer="conv1,conv3", grid=2)
    backbone = load_backbone(run.path / MODEL).eval()
    parts = []
    for split in (shapes_data.train, shapes_data.test):
        with torch.no_grad():
            maps = backbone.features(split.read(range(len(split))), ["conv1", "conv3"])
        pooled = [torch.nn.functional.adaptive_max_pool2d(maps[layer], 2).flatten(1) for layer in ("conv1", "conv3")]
        parts.append(torch.cat(pooled, 1).double())
    scale = parts[0].std(0)
    scale[scale == 0] = 1
    train, test = ((part - parts[0].mean(0)) / scale for part in parts)
    [chosen] = [c for c in PENALTIES if f"errors is {c:g}, chosen on 10 held-out" in outcome.result.notes[0]]
    theirs = LinearSVC(C=chosen, dual=False).fit(train.numpy(), shapes_data.train.labels.numpy()).predict(test.numpy())
    right = theirs == shapes_data.test.labels.numpy()
    [(name, metric)] = outcome.result.metrics.items()
    assert name == "conv1+conv3_top1"
    assert metric.last == pytest.approx(100 * right.mean())
    assert (metric.chance, metric.images, metric.best) == (10.0, 20, None)
    assert f"{train.shape[1]:,} features" in outcome.result.notes[0]
    for label, target in enumerate(shapes_data.classes):
        assert outcome.result.by_target[name][target] == pytest.approx(
            100 * right[shapes_data.test.labels.numpy() == label].mean()
        )


def test_all_layers_are_named_so_and_a_finished_run_is_read() -> None:
    asked = {"backbone": "random", "arch": "nin3", "layer": "all"}
    first, again = svm(**asked), svm(**asked)
    assert list(first.result.metrics) == ["all_top1"]
    assert first.result.training is None
    assert again.result == first.directory.result()
    assert again.history.empty
    assert not (first.directory.path / MODEL).exists()


def test_it_sees_the_images_of_labels_per_class_alone() -> None:
    result = svm(backbone="random", arch="nin3", layer="conv1", labels_per_class=3).result
    assert result.data.train_images == 30
    assert "chosen on 10 held-out" in result.notes[0]  # one of each class


def test_a_tenth_of_each_class_is_held_out() -> None:
    labels = torch.tensor([0] * 40 + [2] * 5 + [1] * 2)
    found = held_out(labels, ("cat", "dog", "owl", "ant"), seed=0)
    assert [int(found[labels == label].sum()) for label in range(4)] == [4, 1, 1, 0]
    assert torch.equal(found, held_out(labels, ("cat", "dog", "owl", "ant"), seed=0))
    assert not torch.equal(found, held_out(labels, ("cat", "dog", "owl", "ant"), seed=1))


def test_a_class_with_one_image_is_named() -> None:
    with pytest.raises(RotnetError, match=r"class 'house' has a single training image.*Take two images of each class or more"):
        svm(backbone="random", arch="nin3", layer="conv1", labels_per_class=1)


def test_presets_say_nothing_of_a_training_in_steps() -> None:
    config = configure("probe", {"classifier": "svm", "backbone": "random", "arch": "nin4"}, "quick")
    assert isinstance(config, ProbeConfig)
    assert (config.epochs, config.lr, config.augment, config.schedule) == (1, 0.0, "none", "step")
    assert (config.train_size, config.width) == (4000, 0.125)  # what it says of images and network counts
    assert "epochs" not in config.protocol_differences()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            {"classifier": "svm", "lr": 0.1},
            "probe: lr: the svm classifier is not trained in steps, so lr means nothing. Leave it",
        ),
        ({"classifier": "svm", "epochs": 3}, "epochs: the svm classifier is not trained in steps"),
        ({"classifier": "svm", "gpus": 2}, "gpus: the svm classifier is not trained in steps"),
        ({"classifier": "svm", "augment": "pad-crop"}, "augment: the svm classifier is not trained in steps"),
        ({"classifier": "linear", "grid": 2}, "grid: only the svm classifier pools maps to a grid, so grid means nothing"),
        ({"classifier": "svm", "grid": 0}, "grid: Input should be greater than or equal to 1"),
        ({"classifier": "smv"}, "unknown classifier 'smv'; did you mean 'svm'? Allowed: linear, nonlinear, conv, rest, svm"),
    ],
)
def test_what_means_nothing_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(RotnetError) as caught:
        ProbeConfig.build({"backbone": "random", "arch": "nin4"} | given)
    assert problem in str(caught.value)


def test_what_a_finished_run_says_is_understood() -> None:
    """Its parameters are all said, with the values that they have in any case."""
    config = ProbeConfig.build(FEW | {"backbone": "random", "arch": "nin4"})
    assert ProbeConfig.build(config.model_dump(mode="json")) == config


def test_fine_tuning_has_no_svm() -> None:
    with pytest.raises(RotnetError, match="unknown classifier 'svm'"):
        configure("finetune", {"classifier": "svm", "backbone": "random", "arch": "nin4"}, "none")

"""Classification: the loss as the formula has it, what is trained and what is not, predictions, and that it learns."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rotnet_lib.data.voc.sets import VocSet, open_voc
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.folding import fold
from rotnet_lib.models.rescaling import rescale_by_data
from rotnet_lib.runs.directory import MODEL, RunDirectory
from rotnet_lib.seeds import seeded
from rotnet_lib.training.checkpoints import load_backbone, load_tensors
from rotnet_lib.training.resume import ResumeState
from rotnet_lib.voc.classification import ClassificationTask, VocClassifier, evaluate_classification, presence_loss
from rotnet_lib.voc.classification_config import ClassificationConfig
from rotnet_lib.voc.loop import fit
from rotnet_lib.voc.preparation import prepare
from rotnet_lib.voc.scores import SCORES, Scores, chance_precision, read_scores
from rotnet_lib.voc.stages import classify

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> VocSet:
    """12 training and 6 test scenes, 64 pixels wide."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        return open_voc("scenes:64", "classification", 12, 6)


def config(**values: Any) -> ClassificationConfig:
    usual = {"backbone": "random", "width": 0.05, "dataset": "scenes:64", "image_size": 48, "workers": 0, "device": "cpu"}
    return ClassificationConfig.build(usual | values)


def backbone(width: float = 0.05) -> Backbone:
    with seeded(0, "test"):
        made = make_backbone("alexnet", width=width, mean=(120.0,) * 3, std=(60.0,) * 3)
    return fold(made)


def task_on(scenes: VocSet, **values: Any) -> ClassificationTask:
    made = config(**values)
    return ClassificationTask(backbone(made.width), made, scenes)


def test_the_published_schedule_is_the_default() -> None:
    c = ClassificationConfig.build({"backbone": "random"})
    assert (c.iterations, c.batch_size, c.lr, c.lr_decay, c.weight_decay, c.momentum) == (80_000, 16, 0.001, 0.5, 1e-6, 0.9)
    assert [round(share * c.iterations) for share in c.lr_milestones] == list(range(10_000, 80_000, 10_000))
    assert (c.image_size, c.min_scale, c.max_scale, c.crops, c.clip_gradient, c.dropout) == (224, 0.5, 2, 10, 10, 0.5)
    assert c.dataset == "voc2007"
    assert c.protocol_differences() == {}
    assert c.slug == "voc-classification-random-alexnet-fc6-8"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"image_size": 30}, "image_size: alexnet takes images of at least 31 pixels, not 30"),
        ({"min_scale": 3.0}, "min_scale: 3 is larger than max_scale 2"),
        ({"crops": 0}, "crops"),
        ({"trained": "fc8"}, "trained"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(RotnetError, match=told):
        config(**values)


def test_the_loss_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    logits, present = rng.normal(size=(5, 4)) * 4, rng.integers(-1, 2, (5, 4))
    total = 0.0
    for row, answers in zip(logits, present, strict=True):
        for f, t in zip(row, answers, strict=True):
            if t >= 0:
                p = 1 / (1 + math.exp(-f))
                total -= t * math.log(p) + (1 - t) * math.log(1 - p)
    found = presence_loss(torch.from_numpy(logits), torch.from_numpy(present.astype(np.int8)))
    assert found.item() == pytest.approx(total / 5)


def test_difficult_objects_give_no_gradient_and_large_scores_no_infinity() -> None:
    logits = torch.tensor([[200.0, -200.0, 0.0]], requires_grad=True)
    loss = presence_loss(logits, torch.tensor([[0, -1, 1]], dtype=torch.int8))
    loss.backward()
    assert loss.item() == pytest.approx(200 + math.log(2))
    assert logits.grad is not None
    assert logits.grad.tolist() == [[1, 0, -0.5]]


def test_the_new_layer_starts_as_published() -> None:
    with seeded(0):
        classifier = VocClassifier(backbone(0.5), 20, 0.5)
    assert classifier.fc8.weight.shape == (20, 2048)
    assert classifier.fc8.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert (classifier.fc8.bias == 0.1).all()


def test_dropout_is_behind_fc6_and_fc7_in_training_only() -> None:
    classifier = VocClassifier(backbone(), 3, 0.5)
    images = torch.randint(0, 256, (4, 3, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    dropped: list[int] = []
    classifier.dropout.register_forward_hook(lambda _, x, y: dropped.append(int(((x[0] != 0) & (y == 0)).sum())))
    first, second = classifier(images), classifier(images)
    assert len(dropped) == 4
    assert min(dropped) > 0
    assert not torch.equal(first, second)
    classifier.eval()
    expected = classifier.fc8(classifier.backbone(images).flatten(1))
    torch.testing.assert_close(classifier(images), expected)


@pytest.mark.parametrize("trained", ["fc6-8", "all"])
def test_frozen_layers_stay_bit_for_bit_and_the_others_move(scenes: VocSet, tmp_path: Path, trained: str) -> None:
    task = task_on(scenes, trained=trained, iterations=2, batch_size=4, lr=0.1, weight_decay=0.1)
    before = {name: tensor.clone() for name, tensor in task.module.state_dict().items()}
    fit(task, len(scenes.train), task.config, ResumeState(tmp_path / "resume"), CPU)
    after = task.module.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    layers = ("fc6", "fc7", "fc8") if trained == "fc6-8" else ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
    assert moved == {name for name, _ in task.module.named_parameters() if any(layer in name for layer in layers)}
    assert len(moved) == 2 * len(layers)


def test_biases_learn_at_twice_the_rate_and_decay_as_weights_do(scenes: VocSet) -> None:
    weights, biases = task_on(scenes, trained="fc6-8").parameter_groups()
    assert (weights["lr_factor"], biases["lr_factor"]) == (1, 2)
    assert "weight_decay" not in weights.keys() | biases.keys()
    assert [parameter.dim() for parameter in weights["params"]] == [2, 2, 2]
    assert [parameter.dim() for parameter in biases["params"]] == [1, 1, 1]


def test_a_sample_is_a_square_with_what_its_image_shows(scenes: VocSet) -> None:
    task = task_on(scenes)
    image, present = task.sample(3, np.random.default_rng(0))
    again, other = task.sample(3, np.random.default_rng(0)), task.sample(3, np.random.default_rng(1))
    assert (image.shape, image.dtype) == ((3, 48, 48), torch.uint8)
    assert present.dtype == torch.int8
    assert present.tolist() == scenes.train.present(3).tolist()
    assert torch.equal(image, again[0])
    assert not torch.equal(image, other[0])
    images, targets = task.collate([(image, present), other])
    assert (images.shape, targets.shape) == ((2, 3, 48, 48), (2, 10))
    assert task.loss((images, targets))["loss"].shape == ()


@pytest.mark.parametrize("crops", [1, 3, 30])  # 30: batches end within an image
def test_predictions_are_the_mean_over_crops_and_the_first(scenes: VocSet, tmp_path: Path, crops: int) -> None:
    task = task_on(scenes, crops=crops)
    task.module.train()
    shown: list[torch.Tensor] = []
    hook = task.module.register_forward_pre_hook(lambda module, inputs: shown.append(inputs[0]))
    task.predict(CPU, tmp_path)
    hook.remove()
    assert task.module.training
    found = read_scores(tmp_path / SCORES, scenes.test.names, scenes.classes)
    assert set(found.values) == {1, crops}
    squares = torch.cat(shown)
    with torch.no_grad():
        logits = task.module.eval()(squares).view(6, crops, 10)
    np.testing.assert_allclose(found.values[crops], logits.mean(1), atol=1e-5)
    np.testing.assert_allclose(found.values[1], logits[:, 0], atol=1e-5)
    assert len(squares.flatten(1).unique(dim=0)) == 6 * crops  # each crop its own


def test_predictions_repeat_and_one_crop_is_the_first_of_many(scenes: VocSet, tmp_path: Path) -> None:
    found = []
    for number, (crops, seed) in enumerate([(3, 0), (3, 0), (2, 0), (3, 1)]):
        task = task_on(scenes, crops=crops, seed=0)
        task.config = config(crops=crops, seed=seed)  # of the crops alone
        folder = tmp_path / str(number)
        task.predict(CPU, folder)
        found.append(read_scores(folder / SCORES, scenes.test.names, scenes.classes))
    assert (tmp_path / "0" / SCORES).read_bytes() == (tmp_path / "1" / SCORES).read_bytes()
    np.testing.assert_allclose(found[2].values[1], found[0].values[1], atol=1e-6)
    assert np.abs(found[3].values[1] - found[0].values[1]).max() > 1e-6


def judged(scenes: VocSet, folder: Path, ten: np.ndarray, one: np.ndarray) -> Any:
    Scores(scenes.test.names, scenes.classes, {1: one.astype(np.float32), 10: ten.astype(np.float32)}).write(folder / SCORES)
    return evaluate_classification(config(), scenes, folder)


def test_perfect_scores_are_worth_100_and_classes_without_images_are_left_out(scenes: VocSet, tmp_path: Path) -> None:
    present = np.stack([scenes.test.present(index) for index in range(6)])
    shown = [name for name, column in zip(scenes.short, present.T, strict=True) if (column == 1).any()]
    missing = [name for name in scenes.short if name not in shown]
    assert missing, "choose fewer scenes"
    evaluation = judged(scenes, tmp_path, present, -present)
    assert evaluation.metrics["map"] == 100
    assert evaluation.metrics["map_1crop"] < 100
    assert evaluation.by_target["map"] == dict.fromkeys(shown, 100.0)
    assert list(evaluation.by_target["map_1crop"]) == shown
    assert evaluation.details.left_out == tuple(missing)
    assert f"no test image shows them: {', '.join(missing)}" in evaluation.notes[1]
    assert evaluation.notes[0] == "Chance is what a random order of the test images is expected to give."
    guessed = [found for column in present.T if (found := chance_precision(column)) is not None]
    assert evaluation.chance == pytest.approx({"map": np.mean(guessed), "map_1crop": np.mean(guessed)})
    assert list(evaluation.details.curves) == shown
    assert [evaluation.details.positives[name] for name in scenes.short] == (present == 1).sum(0).tolist()
    recall, precision = evaluation.details.curves[shown[0]]
    assert (precision[recall > 0] == 1).sum() >= 1


def test_a_test_split_that_shows_nothing_is_refused(scenes: VocSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(scenes.test), "present", lambda self, index: np.full(10, -1, np.int8))
    with pytest.raises(RotnetError, match="no test image shows an object that counts"):
        judged(scenes, tmp_path, np.zeros((6, 10)), np.zeros((6, 10)))


def test_scores_of_other_crops_are_refused(scenes: VocSet, tmp_path: Path) -> None:
    Scores(scenes.test.names, scenes.classes, {1: np.zeros((6, 10), np.float32)}).write(tmp_path / SCORES)
    with pytest.raises(RotnetError, match="no scores of 10 crops"):
        evaluate_classification(config(), scenes, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("trained", ["fc6-8", "all"])
def test_it_learns_the_images_it_is_trained_on(scenes: VocSet, tmp_path: Path, trained: str) -> None:
    """From a random network, rescaled; judged on its training images, which it saw in other squares."""
    voc = replace(scenes, test=scenes.train)
    squares = torch.stack([task_on(voc).sample(index, np.random.default_rng(index))[0] for index in range(12)])
    with seeded(0, "test"):
        made = make_backbone("alexnet", width=0.2, mean=(120.0,) * 3, std=(60.0,) * 3)
    rescale_by_data(made, squares)
    prepared = prepare(made, squares, rescale=True, seed=0)
    values = {"iterations": 60, "batch_size": 12, "lr": 0.005, "lr_milestones": (), "dropout": 0.0, "min_scale": 0.9}
    chosen = config(trained=trained, crops=4, **values)
    task = ClassificationTask(prepared.backbone, chosen, voc)
    task.predict(CPU, tmp_path)
    before = evaluate_classification(chosen, voc, tmp_path)
    history = fit(task, 12, chosen, ResumeState(tmp_path / "resume"), CPU)
    task.predict(CPU, tmp_path)
    after = evaluate_classification(chosen, voc, tmp_path)
    assert history[-1]["train_loss"] < 0.5 * history[0]["train_loss"]
    assert after.metrics["map"] > before.metrics["map"] + 20


def test_a_run_from_its_config_to_its_figures_and_shown_again() -> None:
    chosen = config(train_size=6, test_size=4, iterations=2, batch_size=2, crops=2, lr=1e-3, lr_milestones=(0.5,))
    outcome = classify(chosen)
    assert outcome.result.metrics.keys() == outcome.result.by_target.keys() == {"map", "map_1crop"}
    assert outcome.result.metrics["map"].last == outcome.evaluation.metrics["map"]
    assert outcome.preparation.layers == ()  # a random backbone stays as it is
    outcome.save()
    again = classify(chosen)
    assert again.result.metrics == outcome.result.metrics
    assert again.evaluation.by_target == outcome.evaluation.by_target
    assert again.preparation == outcome.preparation


def test_it_goes_on_from_decouplings_backbone(pretrained: Callable[..., RunDirectory]) -> None:
    """With both halves of fc7."""
    run = pretrained(task="decoupling", arch="alexnet", image_size=64, task_options={"dimension": 4})
    small = {"train_size": 2, "test_size": 2, "iterations": 1, "crops": 1, "dataset": "scenes:64", "image_size": 64}
    asked = {"backbone": run.name, "width": "backbone", "rescale": False, "lr": 0.0}
    outcome = classify(config(**small | asked))
    outcome.save()
    tensors, _ = load_tensors(outcome.directory.path / MODEL)
    backbone = load_backbone(run.path / MODEL)
    theirs = fold(backbone).state_dict()
    ours = {name.removeprefix("backbone."): tensor for name, tensor in tensors.items() if name.startswith("backbone.")}
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    assert tensors["fc8.weight"].shape[1] == backbone.shape("fc7", 64)[0]

"""What a network looks at and mistakes, against plain loops and made-up answers; and what cannot be inspected."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Batch
from rotnet_lib.errors import RotnetError
from rotnet_lib.evaluation.looks import attention_maps, look
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.models.folding import first_filters
from rotnet_lib.pretext.labels import Labels
from rotnet_lib.pretext.parts.rotate import rotate_all
from rotnet_lib.runs.directory import MODEL, RunDirectory
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.seeds import seeded
from rotnet_lib.stages.backbone_config import UNTRAINED
from rotnet_lib.stages.inspection import InspectConfig, Inspection, Rotations, inspect_backbone
from rotnet_lib.stages.probe import ProbeConfig, probe
from rotnet_lib.stages.pu_weights import PuWeightsConfig, weigh_copies
from rotnet_lib.training.checkpoints import load_backbone, load_tensors, save_backbone
from rotnet_lib.training.task import Step

Pretrained = Callable[..., RunDirectory]


def inspect(**parameters: Any) -> Inspection:
    return inspect_backbone(InspectConfig.build({"device": "cpu", "images": [0, 1]} | parameters))


def rotations_of(inspection: Inspection) -> Rotations:
    assert inspection.rotations is not None
    return inspection.rotations


# --- Attention ---


@pytest.mark.parametrize("power", [1, 2, 4])
def test_attention_is_the_sum_of_powers_over_channels(power: int) -> None:
    with seeded(0):
        features = torch.randn(2, 3, 4, 4)
    maps = attention_maps(features, power, side=4)
    for n in range(2):
        for i in range(4):
            for j in range(4):
                expected = sum(abs(float(features[n, c, i, j])) ** power for c in range(3))
                assert float(maps[n, i, j]) == pytest.approx(expected, rel=1e-5)


def test_attention_is_upsampled_over_the_image() -> None:
    """Bilinear between the centres of the map's cells, and flat beyond the outermost centres."""
    maps = attention_maps(torch.tensor([[[[0.0, 2.0], [0.0, 2.0]]]]), 2, side=4)
    assert maps.shape == (1, 4, 4)
    assert maps[0].tolist() == [[0.0, 1.0, 3.0, 4.0]] * 4


# --- The stage ---


def test_the_rotation_accuracy_is_the_runs_own(pretrained: Pretrained) -> None:
    run = pretrained()
    result = inspect().result
    expected = run.result()
    assert result.metrics["rotation_top1"].last == pytest.approx(expected.metrics["rotation_top1"].last)
    assert result.by_target["rotation_top1"] == pytest.approx(expected.by_target["rotation_top1"])
    assert result.metrics["rotation_top1"].images == expected.metrics["rotation_top1"].images == 20
    assert result.metrics["rotation_top1"].target_images == expected.metrics["rotation_top1"].target_images
    assert result.metrics["rotation_top1"].best_epoch == 1
    assert result.parameters["backbone"] == run.name


def test_of_decoupling_the_half_that_tells_rotations_is_asked(pretrained: Pretrained, shapes_data: Dataset) -> None:
    run = pretrained(task="decoupling", lr=0.1, batch_size=8)
    found = inspect(backbone=run.name, layer="conv3")
    assert found.result.metrics["rotation_top1"].last == pytest.approx(run.result().metrics["rotation_top1"].last)
    tensors, _ = load_tensors(run.path / MODEL)
    weight, bias = tensors["head.2.weight"], tensors["head.2.bias"]
    backbone = load_backbone(run.path / MODEL).eval()
    copies = rotate_all(shapes_data.test.images.permute(0, 3, 1, 2), (0, 90, 180, 270))
    with torch.no_grad():
        pooled = backbone(copies).mean(dim=(2, 3))[:, : weight.shape[1]]
    expected = (pooled @ weight.T + bias).log_softmax(1).view(4, 20, 4).transpose(0, 1)
    assert 2 * weight.shape[1] <= backbone.shape("conv3", 32)[0]
    torch.testing.assert_close(torch.from_numpy(rotations_of(found).answers.log_p), expected, rtol=1e-4, atol=1e-5)
    assert found.looks[0].attention["conv3"].shape == (2, 32, 32)


def test_all_layers_are_those_with_a_map(pretrained: Pretrained) -> None:
    """What a fully connected layer looks at has no place in the image."""
    pretrained(arch="alexnet", image_size=64)
    found = inspect(layer="all")
    assert found.layers == tuple(found.looks[0].attention) == ("conv1", "conv2", "conv3", "conv4", "conv5")


def test_what_is_shown_of_a_network(pretrained: Pretrained, shapes_data: Dataset) -> None:
    run = pretrained()
    found = inspect(images="3,7", power=4, shown=5)
    backbone = load_backbone(run.path / MODEL).eval()
    [look] = found.looks
    assert list(look.attention) == ["conv1", "conv2", "conv3"] == list(found.layers)
    chosen = shapes_data.test.images[[3, 7]].permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = attention_maps(backbone.features(chosen, ["conv2"])["conv2"], 4, 32)
    assert look.attention["conv2"] == pytest.approx(expected.numpy(), rel=1e-4)
    assert (look.filters == first_filters(backbone).permute(0, 2, 3, 1).numpy()).all()
    assert [picture.index for picture in found.pictures] == [3, 7]
    assert (found.pictures[1].pixels == shapes_data.test.images[7].numpy()).all()
    assert found.pictures[1].name == shapes_data.classes[shapes_data.test.labels[7]]
    assert len(rotations_of(found).mistakes) == len(rotations_of(found).ambiguous) == 5


def test_mistaken_copies_are_as_the_network_saw_them(pretrained: Pretrained, shapes_data: Dataset) -> None:
    pretrained(task_options={"angles": [0, 90, 180], "crop_for": [45]})
    found = inspect()
    assert list(rotations_of(found).answers.angles) == [0, 90, 180]
    for mistake in rotations_of(found).mistakes:
        image = shapes_data.test.images[mistake.picture.index][None].permute(0, 3, 1, 2)
        copy = rotate_all(image, [mistake.true], (45,))[0].permute(1, 2, 0)
        assert copy.shape == (22, 22, 3)
        assert (mistake.picture.pixels == copy.numpy()).all()
        assert mistake.said != mistake.true


def test_another_run_beside_it_may_be_of_another_arch(pretrained: Pretrained) -> None:
    pretrained(arch="nin3")
    supervised = pretrained(task="labels", arch="nin4")
    found = inspect(compare=f"runs/{supervised.name}")
    assert found.result.parameters["compare"] == supervised.name  # one run, one spelling
    assert found.layers == ("conv1", "conv2", "conv3", "conv4")
    assert [list(look.attention) for look in found.looks] == [["conv1", "conv2", "conv3"], ["conv1", "conv2", "conv3", "conv4"]]
    assert [look.arch for look in found.looks] == ["nin3", "nin4"]
    ours, theirs = found.result.metrics["compare_top1"], supervised.result().metrics["top1"]
    assert ours.last == pytest.approx(theirs.last)
    assert ours.images == theirs.images == 20
    named = inspect(compare=supervised.name, layer="conv2,conv1")
    assert named.layers == ("conv2", "conv1")


def test_a_probe_can_stand_beside_it(pretrained: Pretrained, tiny: dict[str, Any]) -> None:
    """Any run that saved a backbone; a probe's ends at the layer probed, and has no head of its own."""
    pretrained()
    outcome = probe(ProbeConfig.build(tiny | {"layer": "conv2"}))
    outcome.save()
    found = inspect(compare=outcome.directory.name)
    assert list(found.looks[1].attention) == ["conv1", "conv2"]
    assert list(found.result.metrics) == ["rotation_top1"]


def test_a_rotation_task_with_a_second_head_can_be_inspected(pretrained: Pretrained) -> None:
    run = pretrained(task="rotation-instance")
    assert inspect().result.parameters["backbone"] == run.name


def test_an_earlier_checkpoint_says_so(pretrained: Pretrained) -> None:
    run = pretrained(epochs=2, checkpoints=[0.5])
    found = inspect(checkpoint=0.5)
    assert found.looks[0].title == f"{run.name} after epoch 1"
    assert found.result.metrics["rotation_top1"].best_epoch == 1
    assert "at-0.5" in found.directory.name
    assert inspect().looks[0].title == run.name


def test_a_finished_run_is_shown_again_and_not_written(pretrained: Pretrained) -> None:
    pretrained()
    first = inspect()
    assert not first.directory.finished
    first.save()
    written = (first.directory.path / "metrics.json").stat().st_mtime_ns
    again = inspect()
    assert again.result == first.result
    assert (rotations_of(again).answers.loss == rotations_of(first).answers.loss).all()
    again.save()
    assert (first.directory.path / "metrics.json").stat().st_mtime_ns == written


def test_the_paper_has_no_say_in_what_is_shown() -> None:
    run = {"backbone": "some-run", "arch": "nin4", "width": 1.0, "dataset": "cifar10"}
    shown = {"layer": "conv1", "power": 4, "images": [5], "shown": 3, "compare": "other"}
    assert InspectConfig.build(run | shown).protocol_differences() == {}


# --- Other tasks ---


def test_a_supervised_run_is_inspected_when_it_is_named(pretrained: Pretrained, shapes_data: Dataset) -> None:
    """Its figure is computed anew; its examples are the chosen images with their classes."""
    run = pretrained(task="labels")
    found = inspect(backbone=run.name, images=[3, 7])
    expected = run.result().metrics["top1"]
    assert found.result.metrics["top1"].last == pytest.approx(expected.last)
    assert found.result.metrics["top1"].chance == expected.chance
    assert found.result.metrics["top1"].images == expected.images == 20
    assert found.result.by_target == {}
    assert found.rotations is None
    classes = [shapes_data.classes[shapes_data.test.labels[place]] for place in (3, 7)]
    assert [example.caption.partition("\n")[0] for example in found.examples] == [f"true {name}" for name in classes]
    assert (found.examples[0].pictures[0] == shapes_data.test.images[3].numpy()).all()
    assert list(found.looks[0].attention) == ["conv1", "conv2", "conv3"]


def test_newest_means_no_supervised_run(pretrained: Pretrained) -> None:
    run = pretrained()
    pretrained(task="labels")
    assert inspect().result.parameters["backbone"] == run.name


def test_metrics_of_other_units_are_kept_and_those_of_training_images_left_out(
    pretrained: Pretrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = pretrained(task="labels")
    declared = {"top1": Metric(unit="dB", better="lower", chance=0.1), "purity": Metric(tested=False)}
    start, evaluate = Labels.__init__, Labels.evaluate

    def declaring(self: Labels, *arguments: Any) -> None:
        start(self, *arguments)
        self.metrics = declared

    def otherwise(self: Labels, batch: Batch) -> Step:
        step = evaluate(self, batch)
        return replace(step, values={name: step.values["top1"].float() for name in declared})

    monkeypatch.setattr(Labels, "__init__", declaring)
    monkeypatch.setattr(Labels, "evaluate", otherwise)
    metrics = inspect(backbone=run.name).result.metrics
    assert list(metrics) == ["top1"]
    assert metrics["top1"].last == pytest.approx(run.result().metrics["top1"].last / 100)
    assert (metrics["top1"].unit, metrics["top1"].better, metrics["top1"].chance) == ("dB", "lower", 0.1)
    assert metrics["top1"].images is None


def test_a_rotnet_has_examples_too(pretrained: Pretrained, shapes_data: Dataset) -> None:
    pretrained()
    found = inspect(images=[4])
    copies = rotate_all(shapes_data.test.images[4:5].permute(0, 3, 1, 2), (0, 90, 180, 270)).permute(0, 2, 3, 1)
    shown = [picture for example in found.examples for picture in example.pictures]
    assert all((picture == copy.numpy()).all() for picture, copy in zip(shown, copies, strict=True))
    said = [(0, 90, 180, 270)[label] for label in rotations_of(found).answers.said[4]]
    captions = [f"true {k}°\nsaid {answer}°" for k, answer in zip((0, 90, 180, 270), said, strict=True)]
    assert [example.caption for example in found.examples] == captions
    assert [example.right for example in found.examples] == [
        answer == k for k, answer in zip((0, 90, 180, 270), said, strict=True)
    ]
    assert {(example.columns, example.beside) for example in found.examples} == {(1, 4)}


def test_a_run_with_weighed_copies_is_inspected_without_what_weighed_them(pretrained: Pretrained) -> None:
    run = pretrained()
    weights = weigh_copies(PuWeightsConfig.build({"backbone": run.name, "device": "cpu"}))
    weights.save()
    weighed = pretrained(pu_weights=weights.directory.name)
    shutil.rmtree(weights.directory.path)
    assert inspect(backbone=weighed.name).result.metrics["rotation_top1"].last == pytest.approx(
        weighed.result().metrics["rotation_top1"].last
    )


def test_a_run_that_left_out_a_fold_is_inspected(pretrained: Pretrained) -> None:
    run = pretrained(fold="1/2")
    assert inspect().result.parameters["backbone"] == run.name


# --- What cannot be inspected ---


def error_of(**parameters: Any) -> str:
    with pytest.raises(RotnetError) as caught:
        inspect(**parameters)
    return str(caught.value)


@pytest.mark.parametrize("backbone", UNTRAINED)
def test_a_random_backbone_is_refused(backbone: str) -> None:
    assert error_of(backbone=backbone) == ("backbone: a random one has learned no task. Allowed: newest, or a pretrain run.")


def test_a_probe_is_no_pretext_run(pretrained: Pretrained, tiny: dict[str, Any]) -> None:
    pretrained()
    outcome = probe(ProbeConfig.build(tiny))
    outcome.save()
    message = error_of(backbone=outcome.directory.name)
    assert f"run {outcome.directory.name} is no pretext run" in message
    assert f"-p compare {outcome.directory.name}" in message


def test_a_layer_that_the_arch_lacks(pretrained: Pretrained) -> None:
    run = pretrained()
    message = error_of(backbone=run.name, layer="conv4")
    assert "unknown layer of nin3 'conv4'" in message
    assert "Allowed: conv1, conv2, conv3." in message


def test_an_image_out_of_range_is_named_before_a_run_is_made(pretrained: Pretrained) -> None:
    run = pretrained()
    message = error_of(images=[0, 20, 25])
    assert "there is no test image 25" in message
    assert "has 20 test images here. Allowed: 0 to 19." in message
    assert [path.name for path in run.path.parent.iterdir()] == [run.name]


@pytest.mark.parametrize(
    ("images", "problem"),
    [
        ([0, -1], "-1 is no index: the first test image is 0"),
        ([3, 4, 3], "3 occurs twice in [3, 4, 3]"),
        ("0,one", "unable to parse string as an integer, not 'one'"),
        ([], "at least 1 item"),
    ],
)
def test_no_list_of_images(pretrained: Pretrained, images: Any, problem: str) -> None:
    pretrained()
    message = error_of(images=images)
    assert message.startswith("inspect: images")
    assert problem in message


@pytest.mark.parametrize(("given", "expected"), [("2, 0", (2, 0)), (5, (5,)), ([1, 2], (1, 2))])
def test_spellings_of_images(given: Any, expected: tuple[int, ...]) -> None:
    run = {"backbone": "some-run", "arch": "nin4", "width": 1.0, "dataset": "shapes"}
    assert InspectConfig.build(run | {"images": given}).images == expected


def test_a_power_that_is_not_drawn(pretrained: Pretrained) -> None:
    pretrained()
    assert "power: Input should be 1, 2 or 4, not 3" in error_of(power=3)


def test_a_checkpoint_of_another_arch(pretrained: Pretrained) -> None:
    run = pretrained()
    message = error_of(backbone=run.name, arch="nin4", width=0.05, dataset="shapes", train_size=40, test_size=20)
    assert f"{MODEL} holds a nin3 of width 0.05, but arch=nin4" in message
    assert "Leave arch and width out" in message


def test_a_run_that_was_trained_on_held_out_images_is_not_compared(pretrained: Pretrained) -> None:
    """Its figure would be of images that it was trained on."""
    backbone, supervised = pretrained(validate=0.3), pretrained(task="labels")
    message = error_of(backbone=backbone.name, compare=supervised.name)
    assert f"but {supervised.name} was trained on all of them" in message


def test_no_such_run_to_compare_with(pretrained: Pretrained) -> None:
    run = pretrained()
    message = error_of(compare=f"{run.name}0")
    assert f"unknown run to compare with, '{run.name}0'; did you mean '{run.name}'?" in message


def test_weights_without_a_head(pretrained: Pretrained) -> None:
    run = pretrained()
    with seeded(0):
        backbone = make_backbone("nin3", width=0.05, mean=(0,) * 3, std=(1,) * 3)
    save_backbone(run.path / MODEL, torch.nn.ModuleDict({"backbone": backbone}), backbone, run=run.name)
    message = error_of(backbone=run.name)
    assert "does not fit the model: missing head" in message
    assert "It is of task rotation on shapes." in message


def test_attention_and_filters_are_of_the_backbone_that_others_build_on(pretrained: Pretrained, shapes_data: Dataset) -> None:
    """Examples and figures are of the task as it was trained: on tiles, whose statistics are others."""
    run = pretrained(task="jigsaw", task_options={"permutations": 20})
    found = inspect(backbone=run.name, images=(3, 7))
    others = look("", load_backbone(run.path / MODEL), found.layers, shapes_data.test.read([3, 7]), found.power)
    [shown] = found.looks
    for layer in found.layers:
        np.testing.assert_allclose(shown.attention[layer], others.attention[layer], rtol=1e-4)
    assert found.result.metrics["jigsaw_top1"].last == pytest.approx(run.result().metrics["jigsaw_top1"].last)
    assert [len(example.pictures) for example in found.examples] == [9, 9]

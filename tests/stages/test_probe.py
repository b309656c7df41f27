"""Probes: the backbone stays as it is, and the layers do not disturb each other."""

import dataclasses
from collections.abc import Generator, Iterable
from typing import Any

import pandas as pd
import pytest
import torch

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.split import Cut, Request, Split
from rotnet_lib.errors import RotnetError
from rotnet_lib.evaluation.classifier_task import ClassifierTask
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.runs.directory import MODEL, RunDirectory, directory_of
from rotnet_lib.seeds import seeded
from rotnet_lib.stages.finetune import FinetuneConfig, finetune
from rotnet_lib.stages.probe import ProbeConfig, probe
from rotnet_lib.stages.train import Outcome
from rotnet_lib.training.checkpoints import load_backbone, load_tensors

Tensors = dict[str, torch.Tensor]


def run_probe(tiny: dict[str, Any], **parameters: Any) -> Outcome:
    outcome = probe(ProbeConfig.build(tiny | parameters))
    outcome.save()
    return outcome


def weights(run: RunDirectory, prefix: str) -> Tensors:
    return {name: tensor for name, tensor in load_tensors(run.path / MODEL)[0].items() if name.startswith(prefix)}


def same(ours: Tensors, theirs: Tensors) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


@pytest.mark.parametrize("classifier", ["linear", "nonlinear", "conv", "rest"])
def test_all_layers_in_one_pass_end_as_each_would_alone(classifier: str, pretrained: Any, tiny: dict[str, Any]) -> None:
    tiny |= {"backbone": pretrained().name, "classifier": classifier, "epochs": 2}
    together = run_probe(tiny, layer="all")
    assert list(together.result.metrics) == ["conv1_top1", "conv2_top1", "conv3_top1"]
    for layer in ("conv1", "conv2", "conv3"):
        alone = run_probe(tiny, layer=layer)
        assert alone.result.metrics == {f"{layer}_top1": together.result.metrics[f"{layer}_top1"]}
        figures = [f"train_{layer}_top1", f"test_{layer}_top1"]
        pd.testing.assert_frame_equal(alone.history[figures], together.history[figures], check_exact=True)
        head = weights(alone.directory, f"heads.{layer}.")
        assert head
        assert same(head, weights(together.directory, f"heads.{layer}."))


def test_every_layer_of_an_alexnet_takes_every_classifier(tiny: dict[str, Any]) -> None:
    tiny |= {"backbone": "random", "arch": "alexnet", "width": 0.02, "image_size": 40, "layer": "all"}
    layers = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"]
    for classifier in ("linear", "nonlinear", "conv", "rest"):
        result = run_probe(tiny, classifier=classifier).result
        assert list(result.metrics) == [f"{layer}_top1" for layer in layers]
        assert result.data.image_size == 40


def test_of_decoupling_all_channels_of_the_last_layer_are_probed(pretrained: Any, tiny: dict[str, Any]) -> None:
    """Those of both halves; what the pretext task had beside the backbone is left behind."""
    run = pretrained(task="decoupling", width=0.25)
    result = run_probe(tiny | {"width": 0.25}, backbone=run.name, layer="conv3", classifier="nonlinear")
    assert same(weights(run, "backbone."), weights(result.directory, "backbone."))
    assert not weights(result.directory, "project.")
    inputs = next(tensor.shape[1] for tensor in weights(result.directory, "heads.conv3.").values() if tensor.dim() == 2)
    channels, side, _ = load_backbone(run.path / MODEL).shape("conv3", 32)
    assert inputs == channels * side**2


def test_the_order_of_layers_does_not_matter(pretrained: Any, tiny: dict[str, Any]) -> None:
    tiny |= {"backbone": pretrained().name}
    forth, back = run_probe(tiny, layer="conv1,conv3"), run_probe(tiny, layer="conv3,conv1")
    assert forth.result.metrics == back.result.metrics
    assert same(weights(forth.directory, ""), weights(back.directory, ""))


def test_the_frozen_backbone_keeps_its_weights_and_statistics(pretrained: Any, tiny: dict[str, Any]) -> None:
    run = pretrained()
    result = run_probe(tiny, backbone=run.name, layer="conv3", epochs=2)
    before, after = weights(run, "backbone."), weights(result.directory, "backbone.")
    assert sum("running_mean" in name for name in before) == 9  # three blocks of three batch norms
    assert same(before, after)
    heads = weights(result.directory, "heads.")
    assert result.result.training
    assert result.result.training.parameters == sum(
        tensor.numel() for name, tensor in heads.items() if name.endswith(("weight", "bias"))
    )


def test_the_frozen_backbone_is_run_in_evaluation_mode(shapes_data: Dataset) -> None:
    """In training mode the batch, not only the image, decides the features."""
    with seeded(0):
        backbone = make_backbone("nin3", width=0.05, mean=(127.0,) * 3, std=(60.0,) * 3)
    task = ClassifierTask(backbone, shapes_data, layers=["conv2"], classifier="conv", freeze=True, seed=0)
    task.module.train()
    assert [name for name, module in task.module.named_children() if module.training] == ["heads"]
    assert not any(module.training for module in backbone.modules())
    images = shapes_data.train.images[:10].permute(0, 3, 1, 2)
    alone = backbone.features(images[:1], ["conv2"])["conv2"]
    assert torch.allclose(alone, backbone.features(images, ["conv2"])["conv2"][:1], atol=1e-5)


def test_blocks_above_the_deepest_layer_are_dropped(pretrained: Any, tiny: dict[str, Any]) -> None:
    result = run_probe(tiny, backbone=pretrained().name, layer="conv2,conv1")
    blocks = {name.split(".")[2] for name in weights(result.directory, "backbone.blocks.")}
    assert blocks == {"conv1", "conv2"}
    assert load_tensors(result.directory.path / MODEL)[1]["taps"] == ["conv1", "conv2"]


def test_the_same_seed_gives_the_same_figures(pretrained: Any, tiny: dict[str, Any]) -> None:
    tiny |= {"backbone": pretrained().name, "layer": "all"}
    first = run_probe(tiny)
    second = run_probe(tiny, runs="elsewhere", backbone=str(first.directory.path.parent / tiny["backbone"]))
    assert first.directory.path != second.directory.path
    assert first.result.metrics == second.result.metrics
    assert same(weights(first.directory, "heads."), weights(second.directory, "heads."))
    other = run_probe(tiny, seed=1)
    assert not same(weights(first.directory, "heads."), weights(other.directory, "heads."))


def test_a_random_backbone_is_untrained_and_of_its_seed(tiny: dict[str, Any]) -> None:
    tiny |= {"backbone": "random", "arch": "nin3"}
    first, again, other = (run_probe(tiny, seed=seed, lr=lr) for seed, lr in ((0, 0.1), (0, 0.2), (1, 0.1)))
    backbones = [weights(outcome.directory, "backbone.blocks.") for outcome in (first, again, other)]
    assert same(backbones[0], backbones[1])  # whatever is trained on it
    assert not same(backbones[0], backbones[2])
    assert all(tensor.eq(0).all() for name, tensor in backbones[0].items() if name.endswith("running_mean"))


def test_a_rescaled_backbone_is_the_random_one_with_statistics_of_training_images(
    tiny: dict[str, Any], shapes_data: Dataset
) -> None:
    """40 training images, so all of them. The statistics of the first batch norm, whose input nothing was rescaled below."""
    tiny |= {"arch": "nin3"}
    plain, rescaled, again = (
        run_probe(tiny, backbone=backbone, lr=lr)
        for backbone, lr in (("random", 0.1), ("random-rescaled", 0.1), ("random-rescaled", 0.2))
    )
    ours, theirs = (weights(outcome.directory, "backbone.") for outcome in (rescaled, plain))
    assert same(ours, weights(again.directory, "backbone."))  # whatever is trained on it
    changed = {name for name in ours if not torch.equal(ours[name], theirs[name])}
    assert changed == {name for name in ours if name.endswith(("running_mean", "running_var"))}
    convolution, first = next(name for name in ours if ours[name].dim() == 4), next(n for n in ours if "running_mean" in n)
    images = shapes_data.train.images.permute(0, 3, 1, 2)
    pixels = (images - torch.tensor(shapes_data.mean)[:, None, None]) / torch.tensor(shapes_data.std)[:, None, None]
    kernel = ours[convolution]
    responses = torch.nn.functional.conv2d(pixels, kernel, padding=kernel.shape[2] // 2)
    torch.testing.assert_close(ours[first], responses.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)


def test_a_backbone_is_rescaled_by_a_part_of_a_large_training_set(tiny: dict[str, Any], shapes_data: Dataset) -> None:
    """256 images drawn by the seed from all of it, since files lie class by class."""
    given: list[list[int]] = []

    class Noting(Split):
        def cut(self, requests: Iterable[Request]) -> Generator[Cut, None, None]:
            [request] = requests
            given.append(request.index.tolist())
            return super().cut([request])

    large = Noting(shapes_data.train.images.repeat(10, 1, 1, 1), shapes_data.train.labels.repeat(10))
    for seed in (0, 0, 1):
        config = ProbeConfig.build(tiny | {"backbone": "random-rescaled", "arch": "nin3", "seed": seed})
        config.make_backbone(dataclasses.replace(shapes_data, train=large))
    first, again, other = given
    assert first == again != other
    for places in (first, other):
        assert len(set(places)) == len(places) == 256
        assert max(places) > 256


def test_names_say_what_was_probed(tiny: dict[str, Any]) -> None:
    tiny |= {"arch": "nin4", "backbone": "random"}
    assert ProbeConfig.build(tiny).slug == "probe-random-nin4-conv2-nonlinear"
    assert ProbeConfig.build(tiny | {"backbone": "random-rescaled"}).slug == "probe-random-rescaled-nin4-conv2-nonlinear"
    assert ProbeConfig.build(tiny | {"backbone": "run", "layer": "conv1,conv4"}).slug == "probe-nin4-conv1-conv4-nonlinear"
    recipe = {"arch": "alexnet", "classifier": "linear", "recipe": "decoupling"}
    assert ProbeConfig.build(tiny | recipe).slug == "probe-random-alexnet-conv2-linear-decoupling-recipe"
    views = {"backbone": "run", "checkpoint": 0.25, "views": "rotated", "combine": "concatenate", "labels_per_class": 20}
    assert ProbeConfig.build(tiny | views).slug == "probe-nin4-conv2-nonlinear-rotated-concatenate-at-0.25-20-labels"


# --- One half of a split-brain backbone ---


def split(tiny: dict[str, Any], **parameters: Any) -> ProbeConfig:
    """A probe of a run that is not made yet."""
    return ProbeConfig.build(tiny | {"backbone": "run", "arch": "alexnet-split", "half": "L"} | parameters)


def test_a_half_is_in_the_name_and_both_are_not(tiny: dict[str, Any]) -> None:
    assert split(tiny, half="ab").slug == "probe-alexnet-split-conv2-nonlinear-ab-half"
    both, unsaid = split(tiny, half="both"), ProbeConfig.build(tiny | {"backbone": "run", "arch": "alexnet-split"})
    assert both.slug == unsaid.slug
    assert both.hashed_parameters() == unsaid.hashed_parameters()
    assert "half" not in both.hashed_parameters()


def test_all_layers_of_a_half_are_those_that_have_halves(tiny: dict[str, Any]) -> None:
    convolutions = ("conv1", "conv2", "conv3", "conv4", "conv5")
    assert split(tiny, layer="all").layers == convolutions
    assert split(tiny, layer="all", half="both").layers == (*convolutions, "fc6", "fc7")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"arch": "nin4"}, r"half: nin4 has no halves, only nin4-split, alexnet-split\. Leave half out, or name the backbone"),
        ({"backbone": "random"}, r"half: an untrained backbone reads RGB.* Leave half out"),
        ({"layer": "conv5,fc6"}, r"half: of alexnet-split, fc6 depends on both halves\. Take layers out of conv1, .*conv5$"),
        ({"half": "lab"}, r"half: .*'both', 'L' or 'ab'"),
    ],
)
def test_half_of_what_has_none_is_refused(parameters: dict[str, Any], message: str, tiny: dict[str, Any]) -> None:
    with pytest.raises(RotnetError, match=message):
        split(tiny, **parameters)


# --- Few labels ---


def test_a_probe_can_train_on_a_few_labels(pretrained: Any, tiny: dict[str, Any]) -> None:
    tiny |= {"backbone": pretrained().name, "layer": "conv2"}
    few, every = run_probe(tiny, labels_per_class=2), run_probe(tiny)
    assert (few.result.data.train_images, every.result.data.train_images) == (20, 40)
    assert few.result.training == every.result.training.model_copy(
        update={name: getattr(few.result.training, name) for name in ("seconds", "inputs_per_second")}
    )
    assert not same(weights(few.directory, "heads."), weights(every.directory, "heads."))


# --- Validation ---


def test_a_probe_holds_out_what_its_backbones_run_held_out(pretrained: Any, tiny: dict[str, Any]) -> None:
    result = run_probe(tiny, backbone=pretrained(validate=0.3).name, test_size="all").result
    assert result.parameters["validate"] == 0.3
    assert result.data.validation
    assert result.data.train_images + result.data.test_images == tiny["train_size"]
    assert result.data.tested_on == "held-out training images"


def test_the_whole_line_of_runs_is_looked_at(pretrained: Any, tiny: dict[str, Any]) -> None:
    """A run between them may be on other data."""
    whole = pretrained()
    between = FinetuneConfig.build(tiny | {"backbone": whole.name, "dataset": "shapes:1", "validate": 0.2})
    finetune(between).save()
    name = directory_of(between, between.fingerprint()).name
    with pytest.raises(RotnetError, match=f"but {whole.name} was trained on all of them"):
        ProbeConfig.build(tiny | {"backbone": name, "dataset": "shapes", "validate": 0.2})


def test_the_same_data_under_another_name_is_known_by_its_fingerprint(pretrained: Any, tiny: dict[str, Any]) -> None:
    asked = tiny | {"backbone": pretrained().name, "dataset": "shapes:0", "validate": 0.2}
    with pytest.raises(RotnetError, match="was trained on all of them"):
        probe(ProbeConfig.build(asked))


def test_newest_means_a_run_that_held_out_as_much(
    pretrained: Any, tiny: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    fitting = pretrained(validate=0.3)
    pretrained(seed=1)
    assert ProbeConfig.build(tiny | {"validate": 0.2}).backbone == fitting.name
    said = capsys.readouterr().out
    assert "trained with validate=0.3, so that the figures here are of held-out training images" in said
    with pytest.raises(RotnetError, match=r"no finished pretext run .* has .*validate=0.4 or more.* -p validate 0.4"):
        ProbeConfig.build(tiny | {"validate": 0.4})


def test_images_that_the_pretext_task_was_trained_on_are_not_held_out(pretrained: Any, tiny: dict[str, Any]) -> None:
    """More are no hindrance, nor are those of other data, nor a backbone that was trained on none."""
    for held, told in ((0.2, "was trained with validate 0.2"), ("none", "was trained on all of them")):
        with pytest.raises(RotnetError, match=rf"validate: 0.3 of the training images.*{told}.*with validate=0.3 or more"):
            ProbeConfig.build(tiny | {"backbone": pretrained(validate=held).name, "validate": 0.3})
    validated = {"backbone": pretrained(validate=0.2).name}
    assert ProbeConfig.build(tiny | validated | {"validate": 0.1}).validate == 0.1
    assert ProbeConfig.build(tiny | validated | {"validate": "none"}).validate is None
    assert ProbeConfig.build(tiny | validated | {"dataset": "shapes:1"}).validate == 0.2
    assert ProbeConfig.build(tiny | validated | {"dataset": "shapes:1", "validate": 0.4}).validate == 0.4
    assert ProbeConfig.build(tiny | {"backbone": "random", "arch": "nin3", "validate": 0.4}).validate == 0.4

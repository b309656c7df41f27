"""Backbones whose weights end below their arch's last layer, as a pretext task may leave them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.pretext import TASKS
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.runs.directory import MODEL, RunDirectory
from rotnet_lib.stages.finetune import FinetuneConfig, finetune
from rotnet_lib.stages.inspection import InspectConfig, inspect_backbone
from rotnet_lib.stages.probe import ProbeConfig, probe
from rotnet_lib.training.checkpoints import load_backbone
from tests.weights import fresh, put_weights

Pretrained = Callable[..., RunDirectory]

SMALL: dict[str, Any] = {"dataset": "shapes", "train_size": 40, "test_size": 20, "device": "cpu"}
TRAINED: dict[str, Any] = SMALL | {"epochs": 1, "batch_size": 16, "classifier": "linear"}


@pytest.fixture
def run(pretrained: Pretrained) -> Iterator[RunDirectory]:
    """A NIN of four blocks, of which the task takes two."""

    @TASKS.register("half")
    class Half(Rotation):
        def make_module(self, backbone: Backbone, data: Dataset) -> nn.Module:
            backbone.cut_after("conv2")
            return super().make_module(backbone, data)

    yield pretrained(arch="nin4", task="half")
    TASKS.remove("half")


def test_the_layers_there_are_can_be_probed(run: RunDirectory) -> None:
    outcome = probe(ProbeConfig.build(TRAINED | {"backbone": run.name, "layer": "conv1,conv2"}))
    assert outcome.result.metrics.keys() == {"conv1_top1", "conv2_top1"}


def test_the_layers_there_are_can_be_trained_on(run: RunDirectory) -> None:
    outcome = finetune(FinetuneConfig.build(TRAINED | {"backbone": run.name, "layer": "conv2", "lr": 0.0}))
    after, before = load_backbone(outcome.directory.path / MODEL), load_backbone(run.path / MODEL)
    assert after.taps == before.taps == ("conv1", "conv2")
    assert all(torch.equal(a, b) for a, b in zip(after.parameters(), before.parameters(), strict=True))


def test_a_classifier_may_stand_for_the_layers_that_are_missing(run: RunDirectory) -> None:
    outcome = probe(ProbeConfig.build(TRAINED | {"backbone": run.name, "layer": "conv2", "classifier": "rest"}))
    assert outcome.result.metrics.keys() == {"conv2_top1"}


@pytest.mark.parametrize(
    ("layer", "lacking"), [("conv4", "conv4"), ("conv1,conv3,conv4", "conv3, conv4"), ("all", "conv3, conv4")]
)
def test_a_layer_that_the_weights_do_not_have_is_named_with_those_they_have(
    run: RunDirectory, layer: str, lacking: str
) -> None:
    ends = rf"^probe: the weights in {run.path / MODEL} end at conv2, and have no {lacking}\. Layers there: conv1, conv2\. Use"
    with pytest.raises(RotnetError, match=ends):
        probe(ProbeConfig.build(TRAINED | {"backbone": run.name, "layer": layer}))


def test_finetuning_a_layer_that_the_weights_do_not_have_is_refused(run: RunDirectory) -> None:
    with pytest.raises(
        RotnetError, match=r"finetune: the weights in .* end at conv2, and have no conv3\. Layers there: conv1, "
    ):
        finetune(FinetuneConfig.build(TRAINED | {"backbone": run.name, "layer": "conv3"}))


def test_it_is_inspected_with_the_layers_there_are(run: RunDirectory) -> None:
    chosen = SMALL | {"backbone": run.name, "images": (0,), "shown": 1}
    assert inspect_backbone(InspectConfig.build(chosen)).layers == ("conv1", "conv2")
    with pytest.raises(RotnetError, match=r"inspect: the weights in .* have no conv4"):
        inspect_backbone(InspectConfig.build(chosen | {"layer": "conv4"}))


def test_it_is_shown_beside_another_with_the_layers_there_are(run: RunDirectory, pretrained: Pretrained) -> None:
    whole = pretrained(arch="nin3")
    found = inspect_backbone(InspectConfig.build(SMALL | {"backbone": whole.name, "compare": run.name, "images": (0,)}))
    assert [tuple(look.attention) for look in found.looks] == [("conv1", "conv2", "conv3"), ("conv1", "conv2")]


def test_newest_is_the_newest_whose_weights_have_the_layers(pretrained: Pretrained) -> None:
    whole = pretrained(arch="nin4", seed=1)
    run = put_weights(pretrained(arch="nin4"), fresh("nin4", last="conv2"))  # later
    assert ProbeConfig.build({"layer": "conv2"}).backbone == run.name
    assert ProbeConfig.build({"layer": "conv1,conv3"}).backbone == whole.name
    assert ProbeConfig.build({"layer": "all"}).backbone == whole.name
    assert InspectConfig.build({"layer": "all"}).backbone == run.name  # all that it has


def test_where_no_weights_have_the_layer_newest_says_which_command_makes_some(run: RunDirectory) -> None:
    with pytest.raises(RotnetError, match=r"no finished pretext run in 'runs' has layer conv3 \(1 finished runs looked at\)"):
        ProbeConfig.build({"layer": "conv3"})


def test_newest_passes_over_damaged_weights_and_says_so(pretrained: Pretrained, capsys: pytest.CaptureFixture[str]) -> None:
    whole = pretrained(arch="nin4", seed=1)
    damaged = pretrained(arch="nin4").path / MODEL
    damaged.write_bytes(damaged.read_bytes()[:50])
    assert ProbeConfig.build({"layer": "conv2"}).backbone == whole.name
    assert f"passed over: damaged checkpoint {damaged}: " in capsys.readouterr().out

"""A backbone whose weights end at conv5 on VOC: fc6 and fc7 start afresh, and the page says so."""

import copy
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.folding import fold
from rotnet_lib.models.rescaling import rescale_by_data
from rotnet_lib.report.voc_preparation import preparation_sentence, preparation_summary
from rotnet_lib.runs.directory import MODEL, RunDirectory
from rotnet_lib.training.checkpoints import load_tensors
from rotnet_lib.voc.classification_config import ClassificationConfig
from rotnet_lib.voc.detection_config import DetectionConfig
from rotnet_lib.voc.new_layers import complete
from rotnet_lib.voc.preparation import PreparationRecord, prepare
from rotnet_lib.voc.segmentation_config import SegmentationConfig
from rotnet_lib.voc.stages import classify, detect, segment
from rotnet_lib.voc.transfer import PREPARATION
from tests.weights import fresh, put_weights

IMAGES = torch.randint(0, 256, (6, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
SMALL: dict[str, Any] = {"train_size": 4, "test_size": 2, "iterations": 2, "batch_size": 2, "workers": 0, "device": "cpu"}
DETECTION = {"dataset": "scenes:64", "proposals": "rpn", "train_scales": (64,), "test_scale": 64}
STAGES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "classification": (classify, ClassificationConfig, {"dataset": "scenes:64", "image_size": 48, "crops": 2}),
    "detection": (detect, DetectionConfig, DETECTION | {"engine": "torchvision"}),
    "detectron2": (detect, DetectionConfig, DETECTION | {"engine": "detectron2"}),
    "segmentation": (segment, SegmentationConfig, {"dataset": "scenes:64", "image_size": 64}),
}

TASKS = [
    pytest.param(name, marks=pytest.mark.skipif(name == "detectron2" and not find_spec(name), reason="needs detectron2"))
    for name in STAGES
]


def cut(last: str = "conv5") -> Backbone:
    backbone = fresh("alexnet", last=last)
    rescale_by_data(backbone, IMAGES)
    return backbone.eval()


def run_of(task: str, backbone: str, **values: Any) -> Any:
    function, schema, own = STAGES[task]
    return function(schema.build(SMALL | own | {"backbone": backbone} | values))


# --- The layers ---


def test_new_layers_are_as_folded_ones_and_start_as_the_transfer_tasks_new_layers_do() -> None:
    backbone = cut()
    whole, new = complete(backbone, seed=3)
    assert new == ("fc6", "fc7")
    assert backbone.taps[-1] == "conv5"
    folded = fold(whole)
    assert folded.state_dict().keys() == fold(fresh("alexnet").eval()).state_dict().keys()
    for name, spread in (("fc6", 0.02), ("fc7", 0.02)):
        [layer] = [layer for layer in whole.blocks[name].modules() if isinstance(layer, nn.Linear)]
        assert layer.weight.std().item() == pytest.approx(0.01, rel=spread)
        assert layer.weight.mean().item() == pytest.approx(0, abs=1e-4)
        assert layer.bias is not None
        assert not layer.bias.any()
        assert layer.weight.requires_grad
        assert not any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in whole.blocks[name].modules())
    assert torch.equal(whole.features(IMAGES, ["conv5"])["conv5"], backbone(IMAGES))


def test_new_layers_are_a_function_of_the_seed_alone() -> None:
    one, again, other = (complete(cut(), seed)[0].state_dict() for seed in (0, 0, 1))
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    later = complete(cut("fc6"), 0)[0].state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    for name in ("blocks.fc6.2.weight", "blocks.fc7.1.weight"):
        assert torch.equal(one[name], again[name])
        assert not torch.equal(one[name], other[name])
    assert torch.equal(one["blocks.fc7.1.weight"], later["blocks.fc7.1.weight"])


def test_a_whole_backbone_is_taken_as_it_is() -> None:
    backbone = fresh("alexnet")
    assert complete(backbone, 0) == (backbone, ())


def test_only_what_is_missing_is_new() -> None:
    backbone = cut("fc6")
    whole, new = complete(backbone, 0)
    assert new == ("fc7",)
    assert torch.equal(whole.features(IMAGES, ["fc6"])["fc6"], backbone(IMAGES))


# --- Prepared ---


def test_new_layers_are_rescaled_with_the_others() -> None:
    prepared = prepare(cut(), IMAGES, rescale=True, seed=0)
    record = prepared.record
    assert record.fresh == ("fc6", "fc7")
    assert [layer.name for layer in record.layers] == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"]
    found = [layer.after for layer in record.layers]
    assert max(found) / min(found) < 1.02
    assert record.layers[-1].scale != 1
    assert PreparationRecord.model_validate_json(record.model_dump_json()) == record


def test_without_rescaling_they_stay_as_drawn() -> None:
    backbone = cut()
    prepared = prepare(backbone, IMAGES, rescale=False, seed=7)
    drawn, found = complete(backbone, 7)[0].state_dict(), prepared.backbone.state_dict()
    for name in ("blocks.fc6.2.weight", "blocks.fc6.2.bias", "blocks.fc7.1.weight", "blocks.fc7.1.bias"):
        assert torch.equal(found[name], drawn[name])


def test_a_record_from_before_there_were_any_is_of_the_backbones_own() -> None:
    old = json.dumps({"images": 6, "fold_error": 1e-6, "layers": []})
    record = PreparationRecord.model_validate_json(old)
    assert record.fresh == ()
    assert preparation_sentence(record).endswith("The weights were not rescaled. fc6 and fc7 are the backbone's own.")


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (("fc6", "fc7"), "fc6 and fc7 started afresh, from N(0, 0.01): the backbone's weights do not have them."),
        (("fc7",), "fc7 started afresh, from N(0, 0.01): the backbone's weights do not have it."),
    ],
)
def test_the_page_says_which_layers_are_new(new: tuple[str, ...], told: str) -> None:
    record = PreparationRecord(images=6, fold_error=2e-6, layers=(), fresh=new)
    assert preparation_sentence(record).endswith(f"The weights were not rescaled. {told}")


# --- The stages ---


@pytest.mark.parametrize("task", TASKS)
def test_a_backbone_that_ends_at_conv5_is_trained_on(task: str, pretrained: Callable[..., RunDirectory]) -> None:
    run = put_weights(pretrained(arch="alexnet", image_size=64), cut(), 64)
    outcome = run_of(task, run.name)
    outcome.save()
    assert outcome.preparation.fresh == ("fc6", "fc7")
    assert "fc6 and fc7 started afresh" in str(preparation_summary(outcome.preparation).data)
    assert outcome.history["train_loss"].notna().all()
    shown = run_of(task, run.name)
    assert shown.preparation == outcome.preparation
    assert shown.result.metrics == outcome.result.metrics


@pytest.mark.parametrize("task", TASKS)
def test_the_same_seed_gives_the_same_start(task: str, pretrained: Callable[..., RunDirectory]) -> None:
    run = put_weights(pretrained(arch="alexnet", image_size=64), cut(), 64)

    def start(seed: int, runs: str) -> dict[str, torch.Tensor]:
        still = {"lr": 0.0, "lr_milestones": (), "iterations": 1, "weight_decay": 0.0}
        outcome = run_of(task, str(run.path), seed=seed, runs=runs, **still)
        tensors, _ = load_tensors(outcome.directory.path / MODEL)
        return tensors

    one, again, other = start(0, "one"), start(0, "again"), start(1, "one")
    assert one.keys() == again.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in one.items())
    new = [name for name, tensor in one.items() if ("fc6" in name or "fc7" in name) and tensor.dim() > 1]
    assert len(new) == 2
    assert not any(torch.equal(one[name], other[name]) for name in new)


@pytest.mark.parametrize("task", TASKS)
def test_a_backbone_that_ends_below_conv5_is_refused_before_anything_takes_long(
    task: str, pretrained: Callable[..., RunDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = put_weights(pretrained(arch="alexnet", image_size=64), cut("conv4"), 64)
    _, schema, _ = STAGES[task]
    monkeypatch.setattr(schema, "prepare_data", lambda *_: pytest.fail("the data are read"))
    there = r"end at conv4, and have no conv5\. Layers there: conv1, .*, conv4\. Use"
    with pytest.raises(RotnetError, match=rf"^{schema.stage}: the weights in {run.path / MODEL} {there}"):
        run_of(task, run.name)


def test_newest_may_end_at_conv5_but_not_below(pretrained: Callable[..., RunDirectory]) -> None:
    below = pretrained(arch="alexnet", image_size=64, seed=1)
    ending = put_weights(pretrained(arch="alexnet", image_size=64), cut(), 64)
    put_weights(below, cut("conv4"), 64)
    pretrained(arch="nin5")  # has a conv5 too, and nothing above it
    assert ClassificationConfig.build({"dataset": "scenes:64"}).backbone == ending.name


def test_a_whole_backbone_gives_what_it_gave(pretrained: Callable[..., RunDirectory]) -> None:
    """With fc6 and fc7 of its own, whatever there is for backbones without."""
    whole = cut("fc7")
    run = put_weights(pretrained(arch="alexnet", image_size=64), copy.deepcopy(whole), 64)
    outcome = run_of("classification", run.name, rescale=False, lr=0.0, weight_decay=0.0)
    tensors, _ = load_tensors(outcome.directory.path / MODEL)
    for name, tensor in fold(whole).state_dict().items():
        assert torch.equal(tensors[f"backbone.{name}"], tensor)
    assert json.loads(Path(outcome.directory.path / PREPARATION).read_text())["fresh"] == []

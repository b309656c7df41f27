"""A backbone of another kind of input than RGB on VOC: prepared, trained, padded with what is nothing to it."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch

from rotnet_lib.data.voc.sets import open_voc
from rotnet_lib.models.folding import fold
from rotnet_lib.models.inputs import INPUTS
from rotnet_lib.models.rescaling import rescale_by_data
from rotnet_lib.runs.directory import MODEL, RunDirectory
from rotnet_lib.training.checkpoints import load_tensors
from rotnet_lib.voc.classification_config import ClassificationConfig
from rotnet_lib.voc.detection_config import DetectionConfig
from rotnet_lib.voc.detector import pad_together
from rotnet_lib.voc.preparation import prepare
from rotnet_lib.voc.segmentation import SegmentationTask
from rotnet_lib.voc.segmentation_config import SegmentationConfig
from rotnet_lib.voc.stages import classify, detect, segment
from tests.weights import fresh, put_weights

IMAGES = torch.randint(0, 256, (6, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
SMALL: dict[str, Any] = {
    "dataset": "scenes:64",
    "train_size": 4,
    "test_size": 2,
    "iterations": 2,
    "batch_size": 2,
    "workers": 0,
    "device": "cpu",
}


def test_it_is_prepared(luminance: str) -> None:
    backbone = fresh("alexnet", inputs=luminance)
    rescale_by_data(backbone, IMAGES)
    prepared = prepare(backbone.eval(), IMAGES, rescale=True, seed=0)
    assert [layer.name for layer in prepared.record.layers] == list(backbone.taps)
    with torch.no_grad():
        before, after = backbone(IMAGES), prepared.backbone(IMAGES)
    share = (after * before).sum() / before.square().sum()
    torch.testing.assert_close(after, share * before, rtol=1e-3, atol=1e-4 * after.abs().max().item())


DETECTION = {"proposals": "rpn", "train_scales": (64,), "test_scale": 64}
NEEDS_DETECTRON2 = pytest.mark.skipif(not find_spec("detectron2"), reason="needs detectron2")


@pytest.mark.parametrize(
    ("stage", "schema", "own"),
    [
        pytest.param(classify, ClassificationConfig, {"image_size": 48, "crops": 2, "trained": "all"}, id="classification"),
        pytest.param(detect, DetectionConfig, DETECTION | {"engine": "torchvision"}, id="torchvision"),
        pytest.param(detect, DetectionConfig, DETECTION | {"engine": "detectron2"}, id="detectron2", marks=NEEDS_DETECTRON2),
        pytest.param(segment, SegmentationConfig, {"image_size": 64}, id="segmentation"),
    ],
)
@pytest.mark.parametrize(
    ("arch", "last", "kind"), [("alexnet", "conv5", "lab-l"), ("alexnet", "fc7", "lab"), ("alexnet-split", "conv5", "lab")]
)
def test_it_is_trained_on(
    stage: Any, schema: Any, own: dict[str, Any], arch: str, last: str, kind: str, pretrained: Callable[..., RunDirectory]
) -> None:
    backbone = fresh(arch, last=last, inputs=kind)
    rescale_by_data(backbone, IMAGES)
    run = put_weights(pretrained(arch=arch, image_size=64), backbone, 64)
    outcome = stage(schema.build(SMALL | own | {"backbone": run.name}))
    outcome.save()
    tensors, _ = load_tensors(outcome.directory.path / MODEL)
    assert [tensor.shape for name, tensor in tensors.items() if "conv1.0.weight" in name] == [
        (backbone.shape("conv1", 64)[0], INPUTS[kind].channels, 11, 11)
    ]
    assert outcome.history["train_loss"].notna().all()


def test_images_padded_together_are_padded_with_nothing(luminance: str) -> None:
    backbone = fold(fresh("alexnet", inputs=luminance).eval())
    padded = pad_together([IMAGES[0], IMAGES[1, :, :40, :50]], backbone)
    assert padded.shape == (2, 1, 64, 64)
    assert torch.equal(padded[1, :, :40, :50], backbone.normalize(IMAGES[1:2, :, :40, :50])[0])
    assert not padded[1, :, 40:].any()
    assert not padded[1, :, :, 50:].any()


def test_the_rest_of_a_segmentation_crop_has_the_mean_colour(luminance: str) -> None:
    """In RGB, as the images are: what the network makes of it is nothing."""
    config = SegmentationConfig.build(SMALL | {"backbone": "random", "width": 0.05, "image_size": 128, "scales": (0.5, 0.5)})
    backbone = fold(fresh("alexnet", inputs=luminance).eval())
    voc = open_voc("scenes:64", "segmentation", 2, 2)
    image, truth = SegmentationTask(backbone, config, voc).sample(0, np.random.default_rng(0))
    assert image.shape == (3, 128, 128)
    beside = image.permute(1, 2, 0)[truth == 255]
    assert (beside == torch.tensor([120, 110, 100], dtype=torch.uint8)).all(1).float().mean() > 0.9
    assert backbone.normalize(torch.tensor([120, 110, 100]).view(1, 3, 1, 1)).abs().item() < 1e-6

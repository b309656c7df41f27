"""detectron2's detector against torchvision's, which is tested against plain arithmetic. Needs detectron2, but for one test."""

import copy
import importlib
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.folding import fold
from rotnet_lib.seeds import seeded
from rotnet_lib.voc import detector_settings as settings
from rotnet_lib.voc.detector import make_detector
from rotnet_lib.voc.detector_settings import ENGINES
from rotnet_lib.voc.torchvision_engine import TorchvisionDetector
from tests.weights import fresh

CLASSES = 4


def test_without_detectron2_both_remedies_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, ENGINES["detectron2"], raising=False)
    monkeypatch.setitem(sys.modules, "detectron2", None)
    with pytest.raises(RotnetError, match=r"engine=detectron2.*'detectron2'.*`make detectron2`.*engine=torchvision"):
        make_detector("detectron2", fold(make_backbone("alexnet", width=0.01, mean=(0,) * 3, std=(1,) * 3).eval()), 1, config())


@pytest.fixture
def engine() -> ModuleType:
    pytest.importorskip("detectron2")
    return importlib.import_module(ENGINES["detectron2"])


def config(**values: Any) -> Any:
    return SimpleNamespace(**{"proposals": "selective-search", "rois": 32, "dropout": 0.0, "test_scale": 128} | values)


def plain(**values: Any) -> Any:
    with seeded(0):
        backbone = fold(make_backbone("alexnet", width=0.05, mean=(120, 110, 100), std=(60, 61, 62)).eval())
        return make_detector("detectron2", backbone, CLASSES, config(**values))


def pair(**values: Any) -> tuple[Any, TorchvisionDetector]:
    """A detector of each engine with the same weights."""
    with seeded(0):
        backbone: Backbone = fold(make_backbone("alexnet", width=0.05, mean=(120, 110, 100), std=(60, 61, 62)).eval())
        ours: Any = make_detector("torchvision", copy.deepcopy(backbone), CLASSES, config(**values))
        theirs: Any = make_detector("detectron2", backbone, CLASSES, config(**values))
    predictor, wanted = ours.heads.box_predictor, theirs.model.roi_heads.box_predictor
    with torch.no_grad():
        wanted.bbox_pred.weight.mul_(4000)  # shifts that matter
        wanted.cls_score.weight.mul_(400)
        # Here the background comes first and has shifts of its own, there it is last and has none.
        predictor.scores.weight.copy_(wanted.cls_score.weight.roll(1, 0))
        predictor.scores.bias.copy_(wanted.cls_score.bias.roll(1, 0))
        predictor.shifts.weight[4:] = wanted.bbox_pred.weight
        predictor.shifts.bias[4:] = wanted.bbox_pred.bias
    return theirs, ours


def batch() -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
    """Images of two sizes, boxes, labels, proposals: near the boxes and elsewhere."""
    draw = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=draw) for size in ((120, 160), (100, 90))]
    boxes = [torch.tensor([[10.0, 20, 90, 100], [60, 10, 150, 60]]), torch.tensor([[5.0, 5, 60, 80]])]
    proposals = []
    for of_image in boxes:
        near = of_image.repeat(10, 1) + 12 * torch.rand(10 * len(of_image), 4, generator=draw)
        corners = 40 * torch.rand(40, 2, generator=draw)
        proposals.append(torch.cat([near, torch.cat([corners, corners + 20 + 25 * torch.rand(40, 2, generator=draw)], 1)]))
    return images, boxes, [torch.tensor([1, 3]), torch.tensor([0])], proposals


@torch.no_grad()
def test_both_engines_score_and_shift_proposals_alike(engine: ModuleType) -> None:
    theirs, ours = pair()
    images, _, _, proposals = batch()
    model = theirs.eval().model
    inputs = theirs._inputs(images, proposals)
    features = model.backbone(model.preprocess_image(inputs).tensor)["conv5"]
    expected, _ = ours.eval()._features(images)
    torch.testing.assert_close(features, expected)
    boxes = [described["proposals"].proposal_boxes for described in inputs]
    heads = model.roi_heads
    scores, shifts = heads.box_predictor(heads.box_head(heads.box_pooler([features], boxes)))
    own_scores, own_shifts = ours.score(expected, proposals)
    assert scores.std() > 0.1
    torch.testing.assert_close(scores.roll(1, 1), own_scores)
    together = torch.cat(proposals)
    decoded = heads.box_predictor.box2box_transform.apply_deltas(shifts, together).unflatten(1, (-1, 4))
    own = ours.heads.box_coder.decode(own_shifts, proposals)[:, 1:]
    assert (decoded - together[:, None]).abs().max() > 1
    torch.testing.assert_close(decoded, own, rtol=1e-4, atol=1e-3)


def test_both_engines_detect_alike(engine: ModuleType) -> None:
    theirs, ours = pair()
    images, _, _, proposals = batch()
    for found, expected in zip(theirs.eval().detect(images, proposals), ours.eval().detect(images, proposals), strict=True):
        assert len(found.boxes) > 3
        torch.testing.assert_close(found.scores, expected.scores)
        assert torch.equal(found.labels, expected.labels)
        torch.testing.assert_close(found.boxes, expected.boxes, rtol=1e-4, atol=1e-3)


def test_both_engines_lose_alike_where_every_region_is_used(engine: ModuleType) -> None:
    theirs, ours = pair(rois=1000)
    terms, expected = theirs.train().loss(*batch()), ours.train().loss(*batch())
    assert set(terms) == set(expected) == {"classes", "boxes"}
    for name in terms:
        assert terms[name] > 0.01
        torch.testing.assert_close(terms[name], expected[name], rtol=1e-4, atol=1e-5)


def test_the_backbones_own_layers_are_trained_and_each_is_saved_once(engine: ModuleType) -> None:
    backbone = fold(make_backbone("alexnet", width=0.05, mean=(120,) * 3, std=(60,) * 3).eval())
    backbone.blocks["conv1"].requires_grad_(False)
    made: Any = make_detector("detectron2", backbone, CLASSES, config())
    torch.stack(list(made.train().loss(*batch()).values())).sum().backward()
    for name, parameter in backbone.named_parameters():
        assert (parameter.grad is None) == name.startswith("blocks.conv1."), name
    new = made.model.roi_heads.box_predictor.state_dict()
    expected = [*backbone.state_dict().values(), *new.values()]
    assert sum(tensor.numel() for tensor in made.state_dict().values()) == sum(tensor.numel() for tensor in expected)


def test_new_layers_start_as_the_settings_say(engine: ModuleType) -> None:
    predictor = plain().model.roi_heads.box_predictor
    for layer, std in ((predictor.cls_score, settings.CLASS_STD), (predictor.bbox_pred, settings.BOX_STD)):
        assert layer.weight.std().item() == pytest.approx(std, rel=0.1)
        assert not layer.bias.any()


@pytest.mark.parametrize("proposals", ["selective-search", "rpn"])
def test_some_steps_learn(proposals: str, engine: ModuleType) -> None:
    made = plain(proposals=proposals).train()
    images, boxes, labels, regions = batch()
    optimizer = torch.optim.SGD(made.parameters(), lr=0.02, momentum=0.9)
    losses = []
    for step in range(25):
        with seeded(step):
            terms = made.loss(images, boxes, labels, None if proposals == "rpn" else regions)
        loss = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert set(terms) == {"classes", "boxes"} | ({"rpn_objects", "rpn_boxes"} if proposals == "rpn" else set())
    assert losses[-1] < 0.8 * losses[0]
    found = made.eval().detect(images, None if proposals == "rpn" else regions)
    assert all(of_image.boxes.isfinite().all() for of_image in found)


def test_no_region_is_no_detection(engine: ModuleType) -> None:
    theirs, _ = pair()
    images, *_ = batch()
    for found in theirs.eval().detect(images, [torch.zeros(0, 4)] * 2):
        assert (found.boxes.shape, found.scores.shape, found.labels.shape) == ((0, 4), (0,), (0,))


def test_importing_it_again_is_no_error(engine: ModuleType) -> None:
    again = importlib.reload(engine)
    backbone = fold(make_backbone("alexnet", width=0.05, mean=(120,) * 3, std=(60,) * 3).eval())
    assert again.make_detector(backbone, CLASSES, config()).train().loss(*batch())


def test_detectron2_builds_it_from_the_config_alone(engine: ModuleType) -> None:
    from detectron2.modeling import build_model

    backbone = fold(make_backbone("alexnet", width=0.05, mean=(120,) * 3, std=(60,) * 3).eval())
    model = build_model(engine.detectron2_config(backbone, CLASSES, config()))
    assert {type(model.backbone).__name__, type(model.roi_heads.box_head).__name__} == {"AlexNetTrunk", "AlexNetHead"}
    proposals = engine.Instances((96, 96), proposal_boxes=engine.Boxes(torch.tensor([[0.0, 0, 50, 50]])))
    (found,) = model.eval()([{"image": torch.zeros(3, 96, 96), "proposals": proposals}])
    assert found["instances"].scores.isfinite().all()


def test_it_is_quiet(engine: ModuleType, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder) -> None:
    from torch.fx import _symbolic_trace

    _symbolic_trace.is_fx_tracing_warning.cache_clear()
    plain().eval().detect(batch()[0], batch()[3])
    plain(proposals="rpn").train().loss(*batch()[:3], None)
    assert not caplog.records
    assert not recwarn.list


def test_a_backbone_of_one_channel_is_detected_with(engine: ModuleType, luminance: str) -> None:
    backbone = fold(fresh("alexnet", inputs=luminance).eval())
    made: Any = make_detector("detectron2", backbone, CLASSES, config())
    assert made.model.pixel_mean.shape == (1, 1, 1)
    torch.stack(list(made.train().loss(*batch()).values())).sum().backward()
    assert made.model.backbone.blocks["conv1"][0].weight.grad.shape[1] == 1

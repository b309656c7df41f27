"""Fast R-CNN through torchvision: its parts against plain arithmetic."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_iou

from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.folding import fold
from rotnet_lib.voc.detector import anchor_sizes, make_detector, pad_together
from rotnet_lib.voc.detector_settings import ENGINES
from rotnet_lib.voc.torchvision_engine import TorchvisionDetector

CLASSES = 4


def config(**values: Any) -> Any:
    return SimpleNamespace(**{"proposals": "selective-search", "rois": 16, "dropout": 0.5, "test_scale": 128} | values)


@pytest.fixture
def backbone() -> Backbone:
    torch.manual_seed(0)
    return fold(make_backbone("alexnet", width=0.05, mean=(128,) * 3, std=(60,) * 3).eval())


def detector(backbone: Backbone, **values: Any) -> TorchvisionDetector:
    torch.manual_seed(1)
    made = make_detector("torchvision", backbone, CLASSES, config(**values))
    assert isinstance(made, TorchvisionDetector)
    return made


def batch() -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
    """Images of two sizes, boxes, labels, proposals near the boxes and elsewhere."""
    draw = torch.Generator().manual_seed(2)
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=draw) for size in ((128, 160), (150, 130))]
    boxes = [torch.tensor([[10.0, 10, 60, 70], [80, 20, 120, 100]]), torch.tensor([[30.0, 40, 100, 90]])]
    proposals = []
    for of_image in boxes:
        near = of_image.repeat(20, 1) + 12 * torch.rand(20 * len(of_image), 4, generator=draw)
        corner = 60 * torch.rand(60, 2, generator=draw)
        elsewhere = torch.cat([corner, corner + 10 + 50 * torch.rand(60, 2, generator=draw)], 1)
        proposals.append(torch.cat([near, elsewhere]))
    return images, boxes, [torch.tensor([0, 3]), torch.tensor([2])], proposals


def test_the_engines_are_known_by_name():
    assert sorted(ENGINES) == ["detectron2", "torchvision"]


def test_new_layers_are_small_and_the_backbone_is_in_the_state_once(backbone):
    made = detector(backbone)
    state = made.state_dict()
    assert state["heads.box_predictor.scores.weight"].std() == pytest.approx(0.01, rel=0.1)
    assert state["heads.box_predictor.shifts.weight"].std() == pytest.approx(0.001, rel=0.1)
    assert not state["heads.box_predictor.scores.bias"].any()
    assert not state["heads.box_predictor.shifts.bias"].any()
    assert {name for name in state if name.startswith("backbone.")} == {f"backbone.{name}" for name in backbone.state_dict()}
    assert len(state) == len(backbone.state_dict()) + 4


def test_padding_is_the_mean_colour_below_and_to_the_right(backbone):
    images, *_ = batch()
    padded = pad_together(images, backbone)
    assert padded.shape == (2, 3, 150, 160)
    assert torch.equal(padded[0, :, :128], backbone.normalize(images[0][None])[0])
    assert torch.equal(padded[1, :, :, :130], backbone.normalize(images[1][None])[0])
    assert not padded[0, :, 128:].any()
    assert not padded[1, :, :, 130:].any()


def test_scores_of_a_region_are_those_of_the_layers_one_by_one(backbone):
    made = detector(backbone).eval()
    image = batch()[0][0]
    maps = image[None]
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5"):
        maps = backbone.blocks[name](backbone.normalize(maps) if name == "conv1" else maps)
    # 16 and 96 pixels are the cells 1 and 6, both of which belong to the region: 6 x 6, nothing to pool.
    pooled = maps[0, :, 1:7, 1:7]
    weight = dict(backbone.named_parameters())
    hidden = F.relu(F.linear(pooled.flatten()[None], weight["blocks.fc6.2.weight"], weight["blocks.fc6.2.bias"]))
    hidden = F.relu(F.linear(hidden, weight["blocks.fc7.1.weight"], weight["blocks.fc7.1.bias"]))
    scores, shifts = made.score(maps, [torch.tensor([[16.0, 16, 96, 96]])])
    assert torch.allclose(scores, made.heads.box_predictor.scores(hidden), atol=1e-5)
    assert torch.allclose(shifts, made.heads.box_predictor.shifts(hidden), atol=1e-5)


def test_loss_is_fast_rcnns_formula_on_the_sampled_regions(backbone, monkeypatch):
    made = detector(backbone, dropout=0.0)
    images, boxes, labels, proposals = batch()
    with torch.no_grad():  # shifts that matter
        made.heads.box_predictor.shifts.weight.mul_(100)
    seen: dict[str, Any] = {}
    score = made.score

    def watched(features: Tensor, regions: list[Tensor]) -> tuple[Tensor, Tensor]:
        seen["regions"], seen["answers"] = regions, score(features, regions)
        return seen["answers"]

    monkeypatch.setattr(made, "score", watched)
    terms = made.loss(images, boxes, labels, proposals)
    sampled, (scores, shifts) = seen["regions"], seen["answers"]
    classes = shift = 0.0
    place = 0
    for of_image, objects, kinds in zip(sampled, boxes, labels, strict=True):
        assert len(of_image) == 16
        overlaps = box_iou(of_image, objects)
        assert (overlaps.amax(1) >= 0.1).all()  # what overlaps less is not used
        foreground = (overlaps.amax(1) >= 0.5).sum()
        assert foreground == 4  # a quarter
        for region, overlap in zip(of_image, overlaps, strict=True):
            nearest = int(overlap.argmax())
            answer = 1 + int(kinds[nearest]) if overlap[nearest] >= 0.5 else 0
            classes -= F.log_softmax(scores[place], 0)[answer].item()
            if answer:
                left, top, right, bottom = region.tolist()
                to_left, to_top, to_right, to_bottom = objects[nearest].tolist()
                width, height = right - left, bottom - top
                goal = torch.tensor(
                    [
                        10 * ((to_left + to_right) / 2 - (left + right) / 2) / width,
                        10 * ((to_top + to_bottom) / 2 - (top + bottom) / 2) / height,
                        5 * torch.tensor((to_right - to_left) / width).log(),
                        5 * torch.tensor((to_bottom - to_top) / height).log(),
                    ]
                )
                error = (shifts[place, 4 * answer : 4 * answer + 4] - goal).abs()
                shift += torch.where(error < 1, error**2 / 2, error - 0.5).sum().item()
            place += 1
    assert place == 32
    assert terms["classes"].item() == pytest.approx(classes / 32, rel=1e-4)
    assert terms["boxes"].item() == pytest.approx(shift / 32, rel=1e-4)
    assert terms["boxes"] > 0.01


def test_objects_themselves_are_among_the_regions(backbone):
    images, boxes, labels, _ = batch()
    nothing = [torch.tensor([[120.0, 100, 128, 120]]) for _ in images]
    terms = detector(backbone, dropout=0.0).loss(images, boxes, labels, nothing)
    assert terms["classes"] > 0
    assert terms["boxes"].isfinite()


def test_detections_are_the_decoded_boxes_of_sure_regions(backbone):
    made = detector(backbone).eval()
    images, *_ = batch()
    with torch.no_grad():
        made.heads.box_predictor.scores.bias[3] = 2.0  # class 2
        made.heads.box_predictor.scores.bias[0] = 4.0
        made.heads.box_predictor.shifts.weight.zero_()
        made.heads.box_predictor.shifts.bias[12:14] = torch.tensor([1.0, -2.0])  # a tenth right, a fifth up
    region = torch.tensor([[20.0, 40.0, 60.0, 90.0]])
    twice = torch.tensor([[21.0, 40.0, 61.0, 90.0]])
    beyond = torch.tensor([[100.0, 2.0, 129.0, 42.0]])
    found = made.detect(images[1:], [torch.cat([region, twice, beyond])])[0]
    best = found.boxes[found.labels == 2]
    assert len(best) == 2  # of the two that overlap one is left
    expected = torch.tensor([[24.0, 30.0, 64.0, 80.0], [25.0, 30.0, 65.0, 80.0]])
    assert any(torch.allclose(box, one, atol=1e-3) for box in best for one in expected)
    assert any(torch.allclose(box, torch.tensor([102.9, 0, 130, 34]), atol=1e-3) for box in best)  # within its image
    assert (found.scores[found.labels == 2] > 0.1).all()
    assert (found.scores.diff() <= 0).all()
    assert (found.scores > 0.01).all()


def test_at_most_100_detections_an_image(backbone):
    made = detector(backbone).eval()
    images, *_ = batch()
    corners = 16 * torch.cartesian_prod(torch.arange(8.0), torch.arange(8.0))
    apart = torch.cat([corners, corners + 12], 1)  # 64 regions, in each of which any of 4 classes is as likely
    found = made.detect(images, [apart, apart[:10]])
    assert [len(of_image.scores) for of_image in found] == [100, 40]


def test_an_image_in_a_batch_is_found_the_same_as_alone_but_for_its_border(backbone):
    made = detector(backbone).eval()
    images, _, _, proposals = batch()
    together, alone = made.detect([images[0], images[0]], [proposals[0]] * 2), made.detect(images[:1], proposals[:1])
    assert torch.allclose(together[1].boxes, alone[0].boxes, atol=1e-3)


def test_region_proposal_network_trains_along(backbone):
    made = detector(backbone, proposals="rpn")
    images, boxes, labels, _ = batch()
    terms = made.loss(images, boxes, labels, None)
    assert sorted(terms) == ["boxes", "classes", "rpn_boxes", "rpn_objects"]
    torch.stack(list(terms.values())).sum().backward()
    assert all(parameter.grad is not None for parameter in made.rpn.parameters())
    assert all(of_image.boxes.shape[1] == 4 for of_image in made.eval().detect(images, None))


def test_anchors_follow_the_scale_of_test_images():
    assert anchor_sizes(config(test_scale=600)) == pytest.approx((60, 120, 240, 480))

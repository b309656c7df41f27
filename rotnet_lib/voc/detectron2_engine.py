"""Fast R-CNN by detectron2. Importing this file imports detectron2, so it is imported where it is used.

With the same weights and RoIs it computes the same as torchvision's engine. Anchors of an RPN differ by at most half a pixel,
since torchvision rounds them.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.folding import fold
from rotnet_lib.models.inputs import INPUTS
from rotnet_lib.voc import detector_settings as settings
from rotnet_lib.voc.detector import Detections, Detector, DetectorConfig, anchor_sizes

try:
    with warnings.catch_warnings():
        # detectron2 compiles two of its classes with a function that torch has deprecated.
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
        from detectron2 import modeling
        from detectron2.config import CfgNode, get_cfg
        from detectron2.layers import ShapeSpec
        from detectron2.structures import Boxes, Instances
        from detectron2.utils.events import EventStorage
except ModuleNotFoundError as error:
    raise RotnetError(
        f"engine=detectron2: there is no module '{error.name}' here. `make detectron2` compiles detectron2 (minutes); "
        "engine=torchvision trains the same network without it."
    ) from None

# detectron2's RoI pooler checks for tracing in a way that torch advises against, and torch logs that once.
logging.getLogger("torch.fx._symbolic_trace").addFilter(lambda record: "is_fx_tracing will return true" not in str(record.msg))

_RPN_BETA = 1 / 9
"""Error above which the RPN's box loss is linear: torchvision's value, which cannot be changed there."""


def make_detector(backbone: Backbone, classes: int, config: DetectorConfig) -> Detector:
    """See `detector_settings.make_detector`."""
    return Detectron2Detector(backbone, classes, config)


class AlexNetTrunk(modeling.Backbone):
    """conv1..conv5 of a folded AlexNet as detectron2's backbone `AlexNetTrunk`; normalised images in, {"conv5": map} out."""

    def __init__(self, cfg: CfgNode, input_shape: ShapeSpec) -> None:
        super().__init__()
        made = _layers(cfg)
        self.blocks = nn.ModuleDict({name: made.blocks[name] for name in settings.TRUNK})
        channels = made.shape(settings.TRUNK[-1], made.min_image_size)[0]
        self._shape = {settings.TRUNK[-1]: ShapeSpec(channels=channels, stride=settings.STRIDE)}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        for block in self.blocks.values():
            x = block(x)
        return {settings.TRUNK[-1]: x}

    def output_shape(self) -> dict[str, ShapeSpec]:
        return self._shape


class AlexNetHead(nn.Module):
    """fc6 and fc7, each followed by dropout, as detectron2's box head `AlexNetHead`: pooled RoIs (R, C, 6, 6) to (R, D)."""

    def __init__(self, cfg: CfgNode, input_shape: ShapeSpec) -> None:
        super().__init__()
        made = _layers(cfg)
        self.blocks = nn.ModuleDict({name: made.blocks[name] for name in settings.HEAD})
        self.dropout = nn.Dropout(cfg.MODEL.ALEXNET.DROPOUT)
        self.output_shape = ShapeSpec(channels=made.shape(settings.HEAD[-1], made.min_image_size)[0])

    def forward(self, pooled: Tensor) -> Tensor:
        for block in self.blocks.values():
            pooled = self.dropout(block(pooled))
        return pooled.flatten(1)


for _registry, _part in ((modeling.BACKBONE_REGISTRY, AlexNetTrunk), (modeling.ROI_BOX_HEAD_REGISTRY, AlexNetHead)):
    if _part.__name__ not in _registry:  # importing this file again, as notebooks do, is no error
        _registry.register(_part)


def detectron2_config(backbone: Backbone, classes: int, config: DetectorConfig) -> CfgNode:
    """detectron2's config of the detector, from which `modeling.build_model` builds one with fresh weights."""
    cfg = get_cfg()
    model, heads, rpn = cfg.MODEL, cfg.MODEL.ROI_HEADS, cfg.MODEL.RPN
    conv5 = settings.TRUNK[-1]
    given = config.proposals != "rpn"
    model.ALEXNET = CfgNode({"ARCH": backbone.arch, "WIDTH": backbone.width, "DROPOUT": config.dropout})
    model.DEVICE = "cpu"
    model.LOAD_PROPOSALS = given
    # Images arrive normalised, so the zeros that they are padded with are the mean colour.
    channels = INPUTS[backbone.inputs].channels
    cfg.INPUT.FORMAT, model.PIXEL_MEAN, model.PIXEL_STD = "RGB", [0.0] * channels, [1.0] * channels
    model.BACKBONE.NAME = AlexNetTrunk.__name__
    model.PROPOSAL_GENERATOR.NAME = "PrecomputedProposals" if given else "RPN"
    model.ANCHOR_GENERATOR.SIZES = [list(anchor_sizes(config))]
    model.ANCHOR_GENERATOR.ASPECT_RATIOS = [list(settings.RPN_RATIOS)]
    rpn.IN_FEATURES = [conv5]
    rpn.IOU_THRESHOLDS = list(settings.RPN_IOU)
    rpn.BATCH_SIZE_PER_IMAGE, rpn.POSITIVE_FRACTION = settings.RPN_ANCHORS, settings.RPN_POSITIVE_SHARE
    rpn.NMS_THRESH, rpn.SMOOTH_L1_BETA = settings.RPN_NMS_IOU, _RPN_BETA
    rpn.PRE_NMS_TOPK_TRAIN = rpn.PRE_NMS_TOPK_TEST = settings.RPN_BEFORE_NMS
    rpn.POST_NMS_TOPK_TRAIN, rpn.POST_NMS_TOPK_TEST = (settings.RPN_AFTER_NMS[when] for when in ("training", "testing"))
    heads.NAME, heads.NUM_CLASSES, heads.IN_FEATURES = "StandardROIHeads", classes, [conv5]
    heads.BATCH_SIZE_PER_IMAGE, heads.POSITIVE_FRACTION = config.rois, settings.FOREGROUND_SHARE
    # In the order of the RoI's largest IoU: not used, background, object.
    heads.IOU_THRESHOLDS, heads.IOU_LABELS = [settings.BACKGROUND_IOU[0], settings.FOREGROUND_IOU], [-1, 0, 1]
    heads.SCORE_THRESH_TEST, heads.NMS_THRESH_TEST = settings.MIN_SCORE, settings.NMS_IOU
    box = model.ROI_BOX_HEAD
    box.NAME, box.POOLER_TYPE, box.POOLER_RESOLUTION = AlexNetHead.__name__, "ROIPool", settings.POOLED
    box.BBOX_REG_WEIGHTS, box.SMOOTH_L1_BETA = settings.BOX_WEIGHTS, settings.SMOOTH_L1_BETA
    cfg.TEST.DETECTIONS_PER_IMAGE = settings.MOST_DETECTIONS
    return cfg


class Detectron2Detector(Detector):
    """detectron2's `GeneralizedRCNN` with `StandardROIHeads`, built from a config, with the backbone's layers put in.

    detectron2 initialises the new layers as Fast R-CNN does, as `detector_settings.CLASS_STD` and `BOX_STD` say.
    """

    def __init__(self, backbone: Backbone, classes: int, config: DetectorConfig) -> None:
        super().__init__()
        self.normalize = backbone.normalize
        self.model: Any = modeling.build_model(detectron2_config(backbone, classes, config))
        for part, names in ((self.model.backbone, settings.TRUNK), (self.model.roi_heads.box_head, settings.HEAD)):
            for name in names:
                part.blocks[name] = backbone.blocks[name]

    def loss(
        self, images: list[Tensor], boxes: list[Tensor], labels: list[Tensor], proposals: list[Tensor] | None
    ) -> dict[str, Tensor]:
        inputs = self._inputs(images, proposals)
        for described, box, label in zip(inputs, boxes, labels, strict=True):
            described["instances"] = Instances(_size(described), gt_boxes=Boxes(box), gt_classes=label)
        with EventStorage(), _without_advice():  # its layers report to an event storage
            terms = self.model(inputs)
        names = {"loss_rpn_cls": "rpn_objects", "loss_rpn_loc": "rpn_boxes", "loss_cls": "classes", "loss_box_reg": "boxes"}
        return {own: terms[theirs] for theirs, own in names.items() if theirs in terms}

    @torch.no_grad()
    def detect(self, images: list[Tensor], proposals: list[Tensor] | None) -> list[Detections]:
        with _without_advice():
            found = self.model.inference(self._inputs(images, proposals), do_postprocess=False)
        return [Detections(one.pred_boxes.tensor, one.scores, one.pred_classes) for one in found]

    def _inputs(self, images: list[Tensor], proposals: list[Tensor] | None) -> list[dict[str, Any]]:
        """detectron2's description of each image."""
        inputs: list[dict[str, Any]] = [{"image": self.normalize(image[None])[0]} for image in images]
        if proposals is not None:
            for described, proposed in zip(inputs, proposals, strict=True):
                # It needs a score with each proposal, but does not use it.
                described["proposals"] = Instances(
                    _size(described), proposal_boxes=Boxes(proposed), objectness_logits=proposed.new_zeros(len(proposed))
                )
        return inputs


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silences torch's warning about the way detectron2 makes anchors."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.meshgrid: in an upcoming release", UserWarning)
        yield


def _layers(cfg: CfgNode) -> Backbone:
    """A fresh AlexNet with folded batch norms, whose layers the parts take."""
    asked = cfg.MODEL.ALEXNET
    return fold(make_backbone(asked.ARCH, width=asked.WIDTH, mean=(0,) * 3, std=(1,) * 3).eval())


def _size(described: dict[str, Any]) -> tuple[int, int]:
    """Height and width of an image."""
    height, width = described["image"].shape[1:]
    return height, width

"""Fast R-CNN by torchvision, which is always installed."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import RoIPool, box_iou

from rotnet_lib.models.backbone import Backbone
from rotnet_lib.voc import detector_settings as settings
from rotnet_lib.voc.detector import Detections, Detector, DetectorConfig, anchor_sizes, pad_together


def make_detector(backbone: Backbone, classes: int, config: DetectorConfig) -> Detector:
    """See `detector_settings.make_detector`."""
    return TorchvisionDetector(backbone, classes, config)


class TorchvisionDetector(Detector):
    """The backbone's layers with torchvision's matching, sampling, box coder and non-maximum suppression.

    Two parts are not torchvision's: the lower limit of the background's IoU, which it does not have; and the box loss, which
    in torchvision is linear above an error of 1/9.
    """

    def __init__(self, backbone: Backbone, classes: int, config: DetectorConfig) -> None:
        super().__init__()
        self.backbone = backbone
        channels = backbone.shape(settings.TRUNK[-1], max(backbone.min_image_size, 64))[0]
        self.rpn = _rpn(channels, config) if config.proposals == "rpn" else None
        self.heads = _Heads(
            RoIPool(settings.POOLED, 1 / settings.STRIDE),
            _Head(backbone, config.dropout),
            _Predictor(_outputs(backbone.blocks[settings.HEAD[-1]]), classes),
            fg_iou_thresh=settings.FOREGROUND_IOU,
            bg_iou_thresh=settings.BACKGROUND_IOU[1],
            batch_size_per_image=config.rois,
            positive_fraction=settings.FOREGROUND_SHARE,
            bbox_reg_weights=settings.BOX_WEIGHTS,
            score_thresh=settings.MIN_SCORE,
            nms_thresh=settings.NMS_IOU,
            detections_per_img=settings.MOST_DETECTIONS,
        )

    def loss(
        self, images: list[Tensor], boxes: list[Tensor], labels: list[Tensor], proposals: list[Tensor] | None
    ) -> dict[str, Tensor]:
        features, sizes = self._features(images)
        # In torchvision label 0 is the background.
        targets = [{"boxes": box, "labels": label + 1} for box, label in zip(boxes, labels, strict=True)]
        proposals, losses = self._propose(features, sizes, targets, proposals)
        sampled, _, found, goals = self.heads.select_training_samples(proposals, targets)
        scores, shifts = self.score(features, sampled)
        return losses | _fast_rcnn_loss(scores, shifts, torch.cat(found), torch.cat(goals))

    @torch.no_grad()
    def detect(self, images: list[Tensor], proposals: list[Tensor] | None) -> list[Detections]:
        features, sizes = self._features(images)
        proposals, _ = self._propose(features, sizes, None, proposals)
        scores, shifts = self.score(features, proposals)
        found = self.heads.postprocess_detections(scores, shifts, proposals, sizes)
        return [Detections(box, score, label - 1) for box, score, label in zip(*found, strict=True)]

    def score(self, features: Tensor, proposals: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Class scores before the softmax (R, 1 + classes), background first, and box shifts (R, 4 * (1 + classes)).

        Args:
            features: conv5's maps (N, C, H', W').
            proposals: of each image (m, 4); R is their number in all.
        """
        scores, shifts = self.heads.box_predictor(self.heads.box_head(self.heads.box_roi_pool(features, proposals)))
        return scores, shifts

    def _features(self, images: list[Tensor]) -> tuple[Tensor, list[tuple[int, int]]]:
        """conv5's maps (N, C, H', W') of the batch, and each image's (height, width) in pixels."""
        x = pad_together(images, self.backbone)
        for name in settings.TRUNK:
            x = self.backbone.blocks[name](x)
        return x, [(int(image.shape[1]), int(image.shape[2])) for image in images]

    def _propose(
        self,
        features: Tensor,
        sizes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None,
        proposals: list[Tensor] | None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The proposals that were given, or the RPN's with the terms of its loss."""
        if self.rpn is None:
            assert proposals is not None, "without a region proposal network the detector is given proposals"
            return proposals, {}
        # The RPN reads only the size of the padded batch.
        height, width = (max(size[side] for size in sizes) for side in (0, 1))
        batch = ImageList(features.new_zeros(()).expand(len(sizes), 3, height, width), sizes)
        found, losses = self.rpn(batch, {"conv5": features}, targets)
        return found, {"rpn_objects": losses["loss_objectness"], "rpn_boxes": losses["loss_rpn_box_reg"]} if losses else {}


class _Heads(RoIHeads):
    """torchvision's heads, with a lower limit of the background's IoU."""

    def assign_targets_to_proposals(
        self, proposals: list[Tensor], gt_boxes: list[Tensor], gt_labels: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        matched, labels = super().assign_targets_to_proposals(proposals, gt_boxes, gt_labels)
        for label, proposal, objects in zip(labels, proposals, gt_boxes, strict=True):
            label[box_iou(objects, proposal).amax(0) < settings.BACKGROUND_IOU[0]] = -1  # the sampler ignores these
        return matched, labels


class _Head(nn.Module):
    """fc6 and fc7, each followed by dropout: pooled RoIs (R, C, 6, 6) to (R, D)."""

    def __init__(self, backbone: Backbone, dropout: float) -> None:
        super().__init__()
        self.backbone = [backbone]  # in a list, so that its layers are not registered twice in the detector
        self.dropout = nn.Dropout(dropout)

    def forward(self, pooled: Tensor) -> Tensor:
        for name in settings.HEAD:
            pooled = self.dropout(self.backbone[0].blocks[name](pooled))
        return pooled.flatten(1)


class _Predictor(nn.Module):
    """The new layers: features (R, D) to class scores (R, 1 + C) and box shifts (R, 4 * (1 + C))."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.scores = nn.Linear(features, 1 + classes)
        self.shifts = nn.Linear(features, 4 * (1 + classes))
        for layer, std in ((self.scores, settings.CLASS_STD), (self.shifts, settings.BOX_STD)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.scores(features), self.shifts(features)


def _fast_rcnn_loss(scores: Tensor, shifts: Tensor, labels: Tensor, goals: Tensor) -> dict[str, Tensor]:
    """Cross-entropy over all RoIs; smooth L1 of the foreground's shifts for its class, divided by the number of RoIs.

    Args:
        scores: (R, 1 + C).
        shifts: (R, 4 * (1 + C)), multiplied by `BOX_WEIGHTS`.
        labels: (R,) int64, 0 the background.
        goals: (R, 4), the true shifts; ignored for background.
    """
    objects = torch.where(labels > 0)[0]
    of_class = shifts.unflatten(1, (-1, 4))[objects, labels[objects]]
    boxes = F.smooth_l1_loss(of_class, goals[objects], beta=settings.SMOOTH_L1_BETA, reduction="sum") / len(labels)
    return {"classes": F.cross_entropy(scores, labels), "boxes": boxes}


def _rpn(channels: int, config: DetectorConfig) -> RegionProposalNetwork:
    """Faster R-CNN's RPN on conv5, with anchors of 4 sizes and 3 shapes in each cell."""
    anchors = AnchorGenerator((anchor_sizes(config),), (settings.RPN_RATIOS,))
    return RegionProposalNetwork(
        anchors,
        RPNHead(channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=settings.RPN_IOU[1],
        bg_iou_thresh=settings.RPN_IOU[0],
        batch_size_per_image=settings.RPN_ANCHORS,
        positive_fraction=settings.RPN_POSITIVE_SHARE,
        pre_nms_top_n={"training": settings.RPN_BEFORE_NMS, "testing": settings.RPN_BEFORE_NMS},
        post_nms_top_n=settings.RPN_AFTER_NMS,
        nms_thresh=settings.RPN_NMS_IOU,
    )


def _outputs(block: nn.Module) -> int:
    """The number of features that a fully connected block outputs."""
    return next(layer.out_features for layer in block.modules() if isinstance(layer, nn.Linear))

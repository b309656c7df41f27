"""The detector, its training samples, and its detections in the test images."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from rotnet_lib.data.pool import in_workers, worker_count
from rotnet_lib.data.voc.proposals import Proposals
from rotnet_lib.data.voc.sets import VocSet
from rotnet_lib.data.voc.split import VocSplit
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.seeds import seeded
from rotnet_lib.voc.detection_config import DetectionConfig
from rotnet_lib.voc.detection_scores import Found, ProposalsRecord, evaluate, write_detections, write_proposals_record
from rotnet_lib.voc.detector import make_detector
from rotnet_lib.voc.task import Evaluation, VocTask

FIXED = "conv1"
"""The block that stays fixed."""


def evaluate_detection(config: DetectionConfig, voc: VocSet, directory: Path) -> Evaluation:
    """Mean average precision of the detections in a run's directory: see `detection_scores.evaluate`."""
    return evaluate(config.engine, voc, directory)


Sample = dict[str, Tensor]
"""`image` (3, H, W) uint8, `boxes` (n, 4) float32 and `labels` (n,) int64 of its objects, `proposals` (m, 4) float32."""


class DetectionTask(VocTask):
    """A detector and its training samples.

    Raises RotnetError if the engine or OpenCV is not installed, or an image has no proposals.
    """

    def __init__(self, backbone: Backbone, config: DetectionConfig, voc: VocSet) -> None:
        self.config = config
        self.voc = voc
        backbone.blocks[FIXED].requires_grad_(False)
        with seeded(config.seed, "weights"):
            self.module = self.detector = make_detector(config.engine, backbone, len(voc.classes), config)
        self._proposals = config.find_proposals(voc.train, voc)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        objects = self.voc.train.objects(index)
        scale = int(rng.choice(self.config.train_scales))
        image, factors = resize(self.voc.train.image(index), scale, self.config.train_max_side)
        boxes = {"boxes": objects.boxes[~objects.difficult] * factors}
        if self._proposals:
            boxes["proposals"] = self._proposals.of(index) * factors
        if rng.random() < 0.5:
            image = image[:, ::-1]
            boxes = {name: flip(of, image.shape[1]) for name, of in boxes.items()}
        labels = torch.from_numpy(objects.labels[~objects.difficult])
        return {"image": to_tensor(image), "labels": labels} | {name: torch.from_numpy(of) for name, of in boxes.items()}

    def collate(self, samples: list[Sample]) -> dict[str, list[Tensor]]:
        return {name: [sample[name] for sample in samples] for name in samples[0]}

    def loss(self, batch: dict[str, list[Tensor]]) -> dict[str, Tensor]:
        return self.detector.loss(batch["image"], batch["boxes"], batch["labels"], batch.get("proposals"))

    def parameter_groups(self) -> list[dict[str, Any]]:
        weights, biases = super().parameter_groups()
        return [weights, biases | {"weight_decay": 0.0}]

    def predict(self, device: torch.device, directory: Path) -> None:
        proposals = self.config.find_proposals(self.voc.test, self.voc)
        write_proposals_record(directory, ProposalsRecord.of(self._proposals, proposals))
        write_detections(directory, self.voc, self._found(device, proposals))

    def _found(self, device: torch.device, proposals: Proposals | None) -> Iterator[Found]:
        """The detections of each test image, in the pixels of the stored image."""
        work = _Reader(self.voc.test, proposals, self.config.test_scale, self.config.test_max_side)
        count, workers = len(self.voc.test), worker_count(self.config.workers)
        self.module.eval()
        bar = tqdm(desc="detecting", total=count, unit=" images", mininterval=0.5)
        with bar, closing(in_workers(work, range(count), workers)) as read:
            for image, boxes, factors in read:
                given = None if boxes is None else [torch.from_numpy(boxes).to(device)]
                found = self.detector.detect([torch.from_numpy(image).to(device)], given)[0]
                yield Found(found.boxes.cpu().numpy() / factors, found.scores.cpu().numpy(), found.labels.cpu().numpy())
                bar.update()


@dataclass(frozen=True)
class _Reader:
    """A worker's job: a resized test image (3, H, W), its proposals in the resized image, and the factors of the resizing."""

    split: VocSplit
    proposals: Proposals | None
    scale: int
    max_side: int

    def __call__(self, index: int) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        image, factors = resize(self.split.image(index), self.scale, self.max_side)
        boxes = self.proposals.of(index) * factors if self.proposals else None
        return to_tensor(image).numpy(), boxes, factors


def resize(image: np.ndarray, scale: int, max_side: int) -> tuple[np.ndarray, np.ndarray]:
    """Resize an image (H, W, 3) to a shorter side of `scale` pixels, or less if the longer one would exceed `max_side`.

    Returns:
        The image, and (4,) float32 to multiply boxes by.
    """
    height, width = image.shape[:2]
    factor = min(scale / min(height, width), max_side / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    resized = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    return resized, np.array([size[0] / width, size[1] / height] * 2, np.float32)


def flip(boxes: np.ndarray, width: int) -> np.ndarray:
    """Boxes (n, 4) of an image of that width after a horizontal flip of the image."""
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)


def to_tensor(image: np.ndarray) -> Tensor:
    """(H, W, 3) to (3, H, W), with memory of its own."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))

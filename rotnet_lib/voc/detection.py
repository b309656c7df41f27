"""The detection stage: its config, training samples, and predictions on the test images."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor
from tqdm import tqdm

from rotnet_lib.data.pool import in_workers, worker_count
from rotnet_lib.data.voc.proposals import Proposals, find_proposals
from rotnet_lib.data.voc.sets import VocSet, VocTaskName
from rotnet_lib.data.voc.split import VocSplit
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.runs.config import EXPERIMENT
from rotnet_lib.seeds import seeded
from rotnet_lib.stages.register import stage
from rotnet_lib.voc.config import VocConfig
from rotnet_lib.voc.detection_scores import Found, ProposalsRecord, evaluate, write_detections, write_proposals_record
from rotnet_lib.voc.detector_settings import EngineName, ProposalsName, default_engine, make_detector
from rotnet_lib.voc.task import Evaluation, VocTask
from rotnet_lib.voc.transfer import VocOutcome, transfer

FIXED = "conv1"
"""The block that stays fixed."""

Scale = Annotated[int, Field(ge=32)]


class DetectionConfig(VocConfig):
    """Fast R-CNN on a backbone, VOC 2007 trainval -> test (docs/protocol.md, "PASCAL VOC"; tables 7 and 8).

    conv1 is fixed, conv2 to fc7 are trained, as in the FeatureDecoupling code's `train.prototxt`; biases have twice the
    learning rate and no weight decay. A batch is 2 images with 64 RoIs each, at most a quarter of them foreground. The shorter
    side of a training image is resized to a size drawn from `train_scales`, of a test image to `test_scale`; training images
    are flipped with probability 0.5. Objects marked difficult are not trained on; images with no others are left out.
    """

    stage: ClassVar[str] = "voc_detection"
    task: ClassVar[VocTaskName] = "detection"

    engine: EngineName = Field(
        None,  # type: ignore[arg-type]
        description="detectron2 or torchvision; None: detectron2 where it is installed",
        json_schema_extra=EXPERIMENT,
    )
    proposals: ProposalsName = Field(
        "selective-search",
        description="selective-search, or rpn: a region proposal network trained along (not published)",
    )
    train_scales: tuple[Scale, ...] = Field(
        (480, 576, 688, 864, 1200), min_length=1, description="pixels of a training image's shorter side, one drawn each time"
    )
    test_scale: Scale = Field(600, description="pixels of a test image's shorter side")
    train_max_side: Scale = Field(2000, description="most pixels of a training image's longer side")
    test_max_side: Scale = Field(1000, description="most pixels of a test image's longer side")
    rois: int = Field(64, ge=4, description="regions of an image that one step trains on")

    @classmethod
    def _protocol_values(cls, values: Any) -> dict[str, Any]:
        return super()._protocol_values(values) | {"engine": default_engine()}

    @property
    def side(self) -> int:
        return 224

    @property
    def slug(self) -> str:
        return self.describe(*(["rpn"] if self.proposals == "rpn" else []), self.engine)

    def open_data(self) -> VocSet:
        """The data, its training split without images that have nothing to train on. Prints how many these are."""
        voc = super().open_data()
        kept = tuple(name for index, name in enumerate(voc.train.names) if not voc.train.objects(index).difficult.all())
        if not kept:
            raise RotnetError(f"{self.stage}: no image of the {voc.train.name} split has an object that is not difficult.")
        left_out = len(voc.train) - len(kept)
        if left_out:
            print(f"{left_out} of {len(voc.train)} training images have no object that is not difficult: left out.")
        return replace(voc, train=replace(voc.train, names=kept))

    def prepare_data(self, voc: VocSet) -> None:
        super().prepare_data(voc)
        self.find_proposals(voc.train, voc)
        self.find_proposals(voc.test, voc)

    def find_proposals(self, split: VocSplit, voc: VocSet) -> Proposals | None:
        """The selective search's proposals for a split; None if an RPN proposes.

        They are computed on all cores, whatever `workers` is, since nothing trains at that time.
        """
        return None if self.proposals == "rpn" else find_proposals(split, voc.fingerprint)


@stage(DetectionConfig)
def detect(config: DetectionConfig) -> VocOutcome:
    """The detection stage: see `transfer`."""
    return transfer(config, DetectionTask, evaluate_detection)


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
            for result in read:
                if isinstance(result, RotnetError):
                    raise result
                image, boxes, factors = result
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

    def __call__(self, index: int) -> tuple[np.ndarray, np.ndarray | None, np.ndarray] | RotnetError:
        try:
            image, factors = resize(self.split.image(index), self.scale, self.max_side)
        except RotnetError as error:
            return error  # raised in a worker, it would arrive with the worker's traceback as its message
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

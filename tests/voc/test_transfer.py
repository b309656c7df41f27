"""Around the training of the three VOC stages: what is refused before it begins."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rotnet_lib.data.voc.writing import write_mask, write_scenes
from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.directory import HISTORY, PARAMETERS
from rotnet_lib.voc import transfer
from rotnet_lib.voc.classification_config import ClassificationConfig
from rotnet_lib.voc.detection_config import DetectionConfig
from rotnet_lib.voc.segmentation_config import SegmentationConfig
from rotnet_lib.voc.stages import classify, detect, segment

USUAL: dict[str, Any] = {"backbone": "random", "width": 0.05, "device": "cpu", "workers": 0, "iterations": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """2 training and 2 test scenes; nothing may be trained on them."""
    made = tmp_path / "scenes"
    made.mkdir()
    write_scenes(made, 64, 2, 2)
    yield made
    [run] = (tmp_path / "runs").iterdir()
    assert {path.name for path in run.iterdir()} - {".lock"} == {PARAMETERS}  # training ends with its state on disk


@pytest.mark.parametrize(
    ("run", "schema", "of_task"),
    [
        (detect, DetectionConfig, {"engine": "torchvision"}),
        (detect, DetectionConfig, {"engine": "torchvision", "proposals": "rpn"}),
        (classify, ClassificationConfig, {}),
    ],
    ids=["detection", "rpn", "classification"],
)
def test_a_broken_test_annotation_is_told_before_anything_is_trained(
    folder: Path, run: Any, schema: Any, of_task: dict[str, Any]
) -> None:
    annotation = folder / "Annotations" / "test_000001.xml"
    annotation.write_text(annotation.read_text().replace("</name>", "</nam>"))
    config = schema.build(USUAL | {"dataset": f"voc:{folder}"} | of_task)
    with pytest.raises(RotnetError, match=f"{annotation}, line 11: broken XML"):
        run(config)


def test_a_test_mask_with_unknown_ids_is_told_before_anything_is_trained(folder: Path) -> None:
    mask = folder / "SegmentationClass" / "test_000001.png"
    with Image.open(mask) as file:
        write_mask(mask, np.full(file.size[::-1], 77, np.uint8))
    config = SegmentationConfig.build(USUAL | {"dataset": f"voc:{folder}"})
    with pytest.raises(RotnetError, match=f"{mask} has unknown ids: 77"):
        segment(config)


@pytest.mark.parametrize("lost", [transfer.PREPARATION, HISTORY])
def test_a_finished_run_without_its_files_says_what_to_do(tmp_path: Path, lost: str) -> None:
    small = {"dataset": "scenes:64", "train_size": 2, "test_size": 2, "iterations": 1, "image_size": 48, "crops": 1}
    config = ClassificationConfig.build(USUAL | small)
    outcome = classify(config)
    outcome.save()
    (outcome.directory.path / lost).unlink()
    with pytest.raises(RotnetError, match=f"cannot read .*{lost}, .* finished run: No such file.*Delete .* and run again"):
        classify(config)

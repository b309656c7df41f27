"""`scenes`: files in VOC's layout that say what was drawn, written once."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import VOCDetection, VOCSegmentation

from rotnet_lib.data import shapes
from rotnet_lib.data.shapes.scenes import scene
from rotnet_lib.data.voc import drawn, writing
from rotnet_lib.data.voc.sets import open_voc, voc_fingerprint
from rotnet_lib.data.voc.source import VocTaskName
from rotnet_lib.data.voc.writing import voc_palette, write_scenes

MessageOf = Callable[[Callable[[], object]], str]


@pytest.mark.parametrize("task", ["classification", "detection", "segmentation"])
def test_files_say_what_was_drawn(task: VocTaskName) -> None:
    found = open_voc("scenes:64", task, 9, 5)
    assert found.classes == found.short == shapes.CLASSES
    assert "64 pixels" in found.title
    for split, kind in ((found.train, "train"), (found.test, "test")):
        for index in range(len(split)):
            expected, objects = scene(kind, index, 64), split.objects(index)
            np.testing.assert_array_equal(objects.boxes, expected.boxes)
            np.testing.assert_array_equal(objects.labels, expected.labels)
            np.testing.assert_array_equal(objects.difficult, expected.difficult)
            np.testing.assert_array_equal(split.mask(index), expected.mask)
            difference = split.image(index).astype(float) - expected.image
            assert abs(difference.mean()) < 2
            assert np.abs(difference).mean() < 20  # noise of single pixels is what JPEG leaves out
    assert len(found.train) == 9
    assert len(found.test) == 5


def test_a_larger_set_begins_with_the_smaller() -> None:
    few, many = (open_voc("scenes:64", "detection", count, 2) for count in (3, 6))
    assert many.train.names[:3] == few.train.names
    assert few.fingerprint == many.fingerprint == voc_fingerprint("scenes:64", "segmentation")
    for index in range(3):
        assert few.train.image_path(index).read_bytes() == many.train.image_path(index).read_bytes()
        assert few.train.annotation_path(index).read_bytes() == many.train.annotation_path(index).read_bytes()
    assert voc_fingerprint("scenes:65", "detection") != few.fingerprint
    assert voc_fingerprint("scenes", "detection") == voc_fingerprint("scenes:256", "detection")


def test_unless_told_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn.COUNTS == (1000, 500)
    monkeypatch.setattr(drawn, "COUNTS", (4, 2))
    found = open_voc("scenes:64", "detection")
    assert (len(found.train), len(found.test)) == (4, 2)


def test_others_read_the_files_too(tmp_path: Path) -> None:
    """torchvision's readers, which have their own idea of the layout."""
    folder = open_voc("scenes:64", "detection", 5, 3).train.folder
    (tmp_path / "VOCdevkit").mkdir()
    (tmp_path / "VOCdevkit" / "VOC2007").symlink_to(folder)
    for split, count in (("train", 3), ("val", 2), ("trainval", 5), ("test", 3)):
        assert len(VOCDetection(str(tmp_path), "2007", split)) == len(VOCSegmentation(str(tmp_path), "2007", split)) == count
    image, target = VOCDetection(str(tmp_path), "2007", "test")[1]
    annotation, expected = target["annotation"], scene("test", 1, 64)
    assert (int(annotation["size"]["width"]), int(annotation["size"]["height"])) == image.size
    for found, label, truncated in zip(annotation["object"], expected.labels, expected.truncated, strict=True):
        assert found["name"] == shapes.CLASSES[label]
        assert found["truncated"] == str(int(truncated))
        assert found["pose"] == "Unspecified"
    colours = np.asarray(Image.open(folder / "SegmentationClass" / "test_000001.png").convert("RGB"))
    np.testing.assert_array_equal(colours, voc_palette()[expected.mask])


def test_the_palette_is_voc_s() -> None:
    """The first of the colours that the devkit shows for its classes, and that of the border."""
    palette = voc_palette()
    assert palette[:6].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128], [128, 0, 128]]
    assert palette[[15, 20, 255]].tolist() == [[192, 128, 128], [0, 64, 128], [224, 224, 192]]
    assert palette.dtype == np.uint8


def test_drawing_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "tqdm", fail)
    with pytest.raises(KeyboardInterrupt):
        open_voc("scenes:64", "detection", 3, 3)
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, message_of: MessageOf) -> None:
    (tmp_path / "cache").write_text("a file")
    message = message_of(lambda: open_voc("scenes:64", "detection", 3, 3))
    assert message.startswith(f"cannot keep the drawn scenes in {tmp_path / 'cache'}")
    assert "ROTNET_CACHE" in message


@pytest.mark.parametrize("workers", [0, 2])
def test_files_do_not_hang_on_the_number_of_processes(workers: int, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    write_scenes(tmp_path / "made", 64, 20, 1, workers)
    folder = open_voc("scenes:64", "detection", 20, 1).train.folder
    names = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert len(names) == 3 * 21 + 8 + 1
    for name in names:
        assert (tmp_path / "made" / name).read_bytes() == (folder / name).read_bytes()

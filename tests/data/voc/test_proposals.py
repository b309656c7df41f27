"""Proposals: where they lie, their recall, and that a split is searched once."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from rotnet_lib.data.voc import proposals
from rotnet_lib.data.voc.overlap import iou
from rotnet_lib.data.voc.proposals import find_proposals, selective_search
from rotnet_lib.data.voc.split import VocSplit
from rotnet_lib.errors import RotnetError


def picture(width: int = 96, height: int = 64) -> np.ndarray:
    """A red rectangle, left 20, top 16, right 52, bottom 48, on green."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:] = (30, 160, 60)
    image[16:48, 20:52] = (220, 40, 30)
    return image


def annotate(path: Path, width: int, height: int, *boxes: tuple[int, int, int, int, int]) -> None:
    """Boxes: xmin, ymin, xmax, ymax (from 1, the last pixel's), difficult."""
    objects = "".join(
        f"<object><name>box</name><difficult>{difficult}</difficult><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for left, top, right, bottom, difficult in boxes
    )
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    path.write_text(f"<annotation>{size}{objects}</annotation>")


@pytest.fixture
def split(tmp_path: Path) -> VocSplit:
    """Three pictures: the rectangle is an object; it is a difficult one, besides one where there is nothing; no object."""
    folder = tmp_path / "set"
    for kind in ("JPEGImages", "Annotations"):
        (folder / kind).mkdir(parents=True)
    for name in "abc":
        Image.fromarray(picture()).save(folder / "JPEGImages" / f"{name}.jpg", quality=95)
    annotate(folder / "Annotations/a.xml", 96, 64, (21, 17, 52, 48, 0))
    annotate(folder / "Annotations/b.xml", 96, 64, (21, 17, 52, 48, 1), (61, 2, 66, 7, 0))
    annotate(folder / "Annotations/c.xml", 96, 64)
    return VocSplit(folder, ("box",), "trainval", ("a", "b", "c"))


def test_an_object_is_proposed_at_its_pixel_edges():
    boxes = selective_search(picture())
    assert iou(np.array([[20, 16, 52, 48]]), boxes).max() == 1
    assert boxes.dtype == np.float32
    assert (boxes >= 0).all()
    assert (boxes[:, 2] <= 96).all()
    assert (boxes[:, 3] <= 64).all()
    assert len(np.unique(boxes, axis=0)) == len(boxes)


def test_a_large_image_is_searched_small_and_its_boxes_are_in_its_own_pixels():
    large = picture().repeat(16, 0).repeat(16, 1)  # 1536 x 1024
    boxes = selective_search(large)
    assert iou(16 * np.array([[20, 16, 52, 48]]), boxes).max() > 0.97
    assert boxes[:, 2].max() == pytest.approx(1536)


def test_the_same_boxes_each_time_whatever_was_searched_before():
    first = selective_search(picture())
    selective_search(picture(64, 64))
    assert np.array_equal(selective_search(picture()), first)


def test_small_boxes_are_left_out_and_the_first_kept(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    boxes = selective_search(noise)
    assert (boxes[:, 2:] - boxes[:, :2]).min() >= 96 / 24
    monkeypatch.setattr(proposals, "MOST", 5)
    assert np.array_equal(selective_search(noise), boxes[:5])


def test_recall_counts_objects_that_are_not_difficult(split):
    found = find_proposals(split, "f", workers=0)
    assert found.recall == 0.5
    assert len(found) == 3
    assert found.mean_count == len(found.boxes) / 3
    for index in range(3):
        assert np.array_equal(found.of(index), selective_search(split.image(index)))


def test_no_object_at_all_has_no_recall(split):
    assert np.isnan(find_proposals(VocSplit(split.folder, split.classes, "trainval", ("c",)), "f", workers=0).recall)


def test_a_split_is_searched_once(split, monkeypatch):
    first = find_proposals(split, "f", workers=2)
    monkeypatch.setattr(proposals, "selective_search", lambda image: pytest.fail("searched again"))
    second = find_proposals(split, "f", workers=0)
    assert np.array_equal(first.boxes, second.boxes)
    assert np.array_equal(first.starts, second.starts)
    assert first.recall == second.recall


@pytest.mark.parametrize("workers", [0, 2])
def test_a_search_that_was_killed_goes_on_where_it_was(workers, split, monkeypatch, tmp_path, capsys):
    whole = find_proposals(split, "f", workers=0)
    monkeypatch.setattr(proposals, "PART", 1)
    image = VocSplit.image
    with monkeypatch.context() as patch:
        patch.setattr(VocSplit, "image", lambda self, index: image(self, index) if index < 2 else sys.exit("killed"))
        with pytest.raises(SystemExit):
            find_proposals(split, "g", workers=0)
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 1
    with monkeypatch.context() as patch:
        patch.setattr(
            VocSplit, "image", lambda self, index: image(self, index) if index == 2 else pytest.fail("searched again")
        )
        resumed = find_proposals(split, "g", workers=workers)
    assert "trainval split goes on after 2 of 3 images" in capsys.readouterr().out
    assert np.array_equal(resumed.boxes, whole.boxes)
    assert np.array_equal(resumed.starts, whole.starts)
    assert resumed.recall == whole.recall
    assert not list((tmp_path / "cache").glob("*.parts"))


def test_a_damaged_part_of_a_search_is_named(split, monkeypatch, tmp_path):
    monkeypatch.setattr(proposals, "PART", 1)
    with monkeypatch.context() as patch:
        image = VocSplit.image
        patch.setattr(VocSplit, "image", lambda self, index: image(self, index) if index < 2 else sys.exit("killed"))
        with pytest.raises(SystemExit):
            find_proposals(split, "f", workers=0)
    part = sorted((tmp_path / "cache").glob("*.parts/*.npz"))[1]
    part.write_bytes(part.read_bytes()[:200])
    with pytest.raises(RotnetError, match=rf"the proposals in {part} are damaged .* Delete that file and run again"):
        find_proposals(split, "f", workers=0)


def test_smaller_images_are_searched_faster_and_kept_apart(split, tmp_path):
    large = picture().repeat(6, 0).repeat(6, 1)  # 576 x 384
    assert iou(6 * np.array([[20, 16, 52, 48]]), selective_search(large, 48)).max() > 0.8
    assert not np.array_equal(selective_search(large, 48), selective_search(large))
    find_proposals(split, "f", workers=0)
    find_proposals(split, "f", workers=0, longer_side=48)
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 2


@pytest.mark.parametrize("change", ["fingerprint", "size", "name", "setting", "OpenCV"])
def test_what_differs_is_searched_again(change, split, monkeypatch, tmp_path):
    find_proposals(split, "f", workers=0)
    other = split
    if change == "size":
        other = split.first(2)
    if change == "name":
        other = VocSplit(split.folder, split.classes, "test", split.names)
    if change == "setting":
        monkeypatch.setattr(proposals, "MOST", 5)
    if change == "OpenCV":
        monkeypatch.setattr("cv2.__version__", "0")
    find_proposals(other, "g" if change == "fingerprint" else "f", workers=0)
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_no_proposals_is_an_error_that_names_the_file_and_leaves_nothing(workers, split, tmp_path):
    Image.fromarray(picture(300, 64)[:8]).save(split.image_path(1))  # no box of it is as high as a 24th of its width
    annotate(split.annotation_path(1), 300, 8)
    with pytest.raises(RotnetError, match=r"no proposals in .*/JPEGImages/b\.jpg: .* trainval list, or give proposals=rpn"):
        find_proposals(split, "f", workers)
    assert not list((tmp_path / "cache").glob("*.npz"))


def test_a_wrong_annotation_is_named_with_its_line(split):
    annotate(split.annotation_path(1), 96, 64, (21, 17, 152, 48, 0))
    with pytest.raises(RotnetError, match=r"^\S*/Annotations/b\.xml, line 1: ") as caught:
        find_proposals(split, "f", workers=1)
    assert "Traceback" not in str(caught.value)


def test_a_damaged_cache_is_named(split, tmp_path):
    find_proposals(split, "f", workers=0)
    path = next((tmp_path / "cache").glob("*.npz"))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(RotnetError, match=r"proposals in .*\.npz are damaged .* Delete that file"):
        find_proposals(split, "f", workers=0)


def test_other_boxes_in_the_cache_are_named(split, tmp_path):
    find_proposals(split, "f", workers=0)
    path = next((tmp_path / "cache").glob("*.npz"))
    with np.load(path) as file:
        tables = dict(file)
    tables["boxes"][0, 2] += 1
    np.savez(path, **tables)
    with pytest.raises(RotnetError, match=r"proposals in .*\.npz are damaged \(their checksum is another\)"):
        find_proposals(split, "f", workers=0)


def test_proposals_of_other_images_or_that_are_none_are_named(split, tmp_path):
    found = find_proposals(split, "f", workers=0)
    path = next((tmp_path / "cache").glob("*.npz"))
    boxes, starts = found.boxes, found.starts
    good = {"boxes": boxes, "starts": starts, "counted": np.array([1, 2])}
    for change, says in (
        ({"boxes": boxes * np.float32("nan")}, "boxes that are none"),
        ({"boxes": boxes[:, [2, 1, 0, 3]]}, "boxes that are none"),
        ({"boxes": boxes - 999}, "boxes that are none"),
        ({"boxes": boxes.astype(np.float64)}, "numbers of other types: float64"),
        ({"boxes": boxes.astype(object)}, "Object arrays cannot be loaded"),
        ({"starts": starts[[0, 1, 3]]}, "for 3 images"),
        ({"starts": starts[[0, 1, 1, 3]]}, "an image without boxes"),
        ({"counted": np.array([3, 2])}, "more objects found than there are"),
    ):
        np.savez(path, **(good | change))
        with pytest.raises(RotnetError, match=rf"proposals in {path} are damaged \(.*{says}.*\)\. Delete that file"):
            find_proposals(split, "f", workers=0)
    # Compressed, a small file could fill the memory.
    np.savez_compressed(path, boxes=boxes, starts=starts, counted=good["counted"])
    with pytest.raises(RotnetError, match=rf"proposals in {path} are damaged \(a compressed table\)"):
        find_proposals(split, "f", workers=0)


def test_a_folder_that_cannot_be_written_to_is_named(split, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ROTNET_CACHE", str(tmp_path / "file"))
    with pytest.raises(RotnetError, match=r"cannot keep the proposals in .*/file: .* Set ROTNET_CACHE"):
        find_proposals(split, "f", workers=0)


def test_missing_opencv_says_what_to_install(split, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(RotnetError, match="pip install opencv-contrib-python-headless"):
        find_proposals(split, "f", workers=0)
    plain = ModuleType("cv2")
    plain.__dict__["__version__"] = "5.0"
    monkeypatch.setitem(sys.modules, "cv2", plain)
    with pytest.raises(RotnetError, match=r"\(5\.0\) has no ximgproc.* pip uninstall opencv-python "):
        find_proposals(split, "f", workers=0)

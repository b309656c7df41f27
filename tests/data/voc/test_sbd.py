"""`voc2011-sbd`: SBD's masks for training, seg11valid of VOC 2011 for the test, of tiny sets in the usual layout."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy.io import savemat

from rotnet_lib.cli import main
from rotnet_lib.data.voc.sbd import NAME, read_sbd_mask
from rotnet_lib.data.voc.sets import open_voc, voc_fingerprint
from rotnet_lib.data.voc.source import VocTaskName
from rotnet_lib.errors import RotnetError

WriteVoc = Callable[..., Path]
MessageOf = Callable[[Callable[[], object]], str]

TRAINED_ON = ["2008_000002", "2010_000001", "2008_000008"]


def mask_of(number: int) -> np.ndarray:
    """A mask of 40 x 30 pixels with two classes and a border that does not count."""
    mask = np.zeros((30, 40), np.uint8)
    mask[3 : 20 + number, 5:20] = 1 + number
    mask[10:, 25:] = 20
    mask[0] = 255
    return mask


def save_mask(path: Path, mask: np.ndarray) -> None:
    """A file such as SBD's: the mask beside boundaries of each class."""
    boundaries = np.empty((20, 1), object)
    for place in range(20):
        boundaries[place, 0] = np.zeros(mask.shape, np.uint8)
    savemat(path, {"GTcls": {"Boundaries": boundaries, "Segmentation": mask, "CategoriesPresent": [[20]]}}, do_compression=True)


@pytest.fixture
def sbd(tmp_path: Path) -> Path:
    """SBD with three images to train on, and one that no list of ours names."""
    root = tmp_path / "data" / "benchmark_RELEASE" / "dataset"
    for name in ("img", "cls"):
        (root / name).mkdir(parents=True)
    for number, id_ in enumerate([*TRAINED_ON, "2009_000005"]):
        pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "img" / f"{id_}.jpg")
        save_mask(root / "cls" / f"{id_}.mat", mask_of(number))
    (root / "train.txt").write_text("\n".join(TRAINED_ON))
    (root / "val.txt").write_text("2009_000005\n")
    return root


@pytest.fixture
def voc2011(tmp_path: Path, write_voc: WriteVoc) -> Path:
    """Four images, of which seg11valid lists the last and the second."""
    root = write_voc(tmp_path / "data" / "VOCdevkit" / "VOC2011")
    (root / "ImageSets" / "Segmentation" / "seg11valid.txt").write_text("000004\n000002\n")
    return root


@pytest.fixture
def both(sbd: Path, voc2011: Path) -> tuple[Path, Path]:
    return sbd, voc2011


def test_it_is_trained_on_sbd_and_tested_on_seg11valid(both: tuple[Path, Path]) -> None:
    sbd, voc2011 = both
    found = open_voc(NAME, "segmentation")
    assert (found.train.name, found.train.names) == ("train", tuple(TRAINED_ON))
    assert (found.test.name, found.test.names) == ("seg11valid", ("000004", "000002"))
    assert len(found.classes) == 20
    for index, id_ in enumerate(TRAINED_ON):
        assert np.array_equal(found.train.mask(index), mask_of(index))
        assert np.array_equal(found.train.image(index), np.asarray(Image.open(sbd / "img" / f"{id_}.jpg")))
    for index, id_ in enumerate(found.test.names):
        assert np.array_equal(found.test.mask(index), np.asarray(Image.open(voc2011 / "SegmentationClass" / f"{id_}.png")))
        assert np.array_equal(found.test.image(index), np.asarray(Image.open(voc2011 / "JPEGImages" / f"{id_}.jpg")))


def test_the_masks_are_written_once(both: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_voc(NAME, "segmentation")
    monkeypatch.setattr("rotnet_lib.data.voc.sbd.read_sbd_mask", None)
    assert open_voc(NAME, "segmentation", 2, 1).train.folder == first.train.folder


def test_its_fingerprint_is_of_lists_and_files(both: tuple[Path, Path]) -> None:
    sbd, voc2011 = both
    seen = {voc_fingerprint(NAME, "segmentation"), open_voc(NAME, "segmentation").fingerprint}
    assert len(seen) == 1
    (sbd / "val.txt").write_text("")  # none of its lists
    seen.add(voc_fingerprint(NAME, "segmentation"))
    assert len(seen) == 1
    with (sbd / "cls" / f"{TRAINED_ON[0]}.mat").open("ab") as file:
        file.write(b"longer")
    seen.add(voc_fingerprint(NAME, "segmentation"))
    (sbd / "train.txt").write_text("\n".join(reversed(TRAINED_ON)))
    seen.add(voc_fingerprint(NAME, "segmentation"))
    (voc2011 / "ImageSets" / "Segmentation" / "seg11valid.txt").write_text("000004\n")
    seen.add(voc_fingerprint(NAME, "segmentation"))
    assert len(seen) == 4


def test_data_that_were_moved_are_read_where_they_are(both: tuple[Path, Path], tmp_path: Path, monkeypatch: Any) -> None:
    before = open_voc(NAME, "segmentation")
    shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    monkeypatch.setenv("ROTNET_DATA", str(tmp_path / "elsewhere"))
    found = open_voc(NAME, "segmentation")
    assert found.fingerprint == before.fingerprint
    assert found.train.image(0).shape == found.test.image(0).shape == (30, 40, 3)


@pytest.mark.parametrize("task", ["classification", "detection"])
def test_it_has_masks_alone(both: tuple[Path, Path], task: VocTaskName, message_of: MessageOf) -> None:
    told = message_of(lambda: open_voc(NAME, task))
    assert told.startswith(f"VOC set '{NAME}' is for segmentation, not for {task}. Sets that are: ")
    assert "voc2012" in told
    assert f"not for {task}" in message_of(lambda: voc_fingerprint(NAME, task))


def test_data_brings_it(both: tuple[Path, Path]) -> None:
    result = CliRunner().invoke(main, ["data", NAME])
    assert result.exit_code == 0, result.output
    assert "VOC 2011 with SBD's masks, segmentation: 3 training and 2 test images" in result.output


# --- What is missing or wrong ---


def test_what_is_missing_is_named(tmp_path: Path, voc2011: Path, message_of: MessageOf) -> None:
    train = tmp_path / "data" / "benchmark_RELEASE" / "dataset" / "train.txt"
    told = message_of(lambda: open_voc(NAME, "segmentation"))
    assert told.startswith(f"no {train}. Expected SBD (Hariharan et al. 2011) as its archive unpacks")
    assert "ROTNET_DATA" in told


def test_without_its_list_the_test_split_is_not_guessed(both: tuple[Path, Path], message_of: MessageOf) -> None:
    path = both[1] / "ImageSets" / "Segmentation" / "seg11valid.txt"
    path.unlink()
    assert message_of(lambda: voc_fingerprint(NAME, "segmentation")).startswith(f"no {path}. Expected the list of 736 images")


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("benchmark_RELEASE/dataset/img/2010_000001.jpg", "train.txt, line 2: there is no image "),
        ("benchmark_RELEASE/dataset/cls/2008_000008.mat", "train.txt, line 3: there is no mask "),
        ("VOCdevkit/VOC2011/JPEGImages/000004.jpg", "seg11valid.txt, line 1: there is no image "),
        ("VOCdevkit/VOC2011/SegmentationClass/000002.png", "seg11valid.txt, line 2: there is no mask "),
    ],
)
def test_a_file_that_is_missing_is_named_with_its_line(
    both: tuple[Path, Path], tmp_path: Path, missing: str, told: str, message_of: MessageOf
) -> None:
    (tmp_path / "data" / missing).unlink()
    assert f"{told}{tmp_path / 'data' / missing}, the only one missing" in message_of(lambda: open_voc(NAME, "segmentation"))


def test_no_image_is_trained_on_and_tested_on(both: tuple[Path, Path], message_of: MessageOf) -> None:
    sbd, voc2011 = both
    for source, target in ((sbd / "img", "JPEGImages"), (sbd / "cls", "SegmentationClass")):
        for file in source.iterdir():
            shutil.copy(file, voc2011 / target / file.name.replace(".mat", ".png"))
    (voc2011 / "ImageSets" / "Segmentation" / "seg11valid.txt").write_text(f"000004\n{TRAINED_ON[1]}\n")
    assert f"seg11valid.txt lists {TRAINED_ON[1]}, which {sbd}/train.txt lists too" in message_of(
        lambda: open_voc(NAME, "segmentation")
    )


def test_a_damaged_mask_is_named_and_nothing_is_kept(both: tuple[Path, Path], tmp_path: Path, message_of: MessageOf) -> None:
    path = both[0] / "cls" / f"{TRAINED_ON[1]}.mat"
    content = path.read_bytes()
    path.write_bytes(content[:200] + b"damage" + content[206:])
    assert message_of(lambda: open_voc(NAME, "segmentation")).startswith(f"{path} is damaged (")
    path.write_bytes(content)
    assert np.array_equal(open_voc(NAME, "segmentation").train.mask(1), mask_of(1))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"GTinst": 1}, "is damaged (KeyError: 'GTcls')"),
        ({"GTcls": {"Segmentation": np.zeros((30, 40))}}, "GTcls.Segmentation is float64 of shape (30, 40), not uint8"),
        ({"GTcls": {"Segmentation": np.zeros((30, 40, 3), np.uint8)}}, "GTcls.Segmentation is uint8 of shape (30, 40, 3)"),
        ({"GTcls": {"Segmentation": np.zeros((40, 30), np.uint8)}}, "is 30 x 40 pixels, but its image a.jpg is 40 x 30"),
        ({"GTcls": {"Segmentation": np.full((30, 40), 21, np.uint8)}}, "has unknown ids: [21]. Allowed: 0 to 20, and 255"),
    ],
)
def test_what_is_no_mask_of_the_image_is_refused(tmp_path: Path, content: dict[str, Any], told: str) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg")
    savemat(tmp_path / "a.mat", content)
    with pytest.raises(RotnetError) as error:
        read_sbd_mask(tmp_path / "a.mat", tmp_path / "a.jpg")
    assert str(error.value).startswith(str(tmp_path / "a.mat"))
    assert told in str(error.value)


def test_a_file_of_another_kind_is_no_mask(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg")
    with pytest.raises(RotnetError, match=r"a\.jpg is damaged"):
        read_sbd_mask(tmp_path / "a.jpg", tmp_path / "a.jpg")

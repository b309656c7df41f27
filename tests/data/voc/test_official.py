"""`voc2007` and `voc2012`: from their archives, whole or not at all, or where they lie."""

import hashlib
import json
import tarfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from torchvision.datasets import voc as torchvision_voc

from rotnet_lib.data.voc.sets import open_voc, voc_fingerprint

WriteVoc = Callable[..., Path]
MessageOf = Callable[[Callable[[], object]], str]


@pytest.fixture
def archives(tmp_path: Path, write_voc: WriteVoc, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """VOC 2007's two archives, small, where torchvision keeps what it has downloaded."""
    whole = write_voc(tmp_path / "made" / "VOC2007")
    (tmp_path / "data").mkdir()
    made = []
    for key, pattern in (("2007", "trainval"), ("2007-test", "test")):
        path = tmp_path / "data" / torchvision_voc.DATASET_YEAR_DICT[key]["filename"]
        ids = (whole / "ImageSets" / "Main" / f"{pattern}.txt").read_text().split()
        with tarfile.open(path, "w") as tar:
            for file in sorted(file for file in whole.rglob("*") if file.stem in (*ids, pattern)):
                tar.add(file, f"VOCdevkit/VOC2007/{file.relative_to(whole)}")
        entry = torchvision_voc.DATASET_YEAR_DICT[key] | {"md5": hashlib.md5(path.read_bytes()).hexdigest()}
        monkeypatch.setitem(torchvision_voc.DATASET_YEAR_DICT, key, entry)
        made.append(path)
    return made


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", fail)


def test_both_archives_make_one_set(archives: list[Path], tmp_path: Path) -> None:
    before = [voc_fingerprint("voc2007", task) for task in ("detection", "segmentation")]
    found = open_voc("voc2007", "detection")
    assert found.title == "VOC 2007"
    assert found.train.folder == tmp_path / "data" / "VOCdevkit" / "VOC2007"
    assert (found.train.name, found.test.name) == ("trainval", "test")
    assert found.train.names + found.test.names == ("000001", "000002", "000003", "000004")
    assert found.short[-1] == "tv"
    # What a run is named by before the download names it afterwards.
    assert [voc_fingerprint("voc2007", task) for task in ("detection", "segmentation")] == before
    assert open_voc("voc2007", "segmentation").fingerprint == before[1]
    assert sorted(path.name for path in (tmp_path / "data" / "VOCdevkit").iterdir()) == [".VOC2007.lock", "VOC2007"]


def test_what_was_changed_after_the_download_is_noticed(archives: list[Path]) -> None:
    found = open_voc("voc2007", "detection")
    path = found.train.annotation_path(0)
    path.write_text(path.read_text().replace("<xmin>3", "<xmin>2"))
    assert voc_fingerprint("voc2007", "detection") != found.fingerprint
    assert voc_fingerprint("voc2007", "segmentation") == found.fingerprint  # needs no annotation


def test_a_copy_is_taken_as_it_lies(tmp_path: Path, write_voc: WriteVoc, no_network: None) -> None:
    root = write_voc(tmp_path / "data" / "VOCdevkit" / "VOC2007")
    assert len(open_voc("voc2007", "detection").train) == 2
    assert not (root / "rotnet-download.json").exists()
    assert "official" not in voc_fingerprint("voc2007", "detection")


def test_2012_is_tested_on_val(tmp_path: Path, write_voc: WriteVoc) -> None:
    root = write_voc(tmp_path / "data" / "VOCdevkit" / "VOC2012")
    for kind in ("Main", "Segmentation"):
        for split, other in (("train", "trainval"), ("val", "test")):
            (root / "ImageSets" / kind / f"{split}.txt").write_text((root / "ImageSets" / kind / f"{other}.txt").read_text())
    found = open_voc("voc2012", "segmentation")
    assert (found.title, found.train.name, found.test.name) == ("VOC 2012", "train", "val")


def test_without_a_network_the_error_says_what_to_put_where(tmp_path: Path, no_network: None, message_of: MessageOf) -> None:
    message = message_of(lambda: open_voc("voc2012", "detection"))
    assert message.startswith(f"no voc2012 in {tmp_path / 'data'} and it could not be downloaded")
    assert "`rotnet data voc2012`" in message
    assert f"{tmp_path}/data/VOCdevkit/VOC2012/{{JPEGImages,Annotations,SegmentationClass,ImageSets}}" in message
    assert "DATASET=scenes needs no data." in message
    assert [path.name for path in (tmp_path / "data" / "VOCdevkit").iterdir()] == [".VOC2012.lock"]


def test_a_damaged_archive_leaves_nothing_behind(
    archives: list[Path], tmp_path: Path, no_network: None, message_of: MessageOf
) -> None:
    archives[1].write_bytes(archives[1].read_bytes()[:5000])
    assert "could not be downloaded" in message_of(lambda: open_voc("voc2007", "detection"))
    assert [path.name for path in (tmp_path / "data" / "VOCdevkit").iterdir()] == [".VOC2007.lock"]


def test_trainval_alone_names_the_other_archive(tmp_path: Path, write_voc: WriteVoc, message_of: MessageOf) -> None:
    root = write_voc(tmp_path / "data" / "VOCdevkit" / "VOC2007")
    (root / "ImageSets" / "Main" / "test.txt").unlink()
    message = message_of(lambda: open_voc("voc2007", "detection"))
    assert message.startswith(f"no list {root}/ImageSets/Main/test.txt")
    assert "VOCtest_06-Nov-2007.tar" in message
    assert message == message_of(lambda: voc_fingerprint("voc2007", "detection"))


def test_a_record_of_another_download_is_no_proof(archives: list[Path], tmp_path: Path) -> None:
    found = open_voc("voc2007", "detection")
    record = found.train.folder / "rotnet-download.json"
    assert set(json.loads(record.read_text())) == {"Main", "Segmentation"}
    record.write_text("{}")
    assert voc_fingerprint("voc2007", "detection") != found.fingerprint

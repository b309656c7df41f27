"""Sets by name: their splits by task, their classes, what is wrong with their lists, and what their fingerprints notice."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from rotnet_lib.data.voc import lists
from rotnet_lib.data.voc.classes import VOC_CLASSES
from rotnet_lib.data.voc.sets import open_voc, voc_fingerprint
from rotnet_lib.data.voc.source import VOC_SETS, VocTaskName

WriteVoc = Callable[..., Path]
MessageOf = Callable[[Callable[[], object]], str]


@pytest.fixture
def voc(tmp_path: Path, write_voc: WriteVoc) -> Path:
    return write_voc(tmp_path / "VOC")


@pytest.mark.parametrize("task", ["classification", "detection", "segmentation"])
def test_a_folder_in_voc_s_layout_is_opened(voc: Path, task: VocTaskName) -> None:
    found = open_voc(f"voc:{voc}", task)
    assert found.title == "VOC (VOC format)"
    assert found.classes == tuple(VOC_CLASSES)
    assert found.short[:2] == ("aero", "bike")
    assert (found.train.name, found.train.names) == ("trainval", ("000001", "000002"))
    assert (found.test.name, found.test.names) == ("test", ("000003", "000004"))
    assert found.fingerprint == voc_fingerprint(f"voc:{voc}", task)
    assert found.test.image(1).shape == (30, 40, 3)


def test_a_part_is_the_first_of_each_list(voc: Path, message_of: MessageOf) -> None:
    found = open_voc(f"voc:{voc}", "detection", 1, 2)
    assert found.train.names == ("000001",)
    assert found.test.names == ("000003", "000004")
    message = message_of(lambda: open_voc(f"voc:{voc}", "detection", 3))
    assert message == f"train_size: 3 images asked for, but {voc}/ImageSets/Main/trainval.txt lists 2."
    assert message_of(lambda: open_voc(f"voc:{voc}", "detection", None, 0)).startswith("test_size: 0 images are too few.")


def test_only_the_task_s_own_files_are_needed(voc: Path) -> None:
    for path in (voc / "Annotations").iterdir():
        path.unlink()
    assert len(open_voc(f"voc:{voc}", "segmentation").train) == 2


def test_train_and_val_serve_where_there_is_no_test(voc: Path) -> None:
    main = voc / "ImageSets" / "Main"
    (main / "trainval.txt").rename(main / "train.txt")
    (main / "test.txt").rename(main / "val.txt")
    found = open_voc(f"voc:{voc}", "detection")
    assert (found.train.name, found.test.name) == ("train", "val")


def test_other_classes_stand_in_a_file(tmp_path: Path, write_voc: WriteVoc, message_of: MessageOf) -> None:
    root = write_voc(tmp_path / "own", names=("gnome", "car"))
    message = message_of(lambda: open_voc(f"voc:{root}", "detection"))
    assert message.startswith(f"{root}/Annotations/000001.xml, line 9: class 'gnome' is none of VOC's 20")
    assert str(root / "classes.txt") in message
    (root / "classes.txt").write_text("car\n\ngnome\n")
    found = open_voc(f"voc:{root}", "detection")
    assert found.classes == found.short == ("car", "gnome")
    assert found.train.objects(0).labels.tolist() == [1, 0]
    (root / "classes.txt").write_text("car\ngnome\ncar\n")
    assert "classes.txt, line 3: class car is on line 1 already" in message_of(lambda: open_voc(f"voc:{root}", "detection"))
    (root / "classes.txt").write_text("Background\ncar\ngnome\n")  # it would move all ids by one
    assert "classes.txt, line 1: the background is no class. Its id is 0" in message_of(
        lambda: open_voc(f"voc:{root}", "detection")
    )
    (root / "classes.txt").write_text("".join(f"{number}\n" for number in range(255)))
    assert "has 255 classes' names. Expected 1 to 254" in message_of(lambda: open_voc(f"voc:{root}", "detection"))
    (root / "classes.txt").write_text("\n")
    assert "has 0 classes' names" in message_of(lambda: open_voc(f"voc:{root}", "detection"))


# --- Lists ---


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "000001\n\n000007\n000002\n000008\n",
            ", line 3: there is no image {voc}/JPEGImages/000007.jpg, the first of 2 missing of",
        ),
        ("000001\n000007", ", line 2: there is no image {voc}/JPEGImages/000007.jpg, the only one missing of the 2 listed."),
        ("000001\n000002\n000001\n", ", line 3: image 000001 is on line 1 already."),
        ("000001\n000002 1\n", ", line 2: '000002 1' is no image's id."),
        ("\n", " is empty: the split has no images."),
        ("000001\n../Annotations/a\n", ", line 2: '../Annotations/a' is no image's id."),
        ("/etc/passwd\n", ", line 1: '/etc/passwd' is no image's id."),
        ("a/000001\n", ", line 1: 'a/000001' is no image's id."),
        ("000001\n\n..\n", ", line 3: '..' is no image's id."),
        ("000001\n" + 300 * "x", ", line 2: '" + 80 * "x" + "' is no image's id."),
        ("000001 -1\n000002  1\n", ", line 1: '000001 -1' is no image's id."),
        ("000001\x0c000002\n", r", line 1 holds the control character '\x0c'."),
    ],
)
def test_a_wrong_list_is_named_with_its_line(content: str, message: str, voc: Path, message_of: MessageOf) -> None:
    path = voc / "ImageSets" / "Main" / "test.txt"
    path.write_text(content)
    found = message_of(lambda: open_voc(f"voc:{voc}", "detection"))
    assert found.startswith(f"{path}{message.format(voc=voc)}")
    assert found == message_of(lambda: voc_fingerprint(f"voc:{voc}", "detection"))  # known before a run starts


@pytest.mark.parametrize(
    ("task", "lost", "what"),
    [("detection", "Annotations/000003.xml", "annotation"), ("segmentation", "SegmentationClass/000003.png", "mask")],
)
def test_a_listed_image_without_annotation_or_mask_is_named(
    task: VocTaskName, lost: str, what: str, voc: Path, message_of: MessageOf
) -> None:
    (voc / lost).unlink()
    assert f"test.txt, line 1: there is no {what} {voc / lost}, the only one" in message_of(
        lambda: open_voc(f"voc:{voc}", task)
    )


@pytest.mark.parametrize("name", ["/my/photos", "my/photos", "../photos"])
def test_a_folder_without_its_kind_is_told_how_to_be_named(name: str, message_of: MessageOf) -> None:
    message = message_of(lambda: open_voc(name, "detection"))
    assert message.startswith(f"unknown VOC set '{name}'")
    assert message.endswith(f" A folder of your own: voc:{name}.")


def test_a_file_of_another_format_is_named(voc: Path, message_of: MessageOf) -> None:
    path = voc / "JPEGImages" / "000002.jpg"
    path.rename(path.with_suffix(".png"))
    message = message_of(lambda: open_voc(f"voc:{voc}", "detection"))
    assert message.endswith("Convert 000002.png to .jpg, or take their lines out of the list.")
    path.with_suffix(".png").rename(path.with_suffix(".JPEG"))
    assert "Rename 000002.JPEG to .jpg, or " in message_of(lambda: open_voc(f"voc:{voc}", "detection"))


def test_classes_that_nobody_names_are_said(voc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (voc / "classes.txt").unlink(missing_ok=True)
    open_voc(f"voc:{voc}", "segmentation")
    assert f"no {voc}/classes.txt: the ids of the masks are taken for VOC's 20 classes" in capsys.readouterr().out


def test_a_link_that_leads_nowhere_is_missing(voc: Path, message_of: MessageOf) -> None:
    path = voc / "JPEGImages" / "000002.jpg"
    path.unlink()
    path.symlink_to(voc / "nowhere.jpg")
    assert f"trainval.txt, line 2: there is no image {path}" in message_of(lambda: open_voc(f"voc:{voc}", "detection"))


def test_a_link_to_itself_is_no_image_and_a_file_no_folder(voc: Path, message_of: MessageOf) -> None:
    path = voc / "JPEGImages" / "000002.jpg"
    path.unlink()
    path.symlink_to(path)
    assert f"trainval.txt, line 2: there is no image {path}" in message_of(lambda: open_voc(f"voc:{voc}", "detection"))
    (voc / "Annotations").rename(voc / "elsewhere")
    (voc / "Annotations").touch()
    assert f"cannot list the folder {voc}/Annotations" in message_of(lambda: open_voc(f"voc:{voc}", "detection"))


def test_a_folder_without_lists_says_which_it_wants(voc: Path, message_of: MessageOf) -> None:
    (voc / "ImageSets" / "Main" / "test.txt").unlink()
    assert "neither trainval.txt and test.txt nor train.txt and val.txt" in message_of(
        lambda: open_voc(f"voc:{voc}", "detection")
    )


# --- Fingerprints ---


def test_the_fingerprint_changes_with_what_a_task_needs(voc: Path) -> None:
    def prints() -> list[str]:
        return [voc_fingerprint(f"voc:{voc}", task) for task in ("detection", "segmentation")]

    seen = [prints()]
    assert prints() == seen[0]
    annotation = voc / "Annotations" / "000003.xml"
    annotation.write_text(annotation.read_text().replace("<xmin>3", "<xmin>4"))  # as long as it was
    seen.append(prints())
    assert seen[1][0] != seen[0][0]
    assert seen[1][1] == seen[0][1]
    mask = Image.open(voc / "SegmentationClass" / "000001.png")
    mask.putpixel((30, 20), 3)
    mask.save(voc / "SegmentationClass" / "000001.png")
    Image.new("RGB", (40, 30)).save(voc / "JPEGImages" / "000002.jpg")
    seen.append(prints())
    for kind in ("Main", "Segmentation"):
        (voc / "ImageSets" / kind / "test.txt").write_text("000004\n000003\n")
    seen.append(prints())
    (voc / "classes.txt").write_text("car\ndog\n")
    seen.append(prints())
    for column in (0, 1):
        assert len({row[column] for row in seen[1:]}) == 4


def test_the_fingerprint_does_not_change_with_the_place(tmp_path: Path, write_voc: WriteVoc) -> None:
    roots = [write_voc(tmp_path / name) for name in ("here", "there")]
    assert voc_fingerprint(f"voc:{roots[0]}", "detection") == voc_fingerprint(f"voc:{roots[1]}", "detection")


def test_of_much_data_the_sizes_count(voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "READ_WHOLE", 100)
    first = voc_fingerprint(f"voc:{voc}", "detection")
    image = voc / "JPEGImages" / "000001.jpg"
    image.write_bytes(bytes(os.path.getsize(image)))
    assert voc_fingerprint(f"voc:{voc}", "detection") == first
    with image.open("ab") as file:
        file.write(b"x")
    assert voc_fingerprint(f"voc:{voc}", "detection") != first


# --- Names ---


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("voc2077", "unknown VOC set 'voc2077'; did you mean 'voc2007'? Allowed: "),
        ("voc", "VOC set 'voc' is not complete or too long: give its folder: voc:/path/to/VOCdevkit/VOC2007."),
        ("voc2007:x", "VOC set 'voc2007:x' is not complete or too long: write just voc2007."),
        ("scenes:", "VOC set 'scenes:' is not complete or too long: write just scenes."),
        ("scenes:big", "VOC set 'scenes:big': expected the longer side in pixels, 64 to 1024"),
        ("scenes:32", "VOC set 'scenes:32': expected"),
        ("voc:/nowhere", "no folder /nowhere/JPEGImages. Expected VOC's layout"),
    ],
)
def test_a_wrong_name_says_what_is_allowed(name: str, message: str, message_of: MessageOf) -> None:
    assert message_of(lambda: open_voc(name, "detection")).startswith(message)
    assert message_of(lambda: voc_fingerprint(name, "detection")).startswith(message)


def test_which_sets_have_published_figures() -> None:
    titles = {name: VOC_SETS[name].published_title for name in VOC_SETS}
    assert titles == {
        "scenes": None,
        "voc": None,
        "voc2007": "VOC 2007",
        "voc2012": "VOC 2012",
        "voc2011-sbd": "VOC 2011 with SBD's masks",
    }

"""What lies among images and is not read: named when the data is opened, and in the run's record."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.listing import EXTENSIONS, list_images
from rotnet_lib.data.skipped import described, together
from rotnet_lib.data.source import cache_root, open_source
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain

Folder = Callable[..., Path]
MessageOf = Callable[[Callable[[], object]], str]


@pytest.fixture
def root(tmp_path: Path, folder: Folder) -> Path:
    return folder(tmp_path / "pets", train={"cat": 3, "dog": 3}, test={"cat": 2, "dog": 2})


def test_a_folder_of_images_alone_skips_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._0.png", "__MACOSX"):
        (root / "train" / "cat" / name).write_bytes(b"")
    assert list_images(root / "train").skipped == ()
    assert load_dataset(DataSpec(f"imagefolder:{root}")).skipped == ()
    assert "not read" not in capsys.readouterr().out


def test_files_that_are_not_read_are_counted_with_an_example(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("cat/b.heic", "cat/a.HEIC", "dog/notes", "dog/b.svg", "stray.jpg", "labels.csv"):
        (root / "train" / name).write_bytes(b"")
    (root / "train" / "dog" / "puppies.png").mkdir()
    (root / "test" / "cat" / "a.heic").write_bytes(b"")
    data = load_dataset(DataSpec(f"imagefolder:{root}"))
    assert data.skipped == (
        ".heic files: 2, such as train/cat/a.HEIC",
        ".svg files: 1, such as train/dog/b.svg",
        "files without an extension: 1, such as train/dog/notes",
        "folders: 1, such as train/dog/puppies.png",
        "images in no class's folder: 1, such as train/stray.jpg",
        ".heic files: 1, such as test/cat/a.heic",
    )
    [line] = [line for line in capsys.readouterr().out.splitlines() if "not read" in line]
    assert all(what in line for what in data.skipped)


def test_files_that_are_not_read_change_no_fingerprint(root: Path) -> None:
    before = open_source(f"imagefolder:{root}").fingerprint
    (root / "train" / "cat" / "a.heic").write_bytes(b"")
    assert open_source(f"imagefolder:{root}").fingerprint == before


@pytest.mark.parametrize("suffix", [".gif", ".jfif", ".ppm"])
def test_a_class_of_what_once_was_skipped_is_there(suffix: str, root: Path) -> None:
    for split in ("train", "test"):
        (root / split / "bee").mkdir()
        Image.new("RGB", (32, 32)).save(root / split / "bee" / f"0{suffix}")
    data = load_dataset(DataSpec(f"imagefolder:{root}"))
    assert data.classes == ("bee", "cat", "dog")
    assert len(data.train) == 7


@pytest.mark.parametrize(
    ("name", "found", "remedy"),
    [
        ("0.heic", ".heic files: 1, such as 0.heic", ", ".join(EXTENSIONS)),
        ("images/", "folders: 1, such as images", "move those in the folders below up"),
        (".hidden", "Found nothing", ", ".join(EXTENSIONS)),
    ],
)
def test_a_class_of_which_nothing_is_read_is_an_error(
    name: str, found: str, remedy: str, root: Path, message_of: MessageOf
) -> None:
    """Without it all other classes would have other labels."""
    for split in ("train", "test"):
        path = root / split / "bee" / name
        path.parent.mkdir(parents=True)
        path.mkdir() if name.endswith("/") else path.write_bytes(b"")
    message = message_of(lambda: open_source(f"imagefolder:{root}"))
    assert str(root / "train" / "bee") in message
    assert found in message
    assert remedy in message


@pytest.mark.timeout(30)
def test_a_named_pipe_among_images_is_named_and_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "train" / "cat" / "pipe.png")
    (root / "train" / "dog" / "link.png").symlink_to(root / "train" / "cat" / "pipe.png")
    (root / "train" / "dog" / "zero.png").symlink_to("/dev/zero")
    data = load_dataset(DataSpec(f"imagefolder:{root}", stream=True), workers=0)
    assert data.skipped == ("devices: 1, such as train/dog/zero.png", "named pipes: 2, such as train/cat/pipe.png")
    assert len(data.train) == 6


def test_a_link_that_leads_nowhere_is_a_damaged_image(root: Path, message_of: MessageOf) -> None:
    (root / "train" / "cat" / "link.png").symlink_to(root / "nowhere.png")
    assert "train/cat/link.png: [Errno 2] No such file" in message_of(lambda: load_dataset(DataSpec(f"imagefolder:{root}")))


@pytest.mark.parametrize("stream", [False, True])
def test_a_run_records_what_was_not_read(stream: bool, root: Path, tiny: dict[str, Any]) -> None:
    (root / "train" / "cat" / "a.heic").write_bytes(b"")
    (root / "train" / "cat" / os.fsdecode(b"\xff.svg")).write_bytes(b"")
    sizes = {"train_size": None, "test_size": None}
    config = PretrainConfig.build(tiny | sizes | {"dataset": f"imagefolder:{root}", "stream": stream, "workers": 0})
    outcome = pretrain(config)
    outcome.save()
    assert outcome.directory.result().data.skipped == [
        ".heic files: 1, such as train/cat/a.heic",
        r".svg files: 1, such as train/cat/\xff.svg",
    ]


# --- Refused images go the way of damaged ones ---


@pytest.mark.parametrize("options", [{}, {"stream": True}, {"shrink": 16}], ids=str)
def test_a_refused_image_is_left_out_and_counted(options: dict[str, Any], root: Path, message_of: MessageOf) -> None:
    Image.new("I;16", (32, 32), 40_000).save(root / "train" / "cat" / "deep.png")
    Image.new("RGB", (1, 1)).save(root / "train" / "dog" / "tracker.gif")

    # The statistics read every image of a stream.
    data = load_dataset(DataSpec(f"imagefolder:{root}", **options), max_damaged=0.5, workers=0)
    assert data.train.damaged == ["train/cat/deep.png", "train/dog/tracker.gif"]
    if "stream" not in options:
        assert len(data.train) == 6
    message = message_of(lambda: load_dataset(DataSpec(f"imagefolder:{root}", image_size=24, **options), workers=0))
    assert "deep.png: its channels have more than 8 bits" in message
    assert "convert it to 8 bits a channel" in message


def test_what_was_decoded_before_images_were_refused_is_decoded_again(root: Path) -> None:
    """The fingerprint of such a folder stayed, and its cache of before holds white images."""
    name = f"imagefolder:{root}"
    print_ = open_source(name).fingerprint
    for split, count in (("train", 6), ("test", 4)):
        key = hashlib.sha256(repr((name, print_, split, None)).encode()).hexdigest()[:16]
        path = cache_root() / f"imagefolder-32-{split}-{key}.safetensors"
        path.parent.mkdir(exist_ok=True)
        white = np.full((count, 32, 32, 3), 255, np.uint8)
        safetensors.numpy.save_file({"images": white, "labels": np.zeros(count, np.int64)}, path)
    copies = cache_root() / f"shrunk-16-{hashlib.sha256(f'95 {print_}'.encode()).hexdigest()[:16]}"
    for split in ("train", "test"):
        (copies / split).mkdir(parents=True)
        (copies / split / "complete.json").write_text("[]")
    for shrink in (None, 16):
        data = load_dataset(DataSpec(name, shrink=shrink), workers=0)
        assert len(data.train) == 6
        assert (data.train.images != 255).any()


def test_names_that_are_not_utf_8_can_be_written_and_printed(root: Path, tiny: dict[str, Any]) -> None:
    (root / "train" / "cat" / os.fsdecode(b"\xff.png")).write_bytes(b"no image")
    sizes = {"train_size": None, "test_size": None}
    config = PretrainConfig.build(tiny | sizes | {"dataset": f"imagefolder:{root}", "max_damaged": 0.5})
    outcome = pretrain(config)
    outcome.save()
    assert outcome.directory.result().data.damaged == [r"train/cat/\xff.png"]


def test_a_class_whose_name_begins_with_a_dot_is_not_left_out_in_silence(root: Path) -> None:
    for split in ("train", "test"):
        (root / split / "cat").rename(root / split / ".net")
    (root / "train" / ".ipynb_checkpoints").mkdir()
    (root / "train" / ".ipynb_checkpoints" / "0.png").touch()
    (root / "train" / ".git").mkdir()
    data = load_dataset(DataSpec(f"imagefolder:{root}"))
    assert data.classes == ("dog",)
    assert data.skipped == (
        "hidden folders with images: 1, such as train/.net",
        "hidden folders with images: 1, such as test/.net",
    )


@pytest.mark.parametrize("lead", ["nowhere", "bee"])
def test_a_class_that_is_a_link_to_nowhere_or_itself_is_named(lead: str, root: Path, message_of: MessageOf) -> None:
    for split in ("train", "test"):
        (root / split / "bee").symlink_to(root / split / lead)
    message = message_of(lambda: open_source(f"imagefolder:{root}"))
    assert f"{root}/train/bee is a link that leads nowhere" in message


def test_a_class_may_be_a_link_to_a_folder_elsewhere(root: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        (root / split / "cat").rename(tmp_path / split)
        (root / split / "cat").symlink_to(tmp_path / split)
        (root / split / "cat" / "self").symlink_to(root / split)
    assert open_source(f"imagefolder:{root}").classes == ("cat", "dog")


@pytest.mark.parametrize("name", ["c\nat", "c\tat", "c\x1b[31mat", "c\u2028at", "c\x7fat"])
def test_a_class_whose_name_no_table_can_show_is_named(name: str, root: Path, message_of: MessageOf) -> None:
    for split in ("train", "test"):
        (root / split / "cat").rename(root / split / name)
    message = message_of(lambda: open_source(f"imagefolder:{root}"))
    assert f"class folder {root}/train/c{ascii(name)[2:-1]} holds the control character" in message
    assert name not in message


def test_names_of_classes_may_be_long_or_differ_only_in_case(root: Path, tiny: dict[str, Any]) -> None:
    names = ("Cat", "cat", "c" * 250, "\u732b \U0001f408", "<b>&$x_1$", "a, b; 'c' \"d\"")
    for split in ("train", "test"):
        for name in names[2:]:
            shutil.copytree(root / split / "cat", root / split / name)
        shutil.copytree(root / split / "cat", root / split / "Cat", dirs_exist_ok=True)
    if not os.path.samefile(root / "train" / "cat", root / "train" / "Cat"):
        assert set(names) < set(open_source(f"imagefolder:{root}").classes)
    sizes = {"train_size": None, "test_size": None}
    config = PretrainConfig.build(tiny | sizes | {"dataset": f"imagefolder:{root}"})
    outcome = pretrain(config)
    outcome.save()
    assert set(names[1:]) < set(outcome.directory.result().data.classes)


def test_a_file_s_name_with_a_newline_is_shown_on_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "train" / "cat" / "a\nb.heic").touch()
    (root / "train" / "cat" / "a\nb.png").touch()
    data = load_dataset(DataSpec(f"imagefolder:{root}"), max_damaged=0.5)
    assert data.skipped == (r".heic files: 1, such as train/cat/a\nb.heic",)
    assert data.train.damaged == [r"train/cat/a\nb.png"]
    assert "\nb" not in capsys.readouterr().out


def test_a_class_whose_name_is_not_utf_8_is_named(root: Path, message_of: MessageOf) -> None:
    """It could not be written into a result."""
    for split in ("train", "test"):
        os.rename(root / split / "dog", os.fsencode(root / split) + b"/d\xffg")
    message = message_of(lambda: open_source(f"imagefolder:{root}"))
    assert rf"{root}/train/d\xffg" in message
    message.encode()


def test_each_kind_is_said_once_of_all_splits() -> None:
    found = [
        *described([(".txt files", f"train/{name}.txt") for name in "ba"]),
        *described([(".txt files", "val/c.txt"), ("folders", "val/d: 3, such as e")]),
    ]
    assert together(found) == [".txt files: 3, such as train/a.txt", "folders: 1, such as val/d: 3, such as e"]

"""`imagenet` and `tiny-imagenet`: the folders they come in, and what can be wrong with them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.imagenet import ImageNet
from rotnet_lib.data.source import Counts, open_source
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.data.stream import StreamedSplit

Folder = Callable[..., Path]
MessageOf = Callable[[Callable[[], object]], str]

WNIDS = {"n01440764": 3, "n01443537": 2}


@pytest.fixture
def imagenet(tmp_path: Path, folder: Folder) -> Path:
    return folder(tmp_path / "data" / "imagenet", suffix=".JPEG", size=40, train=WNIDS, val=dict.fromkeys(WNIDS, 1))


@pytest.fixture
def tiny(tmp_path: Path, folder: Folder) -> Path:
    root = folder(tmp_path / "data" / "tiny-imagenet-100", suffix=".JPEG", size=64, train=WNIDS, val=dict.fromkeys(WNIDS, 1))
    (root / "words.txt").write_text("n01440764\ttench, Tinca tinca\nn01443537\tgoldfish, Carassius auratus\nn02\tcat\n")
    for kind in WNIDS:
        (root / "train" / kind / "boxes.txt").write_text("0.JPEG 1 2 3 4\n")
    return root


# --- imagenet ---


def test_imagenet_is_streamed_at_its_size(imagenet: Path) -> None:
    data = load_dataset(DataSpec("imagenet", crop_pct=0.875), workers=0)
    assert isinstance(data.train, StreamedSplit)
    assert data.classes == ("n01440764", "n01443537")
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert (data.image_size, data.train.side) == (224, 256)
    assert data.train.read([4]).shape == (1, 3, 224, 224)
    assert data.mean == pytest.approx((255 * 0.485, 255 * 0.456, 255 * 0.406))
    assert data.std == pytest.approx((255 * 0.229, 255 * 0.224, 255 * 0.225))
    assert open_source("imagenet").location() == str(imagenet)


def test_imagenet_may_be_called_by_its_year(imagenet: Path, tmp_path: Path) -> None:
    before = open_source("imagenet").fingerprint
    imagenet.rename(tmp_path / "data" / "ILSVRC2012")
    assert open_source("imagenet").fingerprint == before


def test_only_all_of_imagenet_is_called_by_the_published_name(imagenet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_source("imagenet").title == "ImageNet (part: 5 training images of 2 classes)"
    monkeypatch.setattr(ImageNet, "published", Counts(5, 2, 2))
    assert open_source("imagenet").title == ImageNet.published_title == "ImageNet"


def test_unsorted_validation_images_are_recognised(imagenet: Path, message_of: MessageOf) -> None:
    for number in (1, 2):
        Image.new("RGB", (8, 8)).save(imagenet / "val" / f"ILSVRC2012_val_0000000{number}.JPEG")
    message = message_of(lambda: open_source("imagenet"))
    for part in (
        f"{imagenet}/val has 2 images",
        "ILSVRC2012_val_00000001.JPEG",
        "<wnid>/*.JPEG",
        "torchvision.datasets.ImageNet",
    ):
        assert part in message


def test_without_imagenet_it_says_where_it_comes_from(message_of: MessageOf, tmp_path: Path) -> None:
    message = message_of(lambda: open_source("imagenet"))
    for part in (
        f"no folder {tmp_path}/data/imagenet",
        "ILSVRC2012",
        "image-net.org",
        "{train,val}/<wnid>/*.JPEG",
        "ROTNET_DATA",
        "PRESET=quick needs no data",
    ):
        assert part in message


def test_a_class_in_one_split_only_is_named(imagenet: Path, message_of: MessageOf) -> None:
    (imagenet / "val" / "n01443537").rename(imagenet / "val" / "n01443538")
    message = message_of(lambda: open_source("imagenet"))
    assert "n01443537, n01443538 in only one of them" in message
    assert "2 in train and 2 in test" in message


# --- tiny-imagenet ---


def test_tiny_imagenet_is_in_memory_with_names_for_its_classes(tiny: Path) -> None:
    data = load_dataset(DataSpec("tiny-imagenet"))
    assert data.title == "Tiny ImageNet-2"
    assert data.classes == ("tench", "goldfish")
    assert data.train.images.shape == (5, 64, 64, 3)
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert open_source("tiny-imagenet").published_title is None


def test_tiny_imagenet_may_be_enlarged_for_its_crops(tiny: Path) -> None:
    data = load_dataset(DataSpec("tiny-imagenet", crop_pct=0.875))
    assert data.train.images.shape == (5, 73, 73, 3)
    assert data.train.size == data.image_size == 64


def test_the_larger_tiny_imagenet_is_taken(tiny: Path, folder: Folder) -> None:
    larger = folder(tiny.parent / "tiny-imagenet-200", suffix=".JPEG", train={"n1": 1}, val={"n1": 1})
    (larger / "words.txt").write_text("n1\tcat\n")
    assert open_source("tiny-imagenet").classes == ("cat",)


def test_classes_of_one_name_are_told_apart(tiny: Path) -> None:
    (tiny / "words.txt").write_text("n01440764\tcrane, a bird\nn01443537\tcrane, a machine\n")
    assert open_source("tiny-imagenet").classes == ("crane, a bird", "crane, a machine")


def test_a_class_without_a_name_is_named(tiny: Path, message_of: MessageOf) -> None:
    (tiny / "words.txt").write_text("n01440764\ttench\n")
    assert f"{tiny}/words.txt names no class n01443537" in message_of(lambda: open_source("tiny-imagenet"))
    (tiny / "words.txt").unlink()
    assert "words.txt" in message_of(lambda: open_source("tiny-imagenet"))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("n02 cat", "'n02 cat' is not a WordNet id, a tab and names"),
        ("n02\t", "'n02' is not a WordNet id, a tab and names"),
        ("n02\t , cat", "is not a WordNet id, a tab and names"),
        ("\tcat", "'cat' is not a WordNet id, a tab and names"),
        ("n01440764\tcat", "n01440764 is on line 1 already"),
        ("n02\tcat\x1b[2J", r"holds the control character '\x1b'"),
        ("n02\tcat\u2028", r"holds the control character '\u2028'"),
    ],
)
def test_a_line_of_the_names_that_cannot_be_read_is_named(line: str, says: str, tiny: Path, message_of: MessageOf) -> None:
    (tiny / "words.txt").write_text(f"n01440764\ttench\nn01443537\tgoldfish\n\n{line}\n")
    message = message_of(lambda: open_source("tiny-imagenet"))
    assert message.startswith(f"{tiny}/words.txt, line 4")
    assert says in message


def test_classes_of_which_all_names_are_the_same_are_told_apart(tiny: Path) -> None:
    (tiny / "words.txt").write_text("n01440764\tcrane\nn01443537\tcrane\n")
    assert open_source("tiny-imagenet").classes == ("crane (n01440764)", "crane (n01443537)")


def test_without_tiny_imagenet_it_says_what_is_expected(message_of: MessageOf, tmp_path: Path) -> None:
    message = message_of(lambda: open_source("tiny-imagenet"))
    for part in (
        f"{tmp_path}/data/tiny-imagenet-200",
        "tiny-imagenet-100",
        "{train,val}/<wnid>/*.JPEG",
        "words.txt",
        "ROTNET_DATA",
    ):
        assert part in message

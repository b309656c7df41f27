"""Lists, annotations and archives from anywhere: what is wrong in one is named with the file, whatever kind of file it is."""

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from torchvision.datasets import CIFAR10

from rotnet_lib.data.source import open_source
from rotnet_lib.data.voc.sets import open_voc, voc_fingerprint

MessageOf = Callable[[Callable[[], object]], str]


@dataclass
class Kind:
    """A kind of file: where a good one lies, and who reads it."""

    path: Path
    read: Callable[[], object]


def images(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32)).save(path)


def places205(data: Path) -> Kind:
    root = data / "places205"
    images(root / "images256/a/abbey/0.jpg", root / "images256/b/bar/0.jpg")
    (root / "trainvalsplit_places205").mkdir()
    paths = [root / "trainvalsplit_places205" / f"{split}_places205.csv" for split in ("train", "val")]
    for path in paths:
        path.write_text("a/abbey/0.jpg 0\nb/bar/0.jpg 1\n")
    return Kind(paths[1], lambda: open_source("places205"))


def words(data: Path) -> Kind:
    root = data / "tiny-imagenet-100"
    images(root / "train/n1/0.JPEG", root / "val/n1/0.JPEG")
    (root / "words.txt").write_text("n1\ttench, Tinca tinca\nn2\tcat\n")
    return Kind(root / "words.txt", lambda: open_source("tiny-imagenet"))


def voc(root: Path) -> Path:
    images(root / "JPEGImages/a.jpg", root / "JPEGImages/b.jpg")
    for name in ("Annotations", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    for id_, split in (("a", "train"), ("b", "val")):
        text = f"<annotation>\n<object><name>cat</name>{box}</object>\n</annotation>\n"
        (root / "Annotations" / f"{id_}.xml").write_text(text)
        (root / "ImageSets/Main" / f"{split}.txt").write_text(f"{id_}\n")
    (root / "classes.txt").write_text("cat\ndog\n")
    return root


def voc_list(data: Path) -> Kind:
    return Kind(voc(data / "set") / "ImageSets/Main/train.txt", lambda: open_voc(f"voc:{data}/set", "detection"))


def classes(data: Path) -> Kind:
    return Kind(voc(data / "set") / "classes.txt", lambda: open_voc(f"voc:{data}/set", "detection"))


def annotation(data: Path) -> Kind:
    def read() -> None:
        open_voc(f"voc:{data}/set", "detection").train.objects(0)

    return Kind(voc(data / "set") / "Annotations/a.xml", read)


def record(data: Path) -> Kind:
    """What a download leaves beside its files."""
    path = voc(data / "VOCdevkit/VOC2012") / "rotnet-download.json"
    path.write_text('{"Main": "x"}')
    return Kind(path, lambda: voc_fingerprint("voc2012", "detection"))


def cifar(data: Path) -> Kind:
    (data / CIFAR10.base_folder).mkdir()
    paths = [data / CIFAR10.base_folder / name for name, _ in (*CIFAR10.train_list, *CIFAR10.test_list)]
    for path in paths:
        path.touch()
    return Kind(paths[0], lambda: open_source("cifar10").decode("train", None))


LISTS = [places205, words, voc_list, classes]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def idx(data: Path, small_fashion_mnist: dict[str, bytes]) -> Callable[[Path], Kind]:
    def make(data: Path) -> Kind:
        raw = data / "FashionMNIST/raw"
        raw.mkdir(parents=True)
        for name, content in small_fashion_mnist.items():
            (raw / name).write_bytes(content)
        return Kind(raw / "train-images-idx3-ubyte", lambda: open_source("fashion-mnist").decode("train", None))

    return make


def link_to_nowhere(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)  # takes no room on the disk: the file is a hole


def holding(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


PUT = {
    "folder": Path.mkdir,
    "named pipe": os.mkfifo,
    "link to nowhere": link_to_nowhere,
    "link to itself": link_to_itself,
    "huge": huge,
    "empty": Path.touch,
    "UTF-16": holding(b"\xff\xfe" + "a/abbey/0.jpg 0\n".encode("utf-16-le")),
    "UTF-16 without a mark": holding("n1\ttench\n".encode("utf-16-le")),
    "Latin-1": holding(b"caf\xe9 \n"),
    "NUL": holding(b"a\0b 0\n"),
    "bytes": holding(bytes(range(256)) * 40),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("put", PUT.values(), ids=PUT)
@pytest.mark.parametrize("make", [*LISTS, annotation, record, cifar, "idx"], ids=lambda make: getattr(make, "__name__", make))
def test_what_is_none_of_its_kind_is_named(
    make: Callable[[Path], Kind] | str,
    put: Callable[[Path], object],
    data: Path,
    message_of: MessageOf,
    request: pytest.FixtureRequest,
) -> None:
    kind = (request.getfixturevalue(make) if isinstance(make, str) else make)(data)
    kind.path.unlink()
    put(kind.path)
    message = message_of(kind.read)
    assert str(kind.path) in message
    assert len(message) < 1000


@pytest.mark.parametrize("make", LISTS)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "mark"])
@pytest.mark.parametrize("ending", [b"\r\n", b"\r", b"\n\n"], ids=["Windows", "old Mac", "blank lines"])
def test_a_list_is_read_however_an_editor_wrote_it(
    make: Callable[[Path], Kind], mark: bytes, ending: bytes, data: Path
) -> None:
    kind = make(data)
    kind.path.write_bytes(mark + kind.path.read_bytes().replace(b"\n", ending))
    kind.read()


class Exploit:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_no_pickle_but_the_official_one_is_opened(data: Path, message_of: MessageOf) -> None:
    kind = cifar(data)
    kind.path.write_bytes(pickle.dumps(Exploit(data / "done")))
    assert message_of(kind.read).startswith(f"damaged file {kind.path}: its checksum is not the official one.")
    assert not (data / "done").exists()

"""`fashion-mnist`: the idx files, packed or unpacked, of a folder, of Debian's package or downloaded."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rotnet_lib.data.download import downloading
from rotnet_lib.data.idx import idx_array, read_idx
from rotnet_lib.data.listing import SplitName
from rotnet_lib.data.opening import is_folder, is_there, names_in, shown
from rotnet_lib.data.source import DATASETS, Source, data_root, fixed_size
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import replacing

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the idx files: the official ones, compressed anew."""


class IdxFile(NamedTuple):
    """One of the four files: its name without `.gz`, the shape that it holds, and the SHA-256 of its content unpacked."""

    name: str
    shape: tuple[int, ...]
    checksum: str


FILES: dict[SplitName, tuple[IdxFile, IdxFile]] = {
    "train": (
        IdxFile(
            "train-images-idx3-ubyte",
            (60_000, 28, 28),
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        IdxFile("train-labels-idx1-ubyte", (60_000,), "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    ),
    "test": (
        IdxFile(
            "t10k-images-idx3-ubyte",
            (10_000, 28, 28),
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        IdxFile("t10k-labels-idx1-ubyte", (10_000,), "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ),
}
"""Of each split the images and the labels. The checksum is of the content, so that it holds however the file is packed."""


@DATASETS.register("fashion-mnist")
class FashionMnist(Source):
    """60 000 training and 10 000 test images of 10 kinds of clothing, 28 x 28 grey (Xiao et al., 2017), as RGB.

    Taken from `ROTNET_DATA` as `FashionMNIST/raw`, where torchvision puts them, else from Debian's package, else downloaded.
    """

    title = "Fashion-MNIST"
    classes = (
        "t-shirt",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    )
    side = 28
    usual_size = 28
    cached = False

    def __init__(self, argument: str, image_size: int | None, crop_pct: float) -> None:
        from torchvision.datasets import FashionMNIST  # takes seconds to import: only where it is needed

        self.image_size = fixed_size("fashion-mnist", self.side, image_size, crop_pct)
        self.fingerprint = "fashion-mnist-" + "-".join(md5[:8] for _, md5 in FashionMNIST.resources)

    def location(self) -> str:
        folder = DEBIAN if _takes_debians() else _raw()
        return shown(folder) if is_folder(folder) else "not here yet: `rotnet data fashion-mnist` downloads it"

    def decode(self, split: SplitName, count: int | None) -> tuple[np.ndarray, np.ndarray]:
        folder = _raw()
        if _takes_debians():
            images, labels = (
                _read(DEBIAN / f"{file.name}.gz", file, "Reinstall dataset-fashion-mnist.") for file in FILES[split]
            )
        else:
            _download(folder)
            images, labels = (_read(_found(folder, file), file, _AGAIN) for file in FILES[split])
        return np.repeat(images[..., None], 3, axis=3), labels.astype(np.int64)


def _raw() -> Path:
    return data_root() / "FashionMNIST" / "raw"


def _takes_debians() -> bool:
    """Whether the images are those of Debian's package: there are no others, nor a part of them."""
    return is_folder(DEBIAN) and not (is_folder(_raw()) and names_in(_raw()))


_AGAIN = "Delete that file and run `rotnet data fashion-mnist` where there is a network, or put the official one there."


def _read(path: Path, file: IdxFile, remedy: str) -> np.ndarray:
    """What a file holds, uint8. Raises RotnetError, naming it, if that is anything but the official content."""
    content = read_idx(path, file.shape, remedy)
    if hashlib.sha256(content).hexdigest() != file.checksum:
        raise RotnetError(f"damaged file {shown(path)}: its checksum is not that of Fashion-MNIST. {remedy}")
    return idx_array(content, file.shape)


def _found(folder: Path, file: IdxFile) -> Path:
    """The unpacked file if it is there, else the packed one, there or not."""
    unpacked = folder / file.name
    return unpacked if is_there(unpacked) else folder / f"{file.name}.gz"


def _download(folder: Path) -> None:
    """Download what is in the folder neither packed nor unpacked. Raises RotnetError as `downloading`."""
    from torchvision.datasets import FashionMNIST
    from torchvision.datasets.utils import download_url

    files = [_found(folder, file) for of_split in FILES.values() for file in of_split]
    missing = [path for path in files if not is_there(path)]
    if not missing:
        return
    checksums = dict(FashionMNIST.resources)
    with downloading("fashion-mnist", folder, f"{DEBIAN} (Debian: apt install dataset-fashion-mnist)"):
        for path in missing:
            with replacing(path) as temporary:  # an interrupted download leaves nothing that looks like the file
                url = FashionMNIST.mirrors[0] + path.name
                download_url(url, str(temporary.parent), temporary.name, checksums[path.name])

"""`fashion-mnist`: torchvision's files or download, or Debian's package."""

import gzip
from pathlib import Path

import numpy as np

from rotnet_lib.data.download import downloading
from rotnet_lib.data.listing import SplitName
from rotnet_lib.data.source import DATASETS, Source, data_root, fixed_size
from rotnet_lib.errors import RotnetError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the idx files: the official ones, byte for byte."""


@DATASETS.register("fashion-mnist")
class FashionMnist(Source):
    """60 000 training and 10 000 test images of 10 kinds of clothing, 28 x 28 grey (Xiao et al., 2017), as RGB."""

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
        folder = data_root() / "FashionMNIST"
        found = next((path for path in (folder, DEBIAN) if path.is_dir()), None)
        return str(found) if found else "not here yet: `rotnet data fashion-mnist` downloads it"

    def decode(self, split: SplitName, count: int | None) -> tuple[np.ndarray, np.ndarray]:
        from torchvision.datasets import FashionMNIST

        unpacked = data_root() / "FashionMNIST" / "raw"
        if not DEBIAN.is_dir() or (unpacked.is_dir() and any(unpacked.iterdir())):
            remedy = f"{DEBIAN} (Debian: apt install dataset-fashion-mnist)"
            with downloading("fashion-mnist", unpacked, remedy):
                data = FashionMNIST(data_root(), train=split == "train", download=True)
            grey, labels = data.data.numpy(), data.targets.numpy()
        else:
            prefix = "train" if split == "train" else "t10k"
            grey = _read_idx(DEBIAN / f"{prefix}-images-idx3-ubyte.gz", header=16).reshape(-1, 28, 28)
            labels = _read_idx(DEBIAN / f"{prefix}-labels-idx1-ubyte.gz", header=8)
        return np.repeat(grey[..., None], 3, axis=3), labels.astype(np.int64)


def _read_idx(path: Path, header: int) -> np.ndarray:
    """The bytes behind an idx file's header, (N,) uint8, once its checksum is the official one."""
    from torchvision.datasets import FashionMNIST
    from torchvision.datasets.utils import check_integrity

    if not check_integrity(str(path), dict(FashionMNIST.resources)[path.name]):
        raise RotnetError(f"damaged file {path}: its checksum is not the official one. Reinstall dataset-fashion-mnist.")
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)

"""`voc2011-sbd`: what FCN-AlexNet was trained and scored on, with the masks of SBD (Hariharan et al. 2011)."""

import hashlib
import io
from pathlib import Path
from typing import ClassVar

import numpy as np
from tqdm import tqdm

from rotnet_lib.data.image_files import DamagedImage, read_size
from rotnet_lib.data.opening import is_there, read_file, shown
from rotnet_lib.data.source import cache_root, data_root
from rotnet_lib.data.voc.classes import VOC_CLASSES
from rotnet_lib.data.voc.lists import Lists, check_files, read_list, sizes_in
from rotnet_lib.data.voc.source import VOC_SETS, VocSource, VocTaskName, task_lists
from rotnet_lib.data.voc.split import IMAGES, MASKS, VOID
from rotnet_lib.data.voc.writing import write_mask
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import make_once

NAME = "voc2011-sbd"

TRAIN, TEST = "train", "seg11valid"
"""The lists, in SBD's folder and in that of VOC 2011."""

_VERSION = 1
"""Part of the fingerprint: raise it when masks are read otherwise."""

_MOST = 2**18
"""Bytes of a file with a mask, which has a few thousand: what is packed in it can be a thousand times as large."""

_EXPECTED = (
    "Expected a file of SBD: MATLAB's format, with the ids of the classes in GTcls.Segmentation. Put the original there."
)


@VOC_SETS.register(NAME)
class VocSbd(VocSource):
    """Photographs with masks of VOC's classes: trained on train of SBD (8 498), tested on seg11valid of VOC 2011 (736).

    seg11valid is what of VOC 2011's segmentation val is not in SBD's train (Long, Shelhamer, Darrell 2015). Both sets are read
    where they lie, in `ROTNET_DATA`, and nothing is downloaded:

    - `benchmark_RELEASE/dataset`: `train.txt`, `img/*.jpg`, `cls/*.mat`, as SBD's archive unpacks;
    - `VOCdevkit/VOC2011`: `JPEGImages`, `SegmentationClass`, and `ImageSets/Segmentation/seg11valid.txt`, a list that FCN's
      authors published.

    SBD's masks are written as VOC has them once, into a folder of the cache, with links to all other files.
    """

    title = "VOC 2011 with SBD's masks"
    published_title = title
    tasks: ClassVar[tuple[VocTaskName, ...]] = ("segmentation",)

    def __init__(self, argument: str) -> None:
        self._sbd = data_root() / "benchmark_RELEASE" / "dataset"
        self._voc = data_root() / "VOCdevkit" / "VOC2011"

    def fingerprint(self, task: VocTaskName) -> str:
        """Over the lists, and the sizes of the files listed, as of other large sets."""
        digest = hashlib.sha256(f"{NAME} {_VERSION}".encode())
        for split, ids in self._files().items():
            for id_, sizes in ids.items():
                digest.update(f"{split}/{id_} {sizes}\n".encode())
        return digest.hexdigest()

    def folder(self, train_size: int | None, test_size: int | None) -> Path:
        here = f"{self.fingerprint('segmentation')} {data_root().absolute()}"  # links lead there
        folder = cache_root() / f"{NAME}-{hashlib.sha256(here.encode()).hexdigest()[:16]}"
        make_once(folder, self._write)
        return folder

    def lists(self, folder: Path, task: VocTaskName) -> Lists:
        return task_lists(folder, task, (TRAIN, TEST))

    def classes(self, lists: Lists) -> tuple[str, ...]:
        return tuple(VOC_CLASSES)

    def _files(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Of both splits the ids in their order, with the sizes of image and mask in bytes.

        Raises RotnetError if a list or a file is missing, or an image is in both lists.
        """
        train, test = self._sbd / f"{TRAIN}.txt", self._voc / "ImageSets" / "Segmentation" / f"{TEST}.txt"
        for path, origin in (
            (train, "SBD (Hariharan et al. 2011) as its archive unpacks: train.txt, img/*.jpg, cls/*.mat"),
            (test, "the list of 736 images from the code of FCN (Long et al. 2015), in VOC 2011's folder"),
        ):
            if not is_there(path):
                raise RotnetError(
                    f"no {shown(path)}. Expected {origin}. {NAME} is not downloaded: put it there, or set ROTNET_DATA to a "
                    "folder that has it. dataset=voc2012 and dataset=scenes need neither."
                )
        found = {
            TRAIN: _listed(train, (self._sbd / "img", ".jpg", "image"), (self._sbd / "cls", ".mat", "mask")),
            TEST: _listed(test, (self._voc / IMAGES, ".jpg", "image"), (self._voc / MASKS, ".png", "mask")),
        }
        if both := found[TRAIN].keys() & found[TEST].keys():
            raise RotnetError(
                f"{shown(test)} lists {min(both)}, which {shown(train)} lists too: it would be trained on. Put the original "
                "lists there."
            )
        return found

    def _write(self, folder: Path) -> None:
        files = self._files()
        for name in (IMAGES, MASKS, "ImageSets/Segmentation"):
            (folder / name).mkdir(parents=True)
        for split, ids in files.items():
            self.lists(folder, "segmentation").path(split).write_text("".join(f"{id_}\n" for id_ in ids), encoding="utf-8")
        for id_ in files[TEST]:
            for kind, suffix in ((IMAGES, ".jpg"), (MASKS, ".png")):
                (folder / kind / f"{id_}{suffix}").symlink_to((self._voc / kind / f"{id_}{suffix}").absolute())
        for id_ in tqdm(files[TRAIN], desc="SBD's masks", unit=" masks", leave=False, mininterval=0.5):
            image = self._sbd / "img" / f"{id_}.jpg"
            (folder / IMAGES / image.name).symlink_to(image.absolute())
            write_mask(folder / MASKS / f"{id_}.png", read_sbd_mask(self._sbd / "cls" / f"{id_}.mat", image))


def _listed(path: Path, *needed: tuple[Path, str, str]) -> dict[str, tuple[int, ...]]:
    """The ids of a list, with the sizes in bytes of the files that each must have: in a folder, with a suffix, called so."""
    ids = read_list(path)
    found = []
    for folder, suffix, what in needed:
        sizes = sizes_in(folder, suffix)
        check_files(path, ids, what, folder, suffix, sizes)
        found.append(sizes)
    return {id_: tuple(sizes[id_] for sizes in found) for id_ in ids}


def read_sbd_mask(path: Path, image: Path) -> np.ndarray:
    """SBD's mask of an image, (H, W) uint8: 0 background, 1 to 20 VOC's classes.

    Raises RotnetError naming the file if it cannot be read, is no such mask, or is of another size than the image.
    """
    from scipy.io import loadmat  # takes a while to import

    content = read_file(path, _EXPECTED, _MOST)
    try:
        mask: np.ndarray = loadmat(io.BytesIO(content))["GTcls"]["Segmentation"][0, 0]
        if mask.dtype != np.uint8 or mask.ndim != 2:
            raise ValueError(f"GTcls.Segmentation is {mask.dtype} of shape {mask.shape}, not uint8 of height and width")
    except MemoryError:
        raise  # the file may be good
    except Exception as error:  # scipy raises whatever damaged bytes make it stumble over
        raise RotnetError(f"{shown(path)} is damaged ({type(error).__name__}: {error}). {_EXPECTED}") from None
    try:
        width, height = read_size(image)
    except DamagedImage as error:
        raise RotnetError(f"damaged image {shown(image)}: {error}. Replace it by the original.") from None
    if mask.shape != (height, width):
        raise RotnetError(
            f"{shown(path)} is {mask.shape[1]} x {mask.shape[0]} pixels, but its image {image.name} is {width} x {height}."
        )
    if odd := sorted({*np.unique(mask).tolist()} - {*range(len(VOC_CLASSES) + 1), VOID}):
        raise RotnetError(f"{shown(path)} has unknown ids: {odd[:5]}. Allowed: 0 to {len(VOC_CLASSES)}, and {VOID}.")
    return mask

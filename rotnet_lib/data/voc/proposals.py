"""Where objects may be: selective search, once for a split."""

import ctypes
import functools
import hashlib
import importlib
import shutil
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from rotnet_lib.data.opening import shown
from rotnet_lib.data.pool import in_workers, worker_count
from rotnet_lib.data.source import cache_root
from rotnet_lib.data.voc.overlap import iou
from rotnet_lib.data.voc.split import VocSplit
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import check_is_file, lock_file, replacing, waiting_for

LONGER_SIDE, REDUCED_SIDE = 500, 250
"""Pixels of the longer side that larger images are reduced to, VOC's 500, or half of it, which takes a fifth of the time and
misses small objects. Smaller ones stay: drawn scenes of 128 pixels have a recall of 0.98 as they are, and of 1 at twice the
size, which takes four times as long."""
SMALLEST = 1 / 24
"""Of the longer side: boxes with a shorter width or height are left out (20 pixels of 500, as Uijlings et al. 2013)."""
MOST = 2000
"""Boxes an image, the first of OpenCV's order, which is from the coarse to the fine with chance in it."""
RECALL_IOU = 0.5

_VERSION = 1
"""Part of the cached file's name: raise it when the same settings come to give other boxes."""
_SEED = 0
PART = 32
"""Images after which what was found is kept: a search that is killed goes on from there."""


@dataclass(frozen=True)
class Proposals:
    """Boxes that may show objects, of each image of a split.

    Attributes:
        boxes: (M, 4) float32, those of all images one after the other: left, top, right, bottom as pixel edges.
        starts: (N + 1,) int64, where each image's begin and end.
        recall: share in [0, 1] of the objects that are not difficult with a proposal of IoU >= 0.5; NaN without any object.
    """

    boxes: np.ndarray
    starts: np.ndarray
    recall: float

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, index: int) -> np.ndarray:
        """The boxes of an image, (n, 4)."""
        return self.boxes[self.starts[index] : self.starts[index + 1]]

    @property
    def mean_count(self) -> float:
        """Boxes an image."""
        return len(self.boxes) / len(self)


def find_proposals(
    split: VocSplit, fingerprint: str, workers: int | None = None, *, longer_side: int = LONGER_SIDE
) -> Proposals:
    """The proposals of a split, from the cache if it has them, else searched for by several processes and kept there.

    OpenCV's selective search in its fast mode (Uijlings et al. 2013) takes 0.1 s for an image of 128 pixels and 1.5 s for one
    of 500 on a core. What is found is kept as the search goes on, so that one that was killed continues. Another process that
    asks meanwhile waits for the one that searches.

    Args:
        split: whose images.
        fingerprint: of the set (`VocSet.fingerprint`).
        workers: processes; 0: this one, None: one a core.
        longer_side: pixels that the longer side of larger images is reduced to for the search.

    Raises:
        RotnetError: OpenCV's contrib modules are not installed; an image or annotation is damaged; an image has no proposals
            at all; the cache folder cannot be written to.
    """
    cv2 = _opencv()
    names = hashlib.sha256("\n".join(split.names).encode()).hexdigest()
    what = (_VERSION, fingerprint, split.name, len(split), names, longer_side, SMALLEST, MOST, _SEED, cv2.__version__)
    key = hashlib.sha256(repr(what).encode()).hexdigest()[:16]
    path = cache_root() / f"proposals-{split.name}-{len(split)}-{key}.npz"
    try:
        told = waiting_for(f"the proposals of the {split.name} split")
        with lock_file(path.with_name(f".{path.stem}.lock"), on_wait=told):
            if not path.exists():
                _search(_Search(split, longer_side), path, worker_count(workers))
            if _parts_of(path).exists():  # also those of a search that was killed when it had written the file
                shutil.rmtree(_parts_of(path))
    except OSError as error:
        raise RotnetError(f"cannot keep the proposals in {path.parent}: {error}. Set ROTNET_CACHE.") from None
    return _read(path, len(split))


def selective_search(image: np.ndarray, longer_side: int = LONGER_SIDE) -> np.ndarray:
    """Proposals of an image (H, W, 3) uint8 RGB: (n, 4) float32 pixel edges, no box twice.

    A function of the image and of the pixels that its longer side is reduced to, if it has more.
    """
    cv2 = _opencv()
    cv2.setNumThreads(1)  # there is a process a core; and OpenCV's threads do not survive a fork
    # The order has chance in it that comes from C's rand; cv2.setRNGSeed, the seed of OpenCV's own, changes nothing.
    ctypes.CDLL(None).srand(_SEED)
    height, width = image.shape[:2]
    reduced = Image.fromarray(image)
    reduced.thumbnail((longer_side, longer_side), Image.Resampling.BILINEAR)
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(np.asarray(reduced)[..., ::-1]))
    search.switchToSelectiveSearchFast()
    corners = search.process().astype(np.float32).reshape(-1, 4)  # left, top, width, height
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], 1)
    boxes *= np.array([width / reduced.width, height / reduced.height] * 2, np.float32)
    boxes = boxes[np.sort(np.unique(boxes, axis=0, return_index=True)[1])]
    large = (boxes[:, 2:] - boxes[:, :2]).min(1) >= SMALLEST * max(width, height)
    kept: np.ndarray = boxes[large][:MOST]
    return kept


@dataclass(frozen=True)
class _Search:
    """A worker's job: the proposals of an image, how many objects it has to find, and how many of them are among these."""

    split: VocSplit
    longer_side: int

    def __call__(self, index: int) -> tuple[np.ndarray, int, int]:
        boxes = selective_search(self.split.image(index), self.longer_side)
        objects = self.split.objects(index)
        if not len(boxes):
            raise RotnetError(
                f"selective search found no proposals in {self.split.image_path(index)}: none of its boxes is at least "
                f"{SMALLEST:.3f} of the longer side wide and high. Take the image out of the {self.split.name} list, or give "
                "proposals=rpn, a labelled deviation."
            )
        wanted = objects.boxes[~objects.difficult]
        found = (iou(wanted, boxes).max(1) >= RECALL_IOU).sum()
        return boxes, len(wanted), int(found)


def _search(search: _Search, path: Path, workers: int) -> None:
    """Search all images of a split and write what is found to a file.

    Until then it is in files of `PART` images each, in a folder beside it; a part that is there is not searched again.
    """
    folder, total = _parts_of(path), len(search.split)
    folder.mkdir(exist_ok=True)
    parts: list[_Tables] = []
    while (kept := _part(folder, len(parts))).exists():
        parts.append(_tables(kept, min(PART, total - PART * len(parts))))
    done = sum(len(part.starts) - 1 for part in parts)
    if done:
        print(f"The search for proposals of the {search.split.name} split goes on after {done} of {total} images.")
    bar = tqdm(desc=f"proposals, {search.split.name}", total=total, initial=done, unit=" images", leave=False, mininterval=0.5)
    with bar, closing(in_workers(search, range(done, total), workers)) as results:
        found: list[tuple[np.ndarray, int, int]] = []
        for result in results:
            found.append(result)
            bar.update()
            if len(found) == PART or done + len(found) == total:
                parts.append(_Tables.of(found))
                parts[-1].write(_part(folder, len(parts) - 1))
                done, found = done + len(found), []
    _Tables.together(parts).write(path)


def _parts_of(path: Path) -> Path:
    """The folder of what was found so far, beside the file that is to hold all of it."""
    return path.with_suffix(".parts")


def _part(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.npz"


@dataclass(frozen=True)
class _Tables:
    """What a file of proposals holds.

    Attributes:
        boxes, starts: see `Proposals`.
        counted: (2,) int64, objects with a proposal of IoU >= 0.5, and objects.
    """

    boxes: np.ndarray
    starts: np.ndarray
    counted: np.ndarray

    @classmethod
    def of(cls, found: Sequence[tuple[np.ndarray, int, int]]) -> "_Tables":
        """Of what `_Search` gives for one image after another."""
        boxes = [of_image for of_image, _, _ in found]
        starts = np.cumsum([0] + [len(of_image) for of_image in boxes])
        counted = np.array([sum(among for _, _, among in found), sum(wanted for _, wanted, _ in found)])
        return cls(np.concatenate(boxes), starts, counted)

    @classmethod
    def together(cls, parts: "Sequence[_Tables]") -> "_Tables":
        sizes = np.concatenate([np.diff(part.starts) for part in parts])
        boxes = np.concatenate([part.boxes for part in parts])
        return cls(boxes, np.cumsum(np.concatenate([[0], sizes])), np.sum([part.counted for part in parts], axis=0))

    def write(self, path: Path) -> None:
        with replacing(path) as temporary:
            np.savez(
                temporary,
                boxes=self.boxes,
                starts=self.starts,
                counted=self.counted,
                crc32=_checksum(self.boxes, self.starts, self.counted),
            )


def _read(path: Path, images: int) -> Proposals:
    """The proposals of so many images. Raises RotnetError if the file holds anything else."""
    tables = _tables(path, images)
    found, objects = tables.counted.tolist()
    return Proposals(tables.boxes, tables.starts, found / objects if objects else float("nan"))


def _tables(path: Path, images: int) -> _Tables:
    """The tables in a file of so many images. Raises RotnetError if it holds anything else."""
    again = "Delete that file and run again."
    check_is_file(path, again)
    try:
        with zipfile.ZipFile(path) as archive:
            # As np.savez writes it, not compressed: so it cannot grow beyond its size while it is read.
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("a compressed table")
        with np.load(path, allow_pickle=False) as file:
            boxes, starts, counted = (file[name] for name in ("boxes", "starts", "counted"))
            checksum = file.get("crc32")  # files of before have none
    except MemoryError:
        raise  # the file may be good
    except Exception as error:  # numpy and zipfile raise whatever damaged bytes make them stumble over
        raise RotnetError(f"the proposals in {shown(path)} are damaged ({error}). {again}") from None
    if checksum is not None and not np.array_equal(checksum, _checksum(boxes, starts, counted)):
        raise RotnetError(f"the proposals in {shown(path)} are damaged (their checksum is another). {again}")
    if checksum is None:
        print(f"{shown(path)} is from before proposals had a checksum: used unverified.")
    if reason := _wrong(boxes, starts, counted, images):
        raise RotnetError(f"the proposals in {shown(path)} are damaged ({reason}). {again}")
    return _Tables(boxes, starts, counted)


def _checksum(*tables: np.ndarray) -> np.ndarray:
    """Of the tables' bytes, (1,) int64."""
    return np.array([functools.reduce(lambda sum_, table: zlib.crc32(table.tobytes(), sum_), tables, 0)])


def _wrong(boxes: np.ndarray, starts: np.ndarray, counted: np.ndarray, images: int) -> str | None:
    """What tables of proposals are not as `_Tables` writes them in; None: they are."""
    if boxes.dtype != np.float32 or starts.dtype != np.int64 or counted.dtype != np.int64:
        return f"numbers of other types: {boxes.dtype}, {starts.dtype}, {counted.dtype}"
    if boxes.ndim != 2 or boxes.shape[1] != 4 or starts.shape != (images + 1,) or counted.shape != (2,):
        return f"tables of other sizes: {boxes.shape}, {starts.shape}, {counted.shape}, for {images} images"
    if starts[0] or starts[-1] != len(boxes) or (np.diff(starts) <= 0).any():
        return "tables that do not fit each other: an image without boxes, or boxes without an image"
    if not np.isfinite(boxes).all() or (boxes[:, :2] < 0).any() or (boxes[:, 2:] <= boxes[:, :2]).any():
        return "boxes that are none"
    if not 0 <= counted[0] <= counted[1]:
        return "more objects found than there are"
    return None


def _opencv() -> Any:
    """The module cv2. Raises RotnetError if it is not there, or there without the contrib modules."""
    remedy = "pip install opencv-contrib-python-headless, or give proposals=rpn, a labelled deviation"
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        raise RotnetError(f"selective search needs OpenCV with its contrib modules ({error}): {remedy}.") from None
    if not hasattr(cv2, "ximgproc"):
        raise RotnetError(
            f"the OpenCV installed ({cv2.__version__}) has no ximgproc, which selective search is part of: pip uninstall "
            f"opencv-python opencv-python-headless; {remedy}."
        )
    return cv2

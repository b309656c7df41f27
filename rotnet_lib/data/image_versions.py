"""Which image files came to be read otherwise when `image_files.VERSION` was raised: what others were used for still holds."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

import torch
from tqdm import tqdm

from rotnet_lib.data import image_files
from rotnet_lib.data.damage import name_of
from rotnet_lib.data.decode_fast import decode_bytes, read_bytes
from rotnet_lib.data.image_files import DamagedImage, read_head, read_rgb
from rotnet_lib.data.source import Source

Rule = Callable[[str, bool, bool], str | None]
"""The path of a file, whether it was left out as damaged, and whether `decode_fast` read it -> what is otherwise by the next
version; None: nothing."""


def version_of(source: Source, fingerprint: str) -> int | None:
    """The version of `image_files` by which the data of today has a fingerprint; None: it is other data."""
    versions = range(image_files.VERSION, 0, -1)
    return next((version for version in versions if source.fingerprint_of(version) == fingerprint), None)


def changed_file(source: Source, version: int, left_out: Collection[str], *, fast: bool) -> str | None:
    """A file that is read otherwise today than by an earlier version, and why: `train/cat/a.png: ...`; None: there is none.

    All files are looked at, of most the head alone, with a progress bar: a run may not have seen each of them.

    Args:
        source: the data, the same as then.
        version: the earlier one.
        left_out: the files that could not be read then, as `DataRecord.damaged` names them.
        fast: whether they were read by `decode_fast`, as streamed and shrunk ones are.
    """
    rules = [RULES[since] for since in range(version, image_files.VERSION)]
    for files in source.files.values():

        def change(index: int) -> str | None:
            path, name = files.path(index), name_of(files, index)  # noqa: B023
            found = (rule(path, name in left_out, fast) for rule in rules)
            return next((f"{name}: {what}" for what in found if what), None)

        with ThreadPoolExecutor() as pool:
            results = pool.map(change, range(len(files)))
            for found in tqdm(results, "looking for files that are read otherwise", len(files), unit=" images", leave=False):
                if found:
                    pool.shutdown(cancel_futures=True)
                    return found
    return None


def _by_version_2(path: str, left_out: bool, fast: bool) -> str | None:
    """Refused: more than 8 bits a channel, sizes, formats. Read: photographs with odd tags. Turned otherwise: streamed ones."""
    try:
        if left_out:
            decode_bytes(read_bytes(path)) if fast else read_rgb(path, upright=True)
            return "it was left out, and is read today"
        if read_head(path) and fast and _turned_otherwise(path):
            return "it is turned otherwise today, since its orientation is read by Pillow"
    except DamagedImage as error:
        return None if left_out else f"it is refused today: {error}"
    return None


def _turned_otherwise(path: str) -> bool:
    """Whether a JPEG is another image if torchvision turns it by the orientation that it finds itself."""
    from torchvision.io import ImageReadMode, decode_jpeg

    data = read_bytes(path)
    try:
        before = decode_jpeg(torch.from_numpy(data), ImageReadMode.RGB, apply_exif_orientation=True)
    except RuntimeError:
        return False  # Pillow has read it, then as now
    return not torch.equal(before, decode_bytes(data))


RULES: dict[int, Rule] = {1: _by_version_2}
"""By a version, what the next one reads otherwise."""

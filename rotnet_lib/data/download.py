"""What to say when data can be neither found nor downloaded."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

from rotnet_lib.data.source import data_root
from rotnet_lib.errors import RotnetError


@contextmanager
def downloading(name: str, folder: Path, layout: str, drawn: str = "shapes") -> Iterator[None]:
    """Turn a failed torchvision download into an error that says what to do.

    Args:
        name: the dataset.
        folder: where torchvision keeps its files.
        layout: files that would serve as well.
        drawn: the dataset that is drawn where there is none.
    """
    try:
        yield
    except (URLError, OSError, RuntimeError, ValueError) as error:
        here = folder.is_dir() and any(folder.iterdir())
        what = f"the {name} files in {folder} are incomplete or damaged" if here else f"no {name} in {data_root()}"
        raise RotnetError(
            f"{what} and it could not be downloaded ({error}). Run `rotnet data {name}` where "
            f"there is a network and copy the folder here, or put the images at {layout}, or set ROTNET_DATA to a folder "
            f"that has them. DATASET={drawn} needs no data."
        ) from None

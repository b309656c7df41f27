"""What to say when data can be neither found nor downloaded."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError

from rotnet_lib.data.opening import is_folder, names_in, shown
from rotnet_lib.data.source import data_root
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import check_is_file


@contextmanager
def downloading(name: str, folder: Path, layout: str, *written: Path, drawn: str = "shapes") -> Iterator[None]:
    """Turn a failed torchvision download into an error that says what to do.

    Args:
        name: the dataset.
        folder: where its files are kept.
        layout: files that would serve as well.
        written: the files that torchvision may write. A named pipe, into which it would write for ever, is refused.
        drawn: the dataset that is drawn where there is none.
    """
    try:
        for path in written:
            with suppress(FileNotFoundError):
                check_is_file(path, f"Take it away: a file of {name} is written there.")
        yield
    except (URLError, OSError, RuntimeError, ValueError) as error:
        here = is_folder(folder) and names_in(folder)
        what = (
            f"the {name} files in {shown(folder)} are incomplete or damaged" if here else f"no {name} in {shown(data_root())}"
        )
        raise RotnetError(
            f"{what} and it could not be downloaded ({error}). Run `rotnet data {name}` where "
            f"there is a network and copy the folder here, or put the images at {layout}, or set ROTNET_DATA to a folder "
            f"that has them. DATASET={drawn} needs no data."
        ) from None

"""What lies among the images of a split and is not read: named, so that nobody takes it for read."""

import os
from collections.abc import Iterable

from rotnet_lib.data.opening import kind_of, shown

_BYSTANDERS = frozenset({"thumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir"})
"""What file managers, archives and network disks leave in a folder, in lower case. Names that begin with a dot need no word
either."""


def is_bystander(name: str) -> bool:
    """Whether a file or folder belongs to the system rather than to the images."""
    return name.startswith(".") or name.lower() in _BYSTANDERS


def label_of(name: str, mode: int | None) -> str:
    """What a file or folder is, in the plural: `.heic files`, `files without an extension`, `folders`, `FIFOs`.

    `mode` is its `st_mode`, None if it is a link that leads nowhere.
    """
    kind = None if mode is None else kind_of(mode)
    if kind:
        return f"{kind}s"
    extension = os.path.splitext(name)[1].lower()
    return f"{shown(extension)} files" if extension else "files without an extension"


def described(found: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """`".heic files: 3, such as train/cat/a.heic"` for each label of (label, path) pairs, sorted by label."""
    groups: dict[str, tuple[int, str]] = {}
    for label, path in found:
        count, first = groups.get(label, (0, path))
        groups[label] = count + 1, min(first, path)
    return tuple(f"{label}: {count}, such as {shown(path)}" for label, (count, path) in sorted(groups.items()))

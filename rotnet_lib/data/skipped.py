"""What lies among the images of a split and is not read: named, so that nobody takes it for read."""

import os
import re
from collections.abc import Iterable

from rotnet_lib.data.opening import shown
from rotnet_lib.files import kind_of

_LEFT_BEHIND = frozenset(
    {"thumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", ".ipynb_checkpoints", ".thumbnails", ".appledouble"}
)
"""What file managers, archives, notebooks and network disks leave in a folder, in lower case."""


def is_bystander(name: str) -> bool:
    """Whether a file or folder belongs to the system rather than to the images, as what is hidden does."""
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def may_be_a_class(name: str) -> bool:
    """Whether a hidden folder may be somebody's class `.net` rather than what a program left behind."""
    return name.startswith(".") and name.lower() not in _LEFT_BEHIND


def label_of(name: str, mode: int | None) -> str:
    """What a file or folder is, in the plural: `.heic files`, `files without an extension`, `folders`, `named pipes`.

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


_DESCRIBED = re.compile(r"(.*?): (\d+), such as (.*)", re.DOTALL)


def together(found: Iterable[str]) -> list[str]:
    """What `described` says of several folders, each kind once: how many there are in all, and the first example."""
    kinds: dict[str, tuple[int, str]] = {}
    others = []
    for said in found:
        match = _DESCRIBED.fullmatch(said)
        if match is None:
            others.append(said)
            continue
        count, first = kinds.get(match[1], (0, match[3]))
        kinds[match[1]] = count + int(match[2]), first
    return [*(f"{label}: {count:,}, such as {first}" for label, (count, first) in kinds.items()), *others]

"""Changes of content: other content, and the same for the same seed."""

import os
import random
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from campaigns.inputs.mutations import change_bytes, change_path, change_text

CONTENT = bytes(range(256)) * 5
TEXT = "epochs: 20\nlr: 0.05\nlayers: [conv1, conv2]\n"

Change = Callable[[random.Random], tuple[bytes, str]]
CHANGES: dict[str, tuple[bytes, Change]] = {
    "bytes": (CONTENT, lambda rng: change_bytes(CONTENT, rng, [b"another file", b"a third one"])),
    "one byte": (b"x", lambda rng: change_bytes(b"x", rng)),
    "text": (TEXT.encode(), lambda rng: change_text(TEXT, rng)),
    "one word": (b"x", lambda rng: change_text("x", rng)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_content_is_another_and_that_is_said(name: str) -> None:
    content, change = CHANGES[name]
    for seed in range(300):
        changed, what = change(random.Random(seed))
        assert changed != content
        assert what


@pytest.mark.parametrize("name", CHANGES)
def test_equal_seeds_give_equal_content_and_others_do_not(name: str) -> None:
    _, change = CHANGES[name]
    first, again = ([change(random.Random(seed)) for seed in range(100)] for _ in range(2))
    assert first == again
    assert len({changed for changed, _ in first}) > 20


def test_bits_are_flipped_and_files_are_cut_emptied_and_swapped() -> None:
    found = [change_bytes(CONTENT, random.Random(seed), [b"donor"])[0] for seed in range(300)]
    assert any(
        sum(a != b for a, b in zip(changed, CONTENT, strict=False)) == 1 for changed in found if len(changed) == len(CONTENT)
    )
    assert any(0 < len(changed) < len(CONTENT) and CONTENT.startswith(changed) for changed in found)
    assert b"" in found
    assert b"donor" in found


def test_odd_characters_and_numbers_come_into_a_text() -> None:
    found = b"".join(change_text(TEXT, random.Random(seed))[0] for seed in range(500))
    for odd in (b"\0", b"\x1b", "\ud800".encode("utf-8", "surrogatepass"), b"nan", str(2**64).encode(), b"x" * 10_000):
        assert odd in found, odd


def test_another_thing_stands_in_a_files_place(tmp_path: Path) -> None:
    kinds = set()
    for seed in range(100):
        path = tmp_path / f"{seed}" / "file"
        path.parent.mkdir()
        path.write_bytes(CONTENT)
        change_path(path, random.Random(seed))
        kinds.add(stat.S_IFMT(os.lstat(path).st_mode) if os.path.lexists(path) else None)
    assert kinds == {None, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFLNK}

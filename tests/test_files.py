"""Files that are whole or not there."""

import os
from pathlib import Path

import pytest

from rotnet_lib.files import replacing, write_text


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "note.txt"
    write_text(path, "92.5 ± 0.2 %\n")
    assert path.read_bytes() == "92.5 ± 0.2 %\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_a_reader_sees_the_old_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    write_text(path, "old")
    with replacing(path) as temporary:
        temporary.write_text("half a new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent  # so that the rename is atomic
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("before", ["old", None])
def test_an_error_leaves_what_was(error: type[BaseException], before: str | None, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    if before:
        write_text(path, before)

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert [p.read_text() for p in tmp_path.iterdir()] == ([before] if before else [])


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_are_the_usual_ones(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "note.txt", "x")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert (tmp_path / "note.txt").stat().st_mode & 0o777 == mode

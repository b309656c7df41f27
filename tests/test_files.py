"""Files and folders that are complete or absent, and locks between processes."""

import io
import multiprocessing
import os
import threading
import time
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from rotnet_lib.files import LockTimeout, is_locked, lock_file, make_once, replacing, sign_lock, write_text


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


# --- A folder made once ---


def test_two_that_come_together_make_it_once(tmp_path: Path) -> None:
    printed = io.StringIO()  # capsys would lose what one thread prints while another reads
    begun, calls = threading.Event(), []

    def write(folder: Path) -> None:
        calls.append(folder)
        begun.set()
        deadline = time.monotonic() + 30
        while "waiting" not in printed.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
        (folder / "file").write_text("whole")

    first = threading.Thread(target=make_once, args=(tmp_path / "made", write))
    second = threading.Thread(target=make_once, args=(tmp_path / "made", write))
    with redirect_stdout(printed):
        first.start()
        assert begun.wait(30)
        second.start()
        first.join()
        second.join()
    assert len(calls) == 1
    assert (tmp_path / "made" / "file").read_text() == "whole"
    assert f"another process makes {tmp_path / 'made'}: waiting for it." in printed.getvalue()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=make_once, args=(tmp_path / "made", lambda _: os._exit(9)))
    process.start()
    process.join(10)
    assert process.exitcode == 9
    assert len(list(tmp_path.glob(".made.tmp-*"))) == 1
    make_once(tmp_path / "made", lambda folder: (folder / "file").touch())
    assert sorted(path.name for path in tmp_path.iterdir()) == [".made.lock", "made"]


# --- Locks ---


def test_a_lock_names_its_owner_until_it_is_released(tmp_path: Path) -> None:
    path = tmp_path / "folder" / ".lock"
    assert not is_locked(path)
    assert not path.exists()  # asking does not make it
    for _ in range(2):
        with lock_file(path) as lock:
            assert is_locked(path)
            assert path.read_text() == str(os.getpid())
            sign_lock(lock, "4711")
            assert path.read_text() == "4711"
        assert not is_locked(path)


def test_who_waits_with_a_limit_is_told_the_owner_once(tmp_path: Path) -> None:
    told: list[str] = []
    with lock_file(tmp_path / ".lock"), pytest.raises(LockTimeout) as held:
        lock_file(tmp_path / ".lock", wait_seconds=0.3, on_wait=told.append)
    assert told == [held.value.owner] == [str(os.getpid())]
    lock_file(tmp_path / ".lock").close()  # the one that gave up holds nothing


@pytest.mark.parametrize("wait_seconds", [None, 20])
def test_who_waits_gets_the_lock_when_it_is_released(wait_seconds: float | None, tmp_path: Path) -> None:
    first = lock_file(tmp_path / ".lock")
    asked = threading.Event()

    def release() -> None:
        asked.wait(10)
        time.sleep(0.3)
        first.close()

    thread = threading.Thread(target=release)
    thread.start()
    with lock_file(tmp_path / ".lock", wait_seconds=wait_seconds, on_wait=lambda owner: asked.set()):
        assert first.closed
    thread.join()


def test_a_lock_without_an_owner(tmp_path: Path) -> None:
    with lock_file(tmp_path / ".lock"):
        (tmp_path / ".lock").write_text("")
        with pytest.raises(LockTimeout, match="held by process unknown"):
            lock_file(tmp_path / ".lock", wait_seconds=0)


def test_what_is_interrupted_while_it_waits_holds_nothing(tmp_path: Path) -> None:
    def interrupt(owner: str) -> None:
        raise KeyboardInterrupt

    with lock_file(tmp_path / ".lock"), pytest.raises(KeyboardInterrupt):
        lock_file(tmp_path / ".lock", on_wait=interrupt)
    assert not is_locked(tmp_path / ".lock")

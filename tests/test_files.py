"""Files and folders that are complete or absent, and locks between processes."""

import errno
import fcntl
import io
import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from rotnet_lib.errors import RotnetError, StorageError
from rotnet_lib.files import LockTimeout, explaining, is_locked, lock_file, make_once, replacing, sign_lock, write_text


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


def test_who_waited_for_a_lock_that_was_removed_takes_the_one_that_others_see(tmp_path: Path) -> None:
    path = tmp_path / "run" / ".lock"
    first = lock_file(path)
    asked = threading.Event()
    owners: list[str] = []

    def told(owner: str) -> None:
        owners.append(owner)
        asked.set()

    def remove() -> None:
        asked.wait(10)
        shutil.rmtree(path.parent)
        first.close()

    thread = threading.Thread(target=remove)
    thread.start()
    with lock_file(path, on_wait=told):
        thread.join()
        assert is_locked(path)
        with pytest.raises(LockTimeout):
            lock_file(path, wait_seconds=0)
    assert owners == [str(os.getpid())]


def test_the_time_limit_holds_over_locks_that_are_removed(tmp_path: Path) -> None:
    """Each is held by another."""
    path = tmp_path / ".lock"
    held = [lock_file(path)]

    def replace() -> None:
        time.sleep(0.3)
        path.unlink()
        held.append(lock_file(path))
        held[0].close()

    thread = threading.Thread(target=replace)
    thread.start()
    begin = time.monotonic()
    with pytest.raises(LockTimeout):
        lock_file(path, wait_seconds=1)
    thread.join()
    held[1].close()
    assert 0.9 < time.monotonic() - begin < 5


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_dangling_link(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere" / "lock")


def make_looping_link(path: Path) -> None:
    path.symlink_to(path)


NO_LOCKS: list[tuple[Callable[[Path], None], str]] = [
    (make_pipe, "is no file but a named pipe"),
    (Path.mkdir, "is no file but a folder"),
    (make_dangling_link, "is a link that leads nowhere"),
    (make_looping_link, "is a link that leads nowhere"),
]


@pytest.mark.timeout(10)
@pytest.mark.parametrize(("make", "what"), NO_LOCKS)
def test_what_is_no_lock_is_named_at_once(make: Callable[[Path], None], what: str, tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    make(path)
    with pytest.raises(RotnetError, match=rf"{path} {what}\. Remove it"):
        lock_file(path)
    with pytest.raises(RotnetError, match=rf"{path} {what}\. Remove it"):
        is_locked(path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.timeout(10)
def test_a_cache_whose_lock_is_none_is_named_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".made.lock")
    with pytest.raises(RotnetError, match=r"\.made\.lock is no file but a named pipe"):
        make_once(tmp_path / "made", lambda folder: None)


def test_a_link_to_a_lock_is_that_lock(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / ".lock")
    with lock_file(tmp_path / ".lock"):
        assert is_locked(tmp_path / "link")


def test_who_asks_whether_a_lock_is_held_is_not_taken_for_its_holder(tmp_path: Path) -> None:
    lock_file(tmp_path / ".lock").close()
    with (tmp_path / ".lock").open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)  # as `is_locked` does for a moment
        assert not is_locked(tmp_path / ".lock")
        threading.Timer(0.01, lambda: fcntl.flock(asking, fcntl.LOCK_UN)).start()
        told: list[str] = []
        lock_file(tmp_path / ".lock", wait_seconds=0, on_wait=told.append).close()
        assert not told


def test_what_has_been_explained_is_not_explained_again(tmp_path: Path) -> None:
    def fail() -> None:
        with explaining(tmp_path / "a"), explaining(tmp_path / "b"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match="/b: No space left") as raised:
        fail()
    assert isinstance(raised.value.__cause__, OSError)

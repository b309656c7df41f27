"""Temporary folders: gone at the end, and if their process was killed, at the next start."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rotnet_lib.errors import StorageError
from rotnet_lib.temporary import temporary_folder


def entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


@contextmanager
def made_by_another_process(parent: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that has made a temporary folder with a file in it, and the folder."""
    code = (
        "import sys, time; from pathlib import Path; from rotnet_lib.temporary import temporary_folder\n"
        "with temporary_folder(Path(sys.argv[1])) as path:\n"
        "    (path / 'kernel.json').touch(); print(path, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(parent)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_it_is_there_for_the_block_and_short(tmp_path: Path) -> None:
    with temporary_folder(tmp_path) as path:
        assert entries(tmp_path) == [path]
        (path / "socket").touch()
        assert len(path.name) <= 15  # a socket's whole path has about 100 characters
    assert entries(tmp_path) == []


def test_it_goes_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), temporary_folder(tmp_path):
        raise KeyboardInterrupt
    assert entries(tmp_path) == []


def test_several_live_side_by_side(tmp_path: Path) -> None:
    with temporary_folder(tmp_path) as one, temporary_folder(tmp_path) as two:
        assert entries(tmp_path) == sorted([one, two])


@pytest.mark.slow
def test_a_folder_stays_as_long_as_its_process_lives_and_goes_when_that_was_killed(tmp_path: Path) -> None:
    with made_by_another_process(tmp_path) as (process, left):
        with temporary_folder(tmp_path) as path:
            assert entries(tmp_path) == sorted([path, left])
        assert (left / "kernel.json").exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert entries(tmp_path) == [left]
        with temporary_folder(tmp_path) as path:
            assert entries(tmp_path) == [path]


def test_what_cannot_be_told_to_be_left_stays(tmp_path: Path) -> None:
    """Of an earlier version, which left no owner's file; with an owner's file that is none; of another program."""
    earlier = tmp_path / "rotnet-8w6xq9zr"
    odd = tmp_path / "rotnet-onn32o15"
    other = tmp_path / "rotnet-results"
    for folder in (earlier, odd, other):
        folder.mkdir()
        (folder / "kernel.json").touch()
    os.mkfifo(odd / "owner")
    (other / "owner").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "owner").touch()
    (tmp_path / "rotnet-abcdefgh").symlink_to(tmp_path / "elsewhere")
    before = entries(tmp_path)
    with temporary_folder(tmp_path):
        pass
    assert entries(tmp_path) == before


def test_a_folder_of_another_user_stays(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a folder away")
    theirs, own = tmp_path / "rotnet-8w6xq9zr", tmp_path / "rotnet-onn32o15"
    for folder in (theirs, own):
        folder.mkdir()
        (folder / "owner").touch()
    os.chown(theirs, 65534, -1)
    with temporary_folder(tmp_path) as path:
        assert entries(tmp_path) == sorted([path, theirs])


def test_a_place_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=f"cannot write {tmp_path}/file"), temporary_folder(tmp_path / "file"):
        pass


@pytest.mark.parametrize("removed", [1, 10, 20, 21])
def test_a_folder_whose_process_was_killed_while_it_removed_it_goes(removed: int, tmp_path: Path) -> None:
    """Killed as it is about to remove the n-th of 21 files, of which the owner's is one."""
    code = f"""
import os, signal, sys
from pathlib import Path
from rotnet_lib.temporary import temporary_folder
seen = []
def hook(event, arguments):
    if event == "os.remove":
        seen.append(arguments)
        if len(seen) == {removed}:
            os.kill(os.getpid(), signal.SIGKILL)
with temporary_folder(Path(sys.argv[1])) as path:
    for number in range(20):
        (path / f"{{number}}").touch()
    sys.addaudithook(hook)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert len(entries(tmp_path)) == 1
    with temporary_folder(tmp_path) as path:
        assert entries(tmp_path) == [path]


SLEEPER = "import sys, time; time.sleep(60)"


def test_what_was_started_for_the_folder_ends_with_it(tmp_path: Path) -> None:
    """A kernel that is still starting would make the folder again."""
    with subprocess.Popen([sys.executable, "-c", SLEEPER, "elsewhere/kernel.json"]) as other:
        with temporary_folder(tmp_path) as path:
            process = subprocess.Popen([sys.executable, "-c", SLEEPER, f"{path}/kernel.json"])
        alive = [each.poll() is None for each in (process, other)]
        other.kill()
    assert alive == [False, True]
    assert entries(tmp_path) == []


def test_a_folder_stays_until_what_was_started_for_it_has_ended(tmp_path: Path) -> None:
    with made_by_another_process(tmp_path) as (process, left):
        process.kill()
        process.wait()
    with subprocess.Popen([sys.executable, "-c", SLEEPER, f"{left}/kernel.json"]) as kernel:
        with temporary_folder(tmp_path):
            assert left.exists()
        kernel.kill()
        kernel.wait()
    with temporary_folder(tmp_path) as path:
        assert entries(tmp_path) == [path]

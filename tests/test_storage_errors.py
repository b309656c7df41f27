"""Full and read-only disks, files where folders should be: the user is told which path, why, and what to do."""

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from click.testing import CliRunner, Result

from rotnet_lib.cli import main
from rotnet_lib.errors import RotnetError, StorageError
from rotnet_lib.files import is_locked, lock_file, make_folder, make_once, replacing, storage_error, write_text
from rotnet_lib.runs.directory import RunDirectory, directory_of
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.suites.plan import Options, make_plan
from rotnet_lib.suites.resolve import configure
from rotnet_lib.yaml_reader import parse_yaml


def rotnet(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def mounted(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    try:
        made = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no mount command here")
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    yield from mounted(tmp_path / "small", "size=64k")


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A disk that nobody may write on, not even root."""
    yield from mounted(tmp_path / "read_only", "ro,size=64k")


@pytest.fixture
def file_size_limit() -> Iterator[int]:
    """This process may write files of 4 KiB at most, which fails as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield 4096
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def told(path: Path, reason: int, *parts: str) -> str:
    """A pattern for the message about a path."""
    return "(?s)" + ".*".join([f"cannot write {path}", os.strerror(reason), *parts])


ELSEWHERE = "keep runs in another folder .*RUNS.*ROTNET_DATA, ROTNET_CACHE"

# --- Files of the library ---


def test_a_full_disk_is_named_and_the_old_file_stays(small_disk: Path) -> None:
    path = small_disk / "note.txt"
    write_text(path, "old")
    with pytest.raises(RotnetError, match=told(path, errno.ENOSPC, "Free some space there", ELSEWHERE)):
        write_text(path, "x" * 10**6)
    assert path.read_text() == "old"
    assert list(small_disk.iterdir()) == [path]


def test_a_file_that_may_not_grow_is_named_and_the_old_file_stays(tmp_path: Path, file_size_limit: int) -> None:
    path = tmp_path / "note.txt"
    write_text(path, "old")
    with pytest.raises(RotnetError, match=told(path, errno.EFBIG, "ulimit -f", ELSEWHERE)):
        write_text(path, "x" * (file_size_limit + 1))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_safetensors_could_not_write_is_named(tmp_path: Path, file_size_limit: int) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(RotnetError, match=told(path, errno.EFBIG)), replacing(path) as temporary:
        safetensors.numpy.save_file({"weights": np.zeros(file_size_limit)}, temporary)
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_disk_is_named(read_only: Path) -> None:
    reason = told(read_only, errno.EROFS, "Allow reading and writing there", ELSEWHERE)
    with pytest.raises(RotnetError, match=reason):
        write_text(read_only / "note.txt", "x")
    with pytest.raises(RotnetError, match=reason):
        make_folder(read_only / "folder")
    with pytest.raises(RotnetError, match=reason):
        lock_file(read_only / ".lock")
    with pytest.raises(RotnetError, match=reason):
        make_once(read_only / "made", lambda folder: None)


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(RotnetError, match=f"cannot write {tmp_path}/runs.*: .*the file that stands where a folder is needed"):
        write_text(tmp_path / "runs" / "one" / "note.txt", "x")
    with pytest.raises(RotnetError, match=told(tmp_path / "runs", errno.EEXIST)):
        make_folder(tmp_path / "runs")
    with pytest.raises(RotnetError, match=f"cannot write {tmp_path}/runs"):
        make_once(tmp_path / "runs" / "made", lambda folder: None)


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "note.txt" / "full").mkdir(parents=True)
    with pytest.raises(RotnetError, match="the folder that stands where a file is needed"):
        write_text(tmp_path / "note.txt", "x")


def test_a_name_that_is_too_long_is_named(tmp_path: Path) -> None:
    with pytest.raises(RotnetError, match=os.strerror(errno.ENAMETOOLONG)):
        write_text(tmp_path / ("x" * 300), "x")


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "no such file", "x"), OSError("odd"), KeyError("x")])
def test_what_may_be_a_mistake_of_ours_stays_as_it_is(error: Exception, tmp_path: Path) -> None:
    def write() -> None:
        with replacing(tmp_path / "note.txt"):
            raise error

    with pytest.raises(type(error)) as raised:
        write()
    assert raised.value is error
    assert storage_error(error) is None


def test_code_that_knows_what_the_file_is_may_catch_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(OSError, match="cannot write") as error:
        make_folder(tmp_path / "cache")
    assert isinstance(error.value, StorageError)


def test_a_lock_is_looked_at_without_writing(tmp_path: Path) -> None:
    """The states of runs on a read-only disk can be told."""
    path = tmp_path / ".lock"
    with lock_file(path):
        before = path.stat().st_mtime_ns
        assert is_locked(path)
    assert not is_locked(path)
    assert path.stat().st_mtime_ns == before
    assert path.read_text() == str(os.getpid())


# --- Runs and commands ---


def test_a_run_whose_folder_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    config = PretrainConfig.build({"dataset": "shapes"})
    with pytest.raises(RotnetError, match=f"cannot write {tmp_path}/runs"):
        directory_of(config, "fingerprint").open(config)
    assert RunDirectory(tmp_path / "runs" / "one").state == "missing"


@pytest.mark.parametrize(
    "command",
    [
        ["reproduce", "table3", "--preset", "quick", "--runs", "FOLDER"],
        ["run", "pretrain", "--preset", "quick", "-p", "runs", "FOLDER"],
    ],
    ids=["reproduce", "run"],
)
class TestCommands:
    def test_a_file_as_the_folder_of_runs(self, command: list[str], tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        result = rotnet(*("file" if word == "FOLDER" else word for word in command))
        assert isinstance(result.exception, SystemExit)
        assert f"Error: cannot write {tmp_path}/file" in result.output
        assert "--runs" in result.output

    def test_a_read_only_folder_of_runs(self, command: list[str], read_only: Path) -> None:
        result = rotnet(*(str(read_only) if word == "FOLDER" else word for word in command))
        assert isinstance(result.exception, SystemExit)
        assert f"Error: cannot write {read_only}" in result.output
        assert os.strerror(errno.EROFS) in result.output

    def test_a_folder_of_runs_that_cannot_be(self, command: list[str]) -> None:
        for runs, reason in (("~nosuchuser/x", "no such home folder"), ("x" * 256, "too long")):
            result = rotnet(*(runs if word == "FOLDER" else word for word in command))
            assert isinstance(result.exception, SystemExit), runs
            assert reason in result.output


@pytest.mark.timeout(30)
def test_a_pipe_in_the_place_of_a_lock_is_named_and_the_other_runs_are_told_of(started: Callable[[], list[str]]) -> None:
    plan = make_plan("table3", Options(preset="quick"))
    run = plan.runs[2]
    run.directory.path.mkdir(parents=True)
    os.mkfifo(run.directory.path / ".lock")
    result = rotnet("status", "table3", "--preset", "quick")
    assert result.output.startswith("table3 (preset quick): 1 damaged, 6 missing\n")
    told = f"{run.key}, seed 0: {run.directory.path}/.lock is no file but a named pipe. Remove it"
    assert told in result.output
    os.mkfifo("runs/.lock")
    result = rotnet("reproduce", "table3", "--preset", "quick")
    assert isinstance(result.exception, SystemExit)
    assert f"Error: {Path.cwd()}/runs/.lock is no file but a named pipe. Remove it" in result.output
    assert started() == []


@pytest.mark.parametrize("command", [["reproduce", "table3"], ["status", "table3"], ["clean"]], ids=lambda words: words[0])
def test_an_empty_text_is_no_folder_of_runs(command: list[str]) -> None:
    """As of a variable that is not set: it would be the working folder, whatever lies there."""
    result = rotnet(*command, "--runs", "")
    assert isinstance(result.exception, SystemExit)
    assert "'' is no path: it is empty. The folder that this command was started in is called '.'." in result.output
    assert list(Path.cwd().iterdir()) == []


def test_a_parameter_without_a_value_is_the_usual_one() -> None:
    """As RUNS= of make."""
    config = configure("pretrain", {"runs": parse_yaml("", "")}, "quick")
    assert config.runs == "runs"


def test_status_of_runs_on_a_read_only_disk(read_only: Path) -> None:
    result = rotnet("status", "table3", "--preset", "quick", "--runs", str(read_only))
    assert result.output.startswith("table3 (preset quick): 7 missing")


def test_what_no_guard_was_around_is_named_by_the_command() -> None:
    """The answer itself cannot be written here."""
    command = [sys.executable, "-c", "from rotnet_lib.cli import main; main()", "status", "table3", "--preset", "quick"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: cannot read or write a file: {os.strerror(errno.ENOSPC)}. Free some space there")

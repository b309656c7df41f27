"""`rotnet migrate`: a process that is killed leaves every run valid, and the second call goes on."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rotnet_lib.data import image_files, image_versions
from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.directory import (
    RunDirectory,
    finished_runs,
)
from rotnet_lib.suites.migration import migrate, plan_migration
from tests.suites.runs_of_before import (
    lines,
    rotnet,
    today,
)


@pytest.fixture
def interrupted(old: dict[str, RunDirectory], tmp_path: Path) -> RunDirectory:
    """A run of which a killed process has made the copy."""
    run = old["rotnet"]
    shutil.copytree(run.path, tmp_path / "kept")
    rotnet("migrate", "--yes")
    shutil.move(tmp_path / "kept", run.path)
    return run


def test_what_was_copied_already_is_removed(interrupted: RunDirectory) -> None:
    copy = today()["rotnet"].name
    result = rotnet("migrate", answer="y\n")
    assert lines(result) == {
        interrupted.name: f"its copy {copy} is complete (an earlier call was interrupted); {interrupted.name} is removed"
    }
    assert "Rename 1 run?" in result.stdout
    assert not interrupted.path.exists()
    assert all(run.finished for run in today().values())


def test_a_run_stays_whose_copy_has_gone_meanwhile(interrupted: RunDirectory) -> None:
    migration = plan_migration("runs")
    shutil.rmtree(today()["rotnet"].path)
    with pytest.raises(RotnetError, match="is not finished"):
        migrate(migration, "runs")
    assert interrupted.finished


def test_a_copy_that_gets_another_name_is_renamed_after_the_first_is_removed(interrupted: RunDirectory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_files, "VERSION", 3)
        patch.setitem(image_versions.RULES, 2, lambda path, left_out, fast: None)
        rotnet("migrate", "--yes")
        assert {run.name for run in finished_runs(Path("runs").absolute())} == {run.name for run in today().values()}


KILLED = """
import os, signal, shutil, sys
from pathlib import Path
import torch
from rotnet_lib.suites.migration import migrate, plan_migration
from rotnet_lib.runs.directory import RunDirectory, finished_runs

torch.set_num_threads(1)
WRITES = {"os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "os.utime", "os.chmod", "open"}
pairs = [pair.split("=") for pair in sys.argv[1:]]
root = Path("runs").absolute()

def killed_at(number):
    # Whether a process that is killed before it changes a file for the n-th time is killed at all.
    count = 0
    def hook(event, arguments):
        nonlocal count
        writing = event != "open" or (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if event in WRITES and writing and "runs" in str(arguments[0]):
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
    if not (child := os.fork()):
        sys.addaudithook(hook)
        migrate(plan_migration("runs"), "runs", lambda line: None)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])

number = 1
while killed_at(number):
    for old, new in pairs:
        assert RunDirectory(root / old).finished or RunDirectory(root / new).finished, (number, old)
    migrate(plan_migration("runs"), "runs", lambda line: None)
    assert sorted(run.name for run in finished_runs(root)) == sorted(new for _, new in pairs), number
    for path in root.iterdir():
        left = [path.name for path in path.iterdir()] if path.is_dir() and path.name.startswith("rotnet-") else []
        assert left in ([], [".owner"]), (number, path, left)
    shutil.rmtree(root)
    shutil.copytree("kept", root)
    number += 1
print(number)
"""


@pytest.mark.slow
@pytest.mark.kills
def test_a_process_that_is_killed_anywhere_leaves_every_run_valid(old: dict[str, RunDirectory]) -> None:
    """Before each change of a file in turn; a second call then ends what it began."""
    for key in ("weights", "weighted", "drawn"):
        shutil.rmtree(old.pop(key).path)
    shutil.copytree("runs", "kept")
    new = today()
    pairs = [f"{run.name}={new[key].name}" for key, run in old.items()]
    done = subprocess.run([sys.executable, "-c", KILLED, *pairs], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40

"""Where a figure comes from."""

import os
import re
import subprocess
from pathlib import Path

import psutil
import pytest
import torch

import rotnet_lib
from rotnet_lib.runs import provenance
from rotnet_lib.runs.schema import Environment

CPU = torch.device("cpu")


def test_the_environment_is_plain_json() -> None:
    environment = provenance.environment(CPU)
    assert Environment.model_validate_json(environment.model_dump_json()) == environment
    assert environment.rotnet_lib == rotnet_lib.__version__
    assert environment.threads == environment.processes == 1
    assert provenance.environment(CPU, processes=4).processes == 4
    assert environment.cores == os.cpu_count()
    assert environment.cuda is None
    assert environment.device == environment.cpu != ""
    assert torch.__version__.startswith(environment.packages["torch"].partition("+")[0])
    assert re.fullmatch(r"3\.\d+\.\d+.*", environment.python)


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert provenance.installed("no-such-package-at-all") is None


def test_the_peak_of_memory_is_at_least_what_is_used_now() -> None:
    used = psutil.Process().memory_info().rss / 2**20
    assert 0.95 * used <= provenance.peak_memory_mib() < psutil.virtual_memory().total / 2**20


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository without a commit that looks as if the code lay in it."""
    root = tmp_path / "checkout"
    (root / "rotnet_lib").mkdir(parents=True)
    (root / "rotnet_lib" / "__init__.py").write_text("")
    monkeypatch.setattr(rotnet_lib, "__file__", str(root / "rotnet_lib" / "__init__.py"))
    git(root, "init", "--quiet")
    return root


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", "-C", root, *identity, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_is_named_and_whether_the_code_differs_from_it(checkout: Path) -> None:
    assert provenance.commit() is None  # there is none yet
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "first")
    head = git(checkout, "rev-parse", "HEAD")
    assert provenance.commit() == head[:12]
    (checkout / "notes.txt").write_text("an untracked file is no change of the code")
    assert provenance.commit() == head[:12]
    (checkout / "rotnet_lib" / "__init__.py").write_text("changed = True")
    assert provenance.commit() == f"{head[:12]}+changes"


def test_no_commit_without_git(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert provenance.commit() is None


def test_no_commit_outside_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotnet_lib, "__file__", str(tmp_path / "site-packages" / "rotnet_lib" / "__init__.py"))
    assert provenance.commit() is None

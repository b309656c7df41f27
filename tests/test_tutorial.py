"""docs/tutorial-method.md: its files, put into a copy of the project, and each of its commands."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TUTORIAL = (ROOT / "docs" / "tutorial-method.md").read_text()

SMALL = "-p epochs 1 -p train_size 40 -p test_size 20 -p width 0.05"
PRETRAIN = "rotnet run pretrain --preset quick -p arch alexnet -p task nearby"
TABLE = "make reproduce-table5 METHODS=nearby PRESET=quick"
CONTRACT = "python -m pytest tests/pretext/test_nearby.py tests/pretext/test_contract.py -k nearby"

SET_UP = ("git clone <this repository> rotnet-lib && cd rotnet-lib", "make setup", ". .venv/bin/activate")
"""What the copy stands in for."""

PLANNED = {
    "rotnet plan table5 --preset quick --methods nearby --explain": "the same",
    # What takes minutes is planned: make -n says what would run.
    f'{TABLE} SET="validate=0.1"': f'make -n {TABLE.removeprefix("make ")} SET="validate=0.1"',
    f'{TABLE} SET="validate=0.1 nearby.lr=0.05"': f'make -n {TABLE.removeprefix("make ")} SET="validate=0.1 nearby.lr=0.05"',
    TABLE: f"make -n {TABLE.removeprefix('make ')}",
    # The same run, in a suite's plan.
    f"{PRETRAIN} -p task_options '{{tint: 0}}'": (
        'rotnet plan table5 --preset quick --methods nearby --set "nearby.task_options.tint=0"'
    ),
    'make test-all PYTEST_ARGS="-k nearby"': 'make -n test-all PYTEST_ARGS="-k nearby"',
    # Of what `make lint` does, what is done in a second, on the two files.
    "make lint": "ruff check --no-cache {files} && ruff format --no-cache --check {files}",
}
"""Commands of the tutorial, and what is tried in place of each: in seconds."""

RUN = {
    CONTRACT: f"{CONTRACT} -q -p no:cacheprovider -p no:xdist",
    PRETRAIN: f"{PRETRAIN} {SMALL}",
    "rotnet run inspect": "the same",  # of the run before it
}
"""Likewise: those that train. Fewer images, one epoch, a narrower network."""

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def files() -> dict[str, str]:
    """Path -> what the tutorial puts there: the block of code below a line that ends with the path."""
    return dict(re.findall(r"`([\w./-]+)`:\n\n```\w+\n(.*?)```", TUTORIAL, re.DOTALL))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has who has written the tutorial's files; `.venv` hands on to the Python that runs this test."""
    copy = tmp_path_factory.mktemp("tutorial") / "rotnet-lib"
    for folder in ("rotnet_lib", "tests", "notebooks"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, copy)
    for name, text in files().items():
        with (copy / name).open("a" if name.endswith(".yaml") else "x") as file:
            file.write(text)
    tools = copy / ".venv" / "bin"
    tools.mkdir(parents=True)
    python = shlex.quote(sys.executable)
    for name, call in {"python": "", "rotnet": "-m rotnet_lib.cli", "ruff": "-m ruff"}.items():
        (tools / name).write_text(f'#!/bin/sh\nexec {python} {call} "$@"\n')
        (tools / name).chmod(0o755)
    (copy / ".venv" / ".ready").write_text(f"{copy}\n")
    return copy


def typed(command: str, checkout: Path) -> str:
    """What a command prints in the copy; it must succeed."""
    own = {"PATH": f"{checkout / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(checkout)}
    own |= {"ROTNET_DATA": str(checkout / "data"), "ROTNET_CACHE": str(checkout / "cache"), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, shell=True, cwd=checkout, env=os.environ | own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_each_command_is_tried() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", TUTORIAL, re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    assert sorted(commands) == sorted([*SET_UP, *PLANNED, *RUN])


def test_its_files_are_new_but_for_the_methods() -> None:
    assert set(files()) == {
        "rotnet_lib/pretext/nearby.py",
        "tests/pretext/test_nearby.py",
        "rotnet_lib/suites/methods.yaml",
    }
    assert [name for name in files() if (ROOT / name).exists()] == ["rotnet_lib/suites/methods.yaml"]


@needs_make
@pytest.mark.parametrize("command", PLANNED)
def test_what_is_planned(command: str, checkout: Path) -> None:
    code = " ".join(name for name in files() if name.endswith(".py"))
    instead = PLANNED[command]
    said = typed(command if instead == "the same" else instead.format(files=code), checkout)
    if "table5" in command:
        assert "nearby, seed 0: would run" in said
        assert "linear-nearby, seed 0: would run" in said
    if "tint" in command:
        assert re.search(r"/runs/nearby-\S*-tint-0-", said)
    if "test-all" in command:
        assert "-k nearby" in said


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_is_run(checkout: Path) -> None:
    """In the tutorial's order: each shows what the one before has made."""
    said = {command: typed(command if instead == "the same" else instead, checkout) for command, instead in RUN.items()}
    assert "passed" in said[CONTRACT]
    *_, trained, inspected = said.values()
    for printed in (trained, inspected):
        assert re.search(r"^nearby_top1 [\d.]+ %: ", printed, re.MULTILINE), printed
        report = re.search(r"^report: (.+)$", printed, re.MULTILINE)
        assert report
        assert Path(report[1]).is_file()
    assert "backbone: nearby-alexnet-" in inspected

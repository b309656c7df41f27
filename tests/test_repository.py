"""The checkout: pins, README and what git keeps, held against each other."""

import itertools
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rotnet_lib
from rotnet_lib.cli import main
from rotnet_lib.stages import STAGES
from rotnet_lib.suites.overrides import parse_overrides
from rotnet_lib.suites.suite import load_suite, suite_names
from tests.readme import README, commands

ROOT = Path(__file__).parents[1]

needs_git = pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(), reason="this is no git checkout, or git is not installed"
)


def tracked() -> list[Path]:
    """The files git keeps, or would keep if everything were added now."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


# --- Versions ---


def test_pins_are_exact_and_name_no_address() -> None:
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) > 50
    for line in lines:
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*(\[[a-z0-9,-]+\])?==[0-9][a-zA-Z0-9.!+]*( ; .+)?", line), line
        assert "://" not in line
        assert "@" not in line
        Requirement(line)


def pins() -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def test_everything_used_directly_is_pinned() -> None:
    direct = [line.partition("#")[0].strip() for line in (ROOT / "requirements.in").read_text().splitlines()]
    names = {canonicalize_name(Requirement(line).name) for line in direct if line}
    assert names <= set(pins())


def test_what_the_pins_leave_out_is_not_brought_back_by_an_installer() -> None:
    lines = [line.partition("#")[0].strip() for line in (ROOT / "requirements-overrides.txt").read_text().splitlines()]
    left_out = {canonicalize_name(Requirement(line).name) for line in lines if line}
    assert left_out
    assert not left_out & set(pins())
    for name in ("Makefile", "environment.yml"):
        installs = [line for line in (ROOT / name).read_text().splitlines() if "-r requirements.txt" in line]
        assert installs
        assert all("--no-deps" in line for line in installs), name


def test_pins_satisfy_what_the_package_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = (ROOT / "requirements.in").read_text()
    for line in project["dependencies"]:
        asked = Requirement(line)
        assert re.search(rf"^{re.escape(asked.name)}\b", direct, re.MULTILINE), f"{asked.name} is not in requirements.in"
        for pin in pins()[canonicalize_name(asked.name)]:
            version = next(iter(pin.specifier)).version
            assert asked.specifier.contains(version, prereleases=True), f"{pin} against {asked}"


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == rotnet_lib.__version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation.get("version", rotnet_lib.__version__)) == rotnet_lib.__version__
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert f"[{rotnet_lib.__version__}]" in changes or "[Unreleased]" in changes


def test_this_python_is_one_the_package_supports() -> None:
    from packaging.specifiers import SpecifierSet

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert SpecifierSet(project["requires-python"]).contains(".".join(map(str, sys.version_info[:3])))


# --- README ---


def test_the_readme_shows_commands_at_all() -> None:
    assert len(commands("make")) > 5
    assert commands("rotnet")
    assert commands("papermill")


def test_set_lines_of_the_readme_are_valid_for_their_suite() -> None:
    texts = []
    for _, *words in commands("make"):
        suite = next((word.removeprefix("reproduce-") for word in words if word.startswith("reproduce-")), "table3")
        for word in words:
            if word.startswith("SET="):
                texts.append(word)
                parse_overrides(word.removeprefix("SET="), suite, load_suite(suite).runs)
    assert texts


def test_set_lines_of_the_readme_are_valid_for_all_suites_together() -> None:
    runs = {key: run for name in suite_names() for key, run in load_suite(name).runs.items()}
    texts = re.findall(r'SET="([^"]*)"', README)
    assert texts
    for text in texts:
        parse_overrides(text, "cifar10", runs)


def test_rotnet_lines_of_the_readme_are_commands() -> None:
    for _, command, *words in commands("rotnet"):
        assert command in main.commands, command
        if command == "run":
            schema = STAGES[words[0]].config
            names = [name for flag, name in itertools.pairwise(words) if flag == "-p"]
            assert set(names) <= set(schema.model_fields)


def test_papermill_lines_of_the_readme_are_notebooks_and_parameters() -> None:
    for _, notebook, _, *words in commands("papermill"):
        assert (ROOT / notebook).is_file()
        names = [name for flag, name in itertools.pairwise(words) if flag == "-p"]
        assert names
        assert set(names) <= set(STAGES[Path(notebook).stem].config.model_fields)


@pytest.mark.parametrize(
    "page", sorted(str(path.relative_to(ROOT)) for glob in ("*.md", "docs/*.md") for path in ROOT.glob(glob))
)
def test_links_within_the_project_lead_somewhere(page: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:href|src)="([^"]+)"', text)
    for link in links:
        if not re.match(r"[a-z]+:", link) and not link.startswith("#"):
            assert (ROOT / page).parent.joinpath(link.partition("#")[0]).exists(), f"{page}: {link}"


# --- What git keeps ---


@needs_git
def test_no_file_names_a_folder_of_somebodys_home() -> None:
    pattern = re.compile(rb"(?<![\w.>}-])/(?:(?:home|Users)/[A-Za-z]|root/)|[A-Z]:\\Users\\")
    for path in tracked():
        if path != Path(__file__):
            assert not (found := pattern.search(path.read_bytes())), f"{path}: {found and found[0]!r}"


@needs_git
def test_no_file_is_large() -> None:
    for path in tracked():
        assert path.stat().st_size < 1_000_000, path


@needs_git
@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("runs/probe-0123/metrics.json", True),
        ("runs/index.html", True),
        ("data/cifar10/train/cat/1.jpg", True),
        ("out.ipynb", True),
        (".venv/bin/python", True),
        ("rotnet_lib/data/new.py", False),
        ("tests/data/test_new.py", False),
        ("notebooks/new.ipynb", False),
    ],
)
def test_what_is_written_is_ignored_and_code_is_not(path: str, ignored: bool) -> None:
    done = subprocess.run(["git", "-C", ROOT, "check-ignore", "--quiet", "--no-index", path], check=False)
    assert done.returncode == (0 if ignored else 1)


@needs_git
def test_ci_checks_the_style_and_runs_the_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert "\nmake lint " in script.read_text()
    assert "\nmake test-all " in script.read_text()
    assert script.stat().st_mode & 0o111
    assert "make lint test-all test-kills\n" in (ROOT / ".github" / "workflows" / "test.yml").read_text()


def test_every_module_has_its_place_in_the_tests() -> None:
    """tests/ mirrors rotnet_lib/: a folder a package, and beside these only those of other folders of code."""
    packages = {path.parent.name for path in (ROOT / "rotnet_lib").glob("*/__init__.py")}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert packages <= folders
    assert folders - packages <= {"notebooks", "benchmarks", "campaigns", "rehearsal"}

"""The checkout: Makefile, pins, README and what git keeps, held against each other."""

import itertools
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rotnet_lib
from rotnet_lib.cli import main
from rotnet_lib.stages import STAGES
from rotnet_lib.suites.overrides import parse_overrides
from rotnet_lib.suites.suite import collection_names, load_collection, load_presets, load_suite, suite_names

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TARGETS = {"help", "setup", "detectron2", "status", "lab", "doctor", "bench", "pins", "clean"}
TARGETS |= {"test", "test-all", "lint", "format", "campaign-kills", "campaign-inputs"}

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
needs_git = pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(), reason="this is no git checkout, or git is not installed"
)


def tracked() -> list[Path]:
    """The files git keeps, or would keep if everything were added now."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


# --- Makefile ---


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What make looks at, in a folder with a space in its name."""
    copy, suites = tmp_path / "a checkout", Path("rotnet_lib", "suites")
    shutil.copytree(ROOT / suites, copy / suites, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture
def ready(checkout: Path) -> Path:
    """The same with an environment set up, in which every tool prints what it was called with."""
    tools = checkout / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name in ("python", "rotnet", "jupyter", "ruff", "mypy", "uv", "nbstripout"):
        # "$0" without its folder, then an argument a line.
        (tools / name).write_text('#!/bin/sh\nprintf "%s\\n" "${0##*/}" "$@"\n')
        (tools / name).chmod(0o755)
    (checkout / ".venv" / ".ready").write_text(f"{checkout}\n")
    return checkout


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


@needs_make
def test_make_alone_lists_targets_suites_and_variables(checkout: Path) -> None:
    output = make(checkout).stdout
    listed = dict(re.findall(r"^  (\S+) {2,}(.+)$", output, re.MULTILINE))
    titles = {name: load_suite(name).title for name in suite_names()}
    titles |= {name: load_collection(name).title for name in collection_names()}
    assert {f"reproduce-{name}" for name in titles} | TARGETS - {"help"} <= set(listed)
    for name, title in titles.items():
        assert listed[f"reproduce-{name}"] == title
    assert "reproduce-presets" not in output
    for variable in ("PRESET", "DATASET", "SEEDS", "SET", "CORES", "RUNS", "EXECUTOR"):
        assert re.search(rf"^  {variable} ", output, re.MULTILINE), variable
    for preset in load_presets():
        assert preset in listed["PRESET"], preset


@needs_make
def test_every_target_listed_exists(ready: Path) -> None:
    for target in TARGETS - {"help", "clean"}:
        assert "No rule to make target" not in make(ready, "-n", target).stderr, target


@needs_make
def test_reproduce_is_one_call_of_rotnet(ready: Path) -> None:
    variables = ["PRESET=quick", "DATASET=imagefolder:/a b", "SEEDS=3", "SET=epochs=20 probe.lr=0.05", "RUNS=r", "CORES=2"]
    done = make(ready, "reproduce-table3", *variables)
    assert done.returncode == 0, done.stderr
    asked = ["--preset", "quick", "--dataset", "imagefolder:/a b", "--seeds", "3", "--set", "epochs=20 probe.lr=0.05"]
    assert done.stdout.splitlines() == ["rotnet", "reproduce", "table3", *asked, "--runs", "r", "--cores", "2"]


@needs_make
@pytest.mark.parametrize(
    "value",
    [
        *(
            "it's",
            'a"b',
            "a*b",
            "[0, 180]",
            "a;b",
            "`touch X`",
            "$(touch X)",
            "$(shell touch X)",
            "$HOME",
            "$$",
            "50%",
            "-x",
            "{}",
        ),
        *("a  b", "a\tb", "trailing ", "a #b", "a: b", "a\\ b", "a\\", "a=b", "a,b", "h\u00e9 \u00fc"),
    ],
)
def test_words_of_the_user_reach_rotnet_as_they_are(value: str, ready: Path) -> None:
    for variable, option in (("SET", "--set"), ("RUNS", "--runs"), ("DATASET", "--dataset")):
        words = make(ready, "reproduce-table3", f"{variable}={value}").stdout.splitlines()
        assert words == ["rotnet", "reproduce", "table3", option, value]
    assert not (ready / "X").exists()


@needs_make
def test_a_name_may_hold_a_line_break(ready: Path) -> None:
    assert make(ready, "status", "RUNS=a\nb").stdout == "rotnet\nstatus\n--runs\na\nb\n"


@needs_make
@pytest.mark.parametrize("value", [" a", "\t a  b", " "])
def test_white_space_before_a_value_is_kept(value: str, ready: Path) -> None:
    """make drops it on its command line."""
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("the command line of make is not to be seen here")
    words = make(ready, "status", "RUNS=elsewhere", f"RUNS={value}", "SEEDS=2").stdout.splitlines()
    assert words == ["rotnet", "status", "--seeds", "2", "--runs", value]


@needs_make
def test_values_from_the_environment_reach_rotnet_as_they_are(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNS", "  a $x ")
    assert make(ready, "status").stdout.splitlines() == ["rotnet", "status", "--runs", "  a $x "]
    assert make(ready, "status", "RUNS=").stdout.splitlines() == ["rotnet", "status"]


@needs_make
def test_arguments_for_a_cluster_are_handed_on(ready: Path) -> None:
    done = make(ready, "reproduce-table3", "EXECUTOR=slurm", "CORES=8", "SNAKEMAKE_ARGS=--default-resources runtime=240")
    expected = "rotnet reproduce table3 --cores 8 --executor slurm -- --default-resources runtime=240"
    assert done.stdout.splitlines() == expected.split()


@needs_make
def test_rotnet_takes_what_make_passes(ready: Path) -> None:
    variables = ["PRESET=quick", "DATASET=shapes", "SEEDS=2", "SET=epochs=20", "RUNS=r", "CORES=2", "EXECUTOR=slurm"]
    _, command, suite, *words = make(ready, "reproduce-table3", *variables).stdout.splitlines()
    assert len(words) == 2 * len(variables)
    result = CliRunner().invoke(main, [command, "--dry-run", suite, *words])
    assert result.exit_code == 0, result.output
    assert result.output.count("would run") == 14
    assert f"{Path.cwd()}/r/" in result.output


@needs_make
def test_make_n_asks_rotnet_what_would_run(ready: Path) -> None:
    lines = make(ready, "-n", "reproduce-table3", "SEEDS=2").stdout.splitlines()
    assert lines[0].startswith(".venv/bin/rotnet reproduce table3 --dry-run")  # make -n shows every line,
    assert lines[1:] == ["rotnet", "reproduce", "table3", "--dry-run", "--seeds", "2"]  # and this one it runs as well


@needs_make
def test_make_n_without_an_environment_installs_nothing(checkout: Path) -> None:
    before = sorted(checkout.rglob("*"))
    done = make(checkout, "-n", "reproduce-table3", "SEEDS=2")
    assert done.returncode == 0, done.stderr
    assert "rotnet reproduce table3 --seeds '2'" in done.stdout
    assert sorted(checkout.rglob("*")) == before


@needs_make
def test_a_suite_that_does_not_exist_names_those_that_do(ready: Path) -> None:
    done = make(ready, "reproduce-tabel3")
    assert done.returncode != 0
    assert "no suite is called 'tabel3'" in done.stderr
    assert "reproduce-table3" in done.stderr


@needs_make
@pytest.mark.parametrize("dry", [[], ["-n"]], ids=["make", "make -n"])
@pytest.mark.parametrize(
    "name", ["$(touch X)", "`touch X`", "'; touch X; '", '"; touch X; "', "; touch X", "x y", "$(shell touch X)", "a'b\"c", "%"]
)
def test_no_shell_sees_the_name_of_a_target(name: str, dry: list[str], ready: Path) -> None:
    done = make(ready, *dry, f"reproduce-{name}")
    assert done.returncode != 0
    assert f"no suite is called '{name}'" in done.stderr
    assert not (ready / "X").exists()


@needs_make
def test_no_shell_sees_the_name_of_a_target_where_there_is_no_python(checkout: Path) -> None:
    tools = checkout / "tools"  # make's commands, but no Python
    tools.mkdir()
    for name in ("sh", "sed", "cat", "rm", "test", "touch", "tr", "tail"):
        if path := shutil.which(name):
            (tools / name).symlink_to(path)
    command = [str(shutil.which("make")), "setup", "reproduce-$(touch X)", "PYTHON=`touch X`"]
    done = subprocess.run(command, cwd=checkout, env={"PATH": str(tools)}, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Install one, or name it: make PYTHON=/path/to/python3.12 setup reproduce-$(touch X)" in done.stderr
    assert "(tried `touch X`, python3.13" in done.stderr
    assert not (checkout / "X").exists()


@needs_make
def test_all_tests_are_those_of_make_test_and_the_slow_ones(ready: Path) -> None:
    asked = ["WORKERS=3", "PYTEST_ARGS=-k 'some word'"]
    usual, everything = (make(ready, target, *asked).stdout.splitlines() for target in ("test", "test-all"))
    assert usual[:5] == ["python", "-m", "pytest", "-n", "3"]
    assert usual[-4:] == ["-m", "not slow", "-k", "some word"]
    assert everything == usual[:-4] + usual[-2:]


@needs_git
def test_ci_checks_the_style_and_runs_all_tests() -> None:
    assert "\nfor target in lint test-all; do\n" in (ROOT / ".ci" / "run").read_text()
    assert "make lint test-all\n" in (ROOT / ".github" / "workflows" / "test.yml").read_text()


@needs_make
def test_a_failure_of_rotnet_is_a_failure_of_make(ready: Path) -> None:
    (ready / ".venv" / "bin" / "rotnet").write_text("#!/bin/sh\nexit 1\n")
    assert make(ready, "reproduce-table3").returncode != 0


@needs_make
@pytest.mark.parametrize("source", [None, "a checkout/of it"])
def test_detectron2_is_built_with_the_pins_as_constraints(source: str | None, ready: Path) -> None:
    done = make(ready, "detectron2", *([f"DETECTRON2={source}"] if source else []))
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()
    assert "setuptools<81" in words
    constraints = (ready / words[words.index("-c") + 1]).read_text().splitlines()
    kept = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("setuptools==")]
    assert constraints == kept
    assert words[-1] == (source or words[-1])
    assert source or re.fullmatch(r"detectron2 @ git\+https://github\.com/facebookresearch/detectron2@[0-9a-f]{40}", words[-1])


@needs_make
def test_an_environment_of_another_place_is_not_used(ready: Path) -> None:
    moved = ready.rename(ready.parent / "moved")
    assert "would first set the environment up" in make(moved, "-n", "reproduce-table3").stdout


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


def commands(program: str) -> list[list[str]]:
    """The words of every line of the README's shell blocks, and of its inline code, that calls `program`."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL))
    lines = [line for block in blocks for line in block.splitlines()] + inline
    return [shlex.split(line, comments=True) for line in lines if line.split(" ")[0] == program]


def test_the_readme_shows_commands_at_all() -> None:
    assert len(commands("make")) > 5
    assert commands("rotnet")
    assert commands("papermill")


@needs_make
def test_make_lines_of_the_readme_are_targets_with_variables_the_makefile_knows(ready: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for _, *words in commands("make"):
        target = [word for word in words if "=" not in word and not word.startswith("-")]
        assert len(target) <= 1
        assert set(target) <= TARGETS | {f"reproduce-{name}" for name in (*suite_names(), *collection_names())}, words
        for word in words:
            if "=" in word:
                assert re.search(rf"\$[({{]?{word.split('=')[0]}\b|option,{word.split('=')[0]},", makefile), word
        if words and target and target[0].startswith("reproduce-"):
            done = make(ready, *words)
            assert done.returncode == 0, words
            assert done.stdout.split()[:2] == ["rotnet", "reproduce"] or "-n" in words


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


def test_ci_runs_lint_and_tests() -> None:
    for name in (".ci/run", ".github/workflows/test.yml"):
        text = (ROOT / name).read_text()
        assert re.search(r"\blint\b", text), name
        assert re.search(r"\btest\b", text), name
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_every_module_has_its_place_in_the_tests() -> None:
    """tests/ mirrors rotnet_lib/: a folder a package, and beside these only those of other folders of code."""
    packages = {path.parent.name for path in (ROOT / "rotnet_lib").glob("*/__init__.py")}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert packages <= folders
    assert folders - packages <= {"notebooks", "benchmarks", "campaigns"}

"""The Makefile: its targets, and the user's words, which no shell may read."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from rotnet_lib.cli import main
from rotnet_lib.suites.presets import load_presets
from rotnet_lib.suites.suite import collection_names, load_collection, load_suite, suite_names
from tests.readme import commands

ROOT = Path(__file__).parents[1]
TARGETS = {"help", "setup", "detectron2", "status", "lab", "doctor", "bench", "pins", "clean"}
TARGETS |= {"test", "test-all", "test-kills", "lint", "format", "campaign-kills", "campaign-inputs", "check-pages"}

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


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
    assert "reproduce-methods" not in output
    for variable in ("PRESET", "METHODS", "DATASET", "SEEDS", "SET", "CORES", "RUNS", "EXECUTOR"):
        assert re.search(rf"^  {variable} ", output, re.MULTILINE), variable
    for preset in load_presets():
        assert preset in listed["PRESET"], preset


@needs_make
def test_every_target_listed_exists(ready: Path) -> None:
    for target in TARGETS - {"help", "clean"}:
        assert "No rule to make target" not in make(ready, "-n", target).stderr, target


@needs_make
def test_reproduce_is_one_call_of_rotnet(ready: Path) -> None:
    said = ["PRESET=quick", "METHODS=core,rotnet", "DATASET=imagefolder:/a b", "SEEDS=3", "SET=epochs=20 probe.lr=0.05"]
    variables = [*said, "RUNS=r", "CORES=2"]
    done = make(ready, "reproduce-table3", *variables)
    assert done.returncode == 0, done.stderr
    asked = ["--preset", "quick", "--methods", "core,rotnet", "--dataset", "imagefolder:/a b"]
    asked += ["--seeds", "3", "--set", "epochs=20 probe.lr=0.05"]
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
    for variable, option in (("SET", "--set"), ("RUNS", "--runs"), ("DATASET", "--dataset"), ("METHODS", "--methods")):
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
    variables = ["PRESET=quick", "METHODS=core", "DATASET=shapes", "SEEDS=2", "SET=epochs=20"]
    variables += ["RUNS=r", "CORES=2", "EXECUTOR=slurm"]
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
@pytest.mark.parametrize(
    ("target", "nearest"),
    [
        ("reproduce-tabel3", "reproduce-table3"),
        ("reproduce-table10", "reproduce-table1"),
        ("reprduce-table3", "reproduce-table3"),
        ("reproduce_table3", "reproduce-table3"),
        ("statsu", "status"),
        ("docter", "doctor"),
        ("test-al", "test-all"),
    ],
)
@pytest.mark.parametrize("dry", [[], ["-n"]], ids=["make", "make -n"])
def test_a_misspelt_target_gets_the_nearest(target: str, nearest: str, dry: list[str], ready: Path) -> None:
    done = make(ready, *dry, target)
    assert done.returncode != 0
    assert f"; did you mean {nearest}?" in done.stderr


@needs_make
def test_a_misspelt_target_gets_the_nearest_before_there_is_an_environment(checkout: Path) -> None:
    before = sorted(checkout.rglob("*"))
    assert "did you mean reproduce-table3?" in make(checkout, "reprduce-table3").stderr
    assert sorted(checkout.rglob("*")) == before


@needs_make
def test_a_target_that_is_like_none_is_refused_without_a_guess(ready: Path) -> None:
    done = make(ready, "cook-dinner")
    assert done.returncode != 0
    assert "error: there is no target 'cook-dinner'. make help lists them." in done.stderr


@needs_make
def test_files_that_are_there_are_no_misspelt_targets(ready: Path) -> None:
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        done = make(ready, name)
        assert (done.returncode, done.stderr) == (0, ""), name


@needs_make
def test_an_environment_that_is_a_link_is_not_emptied(ready: Path, tmp_path: Path) -> None:
    """Its stamp is of the place it leads to, so it would be set up again, from nothing."""
    elsewhere = (ready / ".venv").rename(tmp_path / "environment")
    (ready / ".venv").symlink_to(elsewhere)
    (elsewhere / ".ready").write_text("/another/checkout\n")
    before = sorted(elsewhere.rglob("*"))
    done = make(ready, "status")
    assert done.returncode != 0
    assert ".venv is a link" in done.stderr
    assert sorted(elsewhere.rglob("*")) == before


@needs_make
def test_status_of_one_suite(ready: Path) -> None:
    words = make(ready, "status", "SUITE=table3", "PRESET=quick").stdout.splitlines()
    assert words == ["rotnet", "status", "--preset", "quick", "--", "table3"]
    assert make(ready, "status", "SUITE=-x $(touch X)").stdout.splitlines() == ["rotnet", "status", "--", "-x $(touch X)"]


@needs_make
@pytest.mark.parametrize("dry", [[], ["-n"]], ids=["make", "make -n"])
@pytest.mark.parametrize(
    "name", ["$(touch X)", "`touch X`", "'; touch X; '", '"; touch X; "', "; touch X", "x y", "$(shell touch X)", "a'b\"c", "%"]
)
def test_no_shell_sees_the_name_of_a_target(name: str, dry: list[str], ready: Path) -> None:
    done = make(ready, *dry, f"reproduce-{name}")
    assert done.returncode != 0
    assert f"no suite is called '{name}'" in done.stderr
    other = make(ready, *dry, f"no-{name}")
    assert f"there is no target 'no-{name}'" in other.stderr
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
def test_all_tests_are_those_of_make_test_the_slow_ones_and_more_kills(ready: Path) -> None:
    asked = ["WORKERS=3", "PYTEST_ARGS=-k 'some word'"]
    targets = ("test", "test-all", "test-kills")
    usual, everything, kills = (make(ready, target, *asked).stdout.splitlines() for target in targets)
    assert usual[:5] == ["python", "-m", "pytest", "-n", "3"]
    assert usual[-4:] == ["-m", "not slow", "-k", "some word"]
    assert everything == [*usual[:-4], "-m", "not kills", *usual[-2:]]
    assert kills == [*usual[:-4], "-m", "kills", *usual[-2:]]


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


@needs_make
def test_make_lines_of_the_readme_are_targets_with_variables_the_makefile_knows(ready: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for _, *words in commands("make"):
        target = [word for word in words if "=" not in word and not word.startswith("-")]
        assert len(target) <= 1
        assert set(target) <= TARGETS | {f"reproduce-{name}" for name in (*suite_names(), *collection_names())}, words
        for word in words:
            if "=" in word:
                assert re.search(rf"\$[({{]?{word.split('=')[0]}\b|(option|given),{word.split('=')[0]}[,)]", makefile), word
        if words and target and target[0].startswith("reproduce-"):
            done = make(ready, *words)
            assert done.returncode == 0, words
            assert done.stdout.split()[:2] == ["rotnet", "reproduce"] or "-n" in words

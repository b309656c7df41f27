"""The `rotnet` command: its help, and what it says of data and machine."""

import re
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner, Result

from rotnet_lib.cli import main
from rotnet_lib.suites.plan import Options, plan_suite
from tests.results import finish_planned

COMMANDS = [
    "plan",
    "reproduce",
    "status",
    "compare",
    "run",
    "clean",
    "migrate",
    "data",
    "import-weights",
    "features",
    "doctor",
    "bench",
]
TINY = "width=0.05 epochs=1 train_size=40 test_size=20 batch_size=16"
ROOT = str(Path(__file__).parents[1])


def rotnet(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


# --- Help ---


def test_help_lists_the_commands_in_a_line_each() -> None:
    result = rotnet("--help")
    assert result.exit_code == 0
    listed = re.findall(r"^  ([\w-]+)  +\S", result.output.partition("Commands:")[2], re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)  # `execute` is for Snakemake, not for people


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_help(command: str, flag: str) -> None:
    result = rotnet(command, flag)
    assert result.exit_code == 0
    assert f"Usage: main {command}" in result.output
    described = main.commands[command]
    assert isinstance(described, click.Command)
    for parameter in described.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[0] in result.output
            assert parameter.help, parameter.name


def test_help_of_reproduce_shows_defaults() -> None:
    output = " ".join(rotnet("reproduce", "-h").output.split())
    for part in ("without it 1, or what the suite says", "[default: runs]", "SUITE"):
        assert part in output


# --- Data, machine ---


def test_data_are_brought_and_counted(tmp_path: Path) -> None:
    from PIL import Image

    for split, count in (("train", 3), ("test", 1)):
        for kind in ("cat", "dog"):
            (tmp_path / "photos" / split / kind).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (40, 32), "red").save(tmp_path / "photos" / split / kind / f"{number}.png")
    result = rotnet("data", f"imagefolder:{tmp_path}/photos")
    assert result.exit_code == 0, result.output
    assert "6 training and 2 test images" in result.output
    assert list((tmp_path / "cache").glob("*.safetensors"))


@pytest.fixture
def _made_already() -> None:
    """The table that the doctor's verdict is about: `tests/bench/test_readiness.py` has what is measured without it."""
    for run in plan_suite("table3", Options(preset="quick")).runs:
        finish_planned(run)


@pytest.mark.usefixtures("_made_already")
def test_doctor_says_what_there_is_and_how_to_get_what_is_not() -> None:
    result = rotnet("doctor")
    assert result.exit_code == 0, result.output
    lines = {line[:24].strip(): line[24:].strip() for line in result.output.splitlines()}
    assert re.match(r"3\.\d+\.\d+", lines["python"])
    assert lines["torch"].startswith(torch.__version__)
    assert "data (ROTNET_DATA)" in lines["data in"]
    datasets, tools = ("cifar10", "fashion-mnist", "shapes", "imagefolder"), ("detectron2", "onedl-mmsegmentation", "slurm")
    for name in (*datasets, *tools, "notebooks"):
        assert lines[name]
    for name in ("imagenet", "places205", "tiny-imagenet"):
        assert lines[name] == f"not here (optional): `rotnet data {name}` says how to get it"
    *findings, verdict = result.output.splitlines()
    assert max(map(len, findings)) < 130
    assert verdict.startswith("ready: make reproduce-table3 (preset quick) is made already") or torch.cuda.is_available()
    if "not here" in lines["detectron2"]:
        assert "make detectron2" in lines["detectron2"]
    if not torch.cuda.is_available():
        assert "preset quick" in lines["gpu"]


@pytest.mark.usefixtures("_made_already")
def test_doctor_shows_what_is_wrong_with_the_data_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "data" / "cifar10" / "train" / "lion").mkdir(parents=True)
    result = rotnet("doctor")
    assert result.exit_code == 0
    assert "cannot be opened: no images in data/cifar10/" in result.output
    assert "slurm" in result.output


def test_bench_measures_training_matmul_and_loader() -> None:
    result = rotnet("bench", "--seconds", "0.01", "--width", "0.05")
    assert result.exit_code == 0, result.output
    number = r"([\d,.]+)"
    rate = re.search(rf"width 0\.05, 32 pixels, batch 32 x 4: {number} inputs/s, [\d,]+ images/s \({number} ms", result.output)
    assert rate is not None
    per_second, milliseconds = (float(group.replace(",", "")) for group in rate.groups())
    assert per_second * milliseconds / 1000 == pytest.approx(4 * 32, rel=0.05)
    assert re.search(rf"{number} % of the matmul rate", result.output)
    assert re.search(rf"{number} % of a step", result.output)


def test_the_version_is_the_packages() -> None:
    from importlib import metadata

    try:
        version = metadata.version("rotnet-lib")
    except metadata.PackageNotFoundError:
        pytest.skip("rotnet-lib is on the path here, but not installed")
    assert version in rotnet("--version").output

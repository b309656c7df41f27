"""`rotnet run`: what it says before a long run, and the command that it ends with."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import papermill
import pytest
from click.testing import CliRunner

from rotnet_lib.cli import main
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.directory import RunDirectory, directory_of
from rotnet_lib.stages.backbone_config import ImageBackboneConfig
from rotnet_lib.suites.resolve import configure
from rotnet_lib.suites.single_run import command_line, made_by, next_command, shorter_command
from rotnet_lib.yaml_reader import parse_yaml
from tests.results import finish
from tests.weights import fresh, put_weights


def made(config: RunConfig) -> RunDirectory:
    """The config's run as far as others look at it: finished, without weights."""
    directory = directory_of(config, config.fingerprint())
    finish(directory, config, config.fingerprint())
    return directory


def configured(line: str) -> RunConfig:
    """The config that a command line stands for, as `rotnet run` reads it."""
    words = shlex.split(line)
    assert words[:2] == ["rotnet", "run"]
    preset = words[words.index("--preset") + 1]
    places = [place for place, word in enumerate(words) if word == "-p"]
    values = {words[place + 1]: parse_yaml(words[place + 2], words[place + 1]) for place in places}
    return configure(words[2], values, preset)


# --- The next command ---


@pytest.mark.parametrize("preset", ["none", "paper", "quick"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"arch": "alexnet", "image_size": 64},
        {"task": "labels", "arch": "nin3"},
        {"train_size": 200, "test_size": 100, "width": 0.5},
        {"dataset": "shapes:1"},
        {"image_size": 32, "grey": True},
        {"runs": "my runs/$HOME 'x'"},
        {"runs": "1e5"},
    ],
    ids=str,
)
def test_a_pretrain_run_is_followed_by_the_probe_of_its_layers_on_its_data(parameters: dict[str, Any], preset: str) -> None:
    config = configure("pretrain", {"dataset": "shapes"} | parameters, preset)
    directory = made(config)
    line = next_command(config, directory.name, preset)
    assert line is not None
    assert f"-p backbone {directory.name} -p layer all" in line
    probe = configured(line)
    assert isinstance(probe, ImageBackboneConfig)
    assert probe.runs == config.runs
    for name in ("arch", "width", "data"):
        assert getattr(probe, name) == getattr(config, name), name


def test_it_is_as_short_as_can_be() -> None:
    config = configure("pretrain", {}, "quick")
    name = made(config).name
    assert next_command(config, name, "quick") == f"rotnet run probe --preset quick -p backbone {name} -p layer all"


def test_of_a_backbone_that_its_task_cut_the_layers_left_are_probed() -> None:
    config = configure("pretrain", {"arch": "alexnet", "dataset": "shapes", "image_size": 64}, "quick")
    run = put_weights(made(config), fresh("alexnet", last="conv5"), 64)
    line = next_command(config, run.name, "quick")
    assert line is not None
    assert "-p layer conv1,conv2,conv3,conv4,conv5 -p classifier linear" in line
    put_weights(run, fresh("alexnet"), 64)
    assert "-p layer all" in str(next_command(config, run.name, "quick"))


def test_only_a_pretrain_run_is_followed() -> None:
    directory = made(configure("pretrain", {}, "quick"))
    probe = configure("probe", {"backbone": directory.name}, "quick")
    assert next_command(probe, "probe-x", "quick") is None


def test_the_command_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    config = configure("pretrain", {"runs": "other"}, "quick")
    monkeypatch.setattr(papermill, "execute_notebook", lambda *_, **__: made(config))
    for _ in range(2):  # made, then found
        result = CliRunner().invoke(main, ["run", "pretrain", "--preset", "quick", "-p", "runs", "other"])
        assert result.exit_code == 0, result.output
        name = directory_of(config, config.fingerprint()).name
        expected = f"next: rotnet run probe --preset quick -p backbone {name} -p layer all -p runs other"
        assert result.output.splitlines()[-1] == expected


def test_newest_is_looked_up_and_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    directory = made(configure("pretrain", {}, "quick"))
    assert configure("probe", {}, "quick").model_dump()["backbone"] == directory.name
    assert capsys.readouterr().out.count("backbone: ") == 1


def test_a_run_that_is_named_keeps_its_width_under_a_preset() -> None:
    """The preset's width is for networks that are trained by it."""
    directory = made(configure("pretrain", {"width": 0.5}, "quick"))
    assert configure("probe", {"backbone": directory.name}, "quick").model_dump()["width"] == 0.5


# --- The shorter one ---


def test_the_shorter_line_leaves_the_length_to_the_preset() -> None:
    given = {"arch": "nin3", "epochs": 100, "train_size": 50_000, "width": 1.0, "runs": "a b"}
    assert shorter_command("pretrain", given, "paper") == "rotnet run pretrain --preset quick -p arch nin3 -p runs 'a b'"
    assert shorter_command("pretrain", given, "quick") is None


@pytest.mark.parametrize(
    "value",
    ["nin4", "1e5", "007", "true", "null", "", "a: b", "[x", "it's", "a b", [0, 180], {"a": [None, 0.5]}, None, 3, True],
)
def test_a_line_means_its_values(value: Any) -> None:
    words = shlex.split(command_line("pretrain", {"task": value}, "paper"))
    assert words[:-1] == ["rotnet", "run", "pretrain", "--preset", "paper", "-p", "task"]
    assert parse_yaml(words[-1], "") == value


# --- Before a long run ---


@pytest.fixture
def no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(papermill, "execute_notebook", lambda *_, **__: None)


@pytest.mark.slow
@pytest.mark.usefixtures("no_notebook")
def test_a_run_of_hours_says_so_with_the_shorter_line(tmp_path: Path) -> None:
    line = [
        "run",
        "pretrain",
        "--preset",
        "paper",
        "-p",
        "dataset",
        "shapes",
        "-p",
        "device",
        "cpu",
        "-p",
        "threads",
        "1",
        "-p",
        "epochs",
        "5000",
    ]
    result = CliRunner().invoke(main, line)
    assert result.exit_code == 0, result.output
    preset, said, told = result.output.splitlines()[:3]
    assert preset == "preset paper: as given."
    assert "measuring" in said
    assert told.startswith("about ")
    assert "hours on this machine (" in told
    assert "5000 epochs of 5,000 images at" in told
    assert told.endswith("Shorter: rotnet run pretrain --preset quick -p dataset shapes -p device cpu -p threads 1")


@pytest.mark.usefixtures("no_notebook")
def test_a_run_of_minutes_says_nothing(started: Callable[[], list[str]]) -> None:
    result = CliRunner().invoke(main, ["run", "pretrain", "--preset", "quick"])
    assert result.output.splitlines()[0] == "preset quick: as given."
    assert result.output.splitlines()[1].startswith("report: ")
    assert started() == []  # nothing was measured


# --- The command that makes a run ---


@pytest.mark.parametrize("preset", ["none", "paper", "quick"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"arch": "alexnet", "task": "jigsaw", "task_options": {"gap": 0.0}},
        {"task": "labels", "arch": "nin3", "labels_per_class": 20},
        {"train_size": 200, "validate": 0.1, "lr_milestones": [0.5]},
        {"dataset": "shapes:1", "image_size": "own", "train_size": "all"},
        {"runs": "my runs/$HOME 'x'"},
    ],
    ids=str,
)
def test_the_command_makes_the_same_run(parameters: dict[str, Any], preset: str) -> None:
    config = configure("pretrain", parameters, preset)
    made = made_by("pretrain", config.model_dump(mode="json") | {"preset": preset})
    assert configured(made.command) == config
    assert made.given.keys() <= parameters.keys()


@pytest.mark.parametrize(
    "parameters", [{"backbone": "random", "arch": "nin4"}, {"layer": ["conv1", "conv3"], "views": "flipped"}], ids=str
)
def test_a_command_of_a_run_that_builds_on_another_names_that(parameters: dict[str, Any]) -> None:
    backbone = made(configure("pretrain", {"dataset": "shapes", "train_size": 300}, "quick")).name
    config = configure("probe", {"backbone": backbone} | parameters, "quick")
    found = made_by("probe", config.model_dump(mode="json") | {"preset": "quick"})
    assert configured(found.command) == config
    assert found.given == {"backbone": backbone} | parameters


def test_where_a_run_is_executed_is_no_part_of_its_command() -> None:
    config = configure("pretrain", {"threads": 1, "workers": 2, "device": "cpu"}, "quick")
    assert made_by("pretrain", config.model_dump(mode="json") | {"preset": "quick"}).given == {}


def test_everything_is_said_of_a_run_whose_backbone_is_gone(tmp_path: Path) -> None:
    config = configure("probe", {"backbone": "random", "arch": "nin4"}, "quick")
    found = made_by("probe", config.model_dump(mode="json") | {"backbone": "gone", "preset": "quick"})
    assert found.command.startswith("rotnet run probe --preset quick -p backbone gone -p arch nin4 ")
    assert {"lr", "epochs", "train_size"} <= found.given.keys()

"""`rotnet plan`: what would run, what is not the protocol's, where each number comes from."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rotnet_lib.cli import main
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.directory import METRICS, directory_of
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.suites.plan import Options, PlannedRun, plan_suite
from rotnet_lib.suites.plan_text import plan_lines
from rotnet_lib.voc.classification_config import ClassificationConfig
from tests.methods import INSTANCE, SPLIT, use_methods
from tests.results import finish, finish_planned


def plan(*words: str) -> list[str]:
    result = CliRunner().invoke(main, ["plan", "table3", *words])
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_each_run_says_what_is_not_the_protocols() -> None:
    lines = plan("--preset", "quick", "--set", "rotnet.lr=0.3")
    assert lines[0] == "preset quick: as given."
    place = next(place for place, line in enumerate(lines) if line.startswith("rotnet, seed 0: would run (missing): "))
    changed = lines[place + 1].strip()
    assert changed.startswith("not the protocol's: dataset shapes (cifar10), train_size 4000 (all), ")
    assert "lr 0.3 (0.1)" in changed


def test_what_is_the_protocols_is_not_said() -> None:
    result = CliRunner().invoke(main, ["plan", "table3", "--preset", "paper", "--dataset", "shapes"])
    assert "not the protocol's: dataset shapes (cifar10)\n" in result.output


def test_every_value_has_its_origin() -> None:
    lines = [line.split() for line in plan("--preset", "quick", "--explain", "--set", "probe.lr=0.07")]
    assert ["lr", "0.07", "SET"] in lines
    assert ["epochs", "18", "preset", "quick"] in lines
    assert ["momentum", "0.9", "protocol"] in lines
    assert ["labels_per_class", "all", "default"] in lines


def test_two_presets_are_told_apart() -> None:
    lines = plan("--preset", "quick", "--diff", "quick")
    assert lines == ["quick -> quick", "no run differs"]
    result = CliRunner().invoke(main, ["plan", "table3", "--preset", "quick", "--diff", "short"])
    assert "supervised, seed 0: dataset shapes -> cifar10, train_size 4000 -> 5000" in result.output


def test_runs_like_finished_ones_say_how_long_they_take() -> None:
    found = plan_suite("table3", Options(preset="quick", seeds=2))
    finish_planned(found.runs[0])
    lines = plan("--preset", "quick", "--seeds", "2")
    again = next(line for line in lines if line.startswith(f"{found.runs[0].key}, seed 1: "))
    assert "would run (missing), about " in again
    assert lines[-1].startswith("1 of 13 to make, about ")


def test_what_is_damaged_is_not_counted_among_what_is_to_be_made() -> None:
    """Nor the four runs that build on it; of two seeds of seven runs one is finished."""
    found = plan_suite("table3", Options(preset="quick", seeds=2))
    damaged = next(run for run in found.runs if run.key == "rotnet").directory.path
    damaged.mkdir(parents=True)
    (damaged / METRICS).write_text("null")
    finish_planned(next(run for run in found.runs if run.key == "supervised"))
    assert plan("--preset", "quick", "--seeds", "2")[-1].startswith("1 of 8 to make, about ")


def test_the_methods_asked_for_stand_there_with_what_they_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_methods(tmp_path, monkeypatch, instance=INSTANCE, split=SPLIT)
    lines = plan("--preset", "quick")
    assert lines[2:4] == ["methods: rotnet; METHODS=all adds instance, split", "  rotnet needs images that have an upright"]
    lines = plan("--preset", "quick", "--methods", "instance,split")
    expected = ["methods: instance, split; METHODS=all adds rotnet", "  instance needs an upright and memory for a bank"]
    assert lines[2:5] == [*expected, "  split needs an upright"]
    assert "methods: rotnet, instance, split" in plan("--preset", "quick", "--methods", "all")
    assert "methods: " not in CliRunner().invoke(main, ["plan", "table1", "--preset", "quick"]).output


def test_the_hours_are_of_the_methods_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_methods(tmp_path, monkeypatch, split=SPLIT)
    for run in plan_suite("table3", Options(preset="quick", methods="all", seeds=2)).runs:
        if run.config.seed == 1:
            finish(run.directory, run.config, run.config.fingerprint(), wall_seconds=3600.0)
    assert plan("--preset", "quick")[-1].startswith("7 of 7 to make, about 7.0 h, one after the other")
    assert plan("--preset", "quick", "--methods", "all")[-1].startswith("12 of 12 to make, about 12.0 h")


def test_a_dry_run_says_the_same() -> None:
    result = CliRunner().invoke(main, ["reproduce", "table3", "--preset", "quick", "--dry-run"])
    assert result.output.splitlines() == plan("--preset", "quick")


def test_data_that_is_not_here_is_planned_for_all_the_same() -> None:
    lines = CliRunner().invoke(main, ["plan", "table5", "--preset", "paper"]).output.splitlines()
    assert "rotnet, seed 0: cannot run: imagenet cannot be opened" in lines
    assert lines[-1].startswith("imagenet cannot be opened: no folder ")
    differing = CliRunner().invoke(main, ["plan", "table5", "--preset", "quick", "--diff", "paper"])
    assert "supervised, seed 0: dataset shapes -> imagenet" in differing.output


def lines_of(config: RunConfig, fingerprint: str) -> list[str]:
    """The plan of one run."""
    run = PlannedRun("one", config, directory_of(config, fingerprint), (), config.dataset, {}, {})
    return list(plan_lines(dataclasses.replace(plan_suite("table3", Options(preset="quick")), runs=(run,)), {}))


@pytest.mark.parametrize(
    ("change", "length"), [({"labels_per_class": 5}, "3.0 h"), ({"fold": "1/3"}, "2.0 h"), ({"validate": 0.5}, "90 min")]
)
def test_runs_on_a_part_of_the_images_have_the_length_of_their_epochs(change: dict[str, Any], length: str) -> None:
    """An epoch on few labels is of usual length; one without a third of the images is shorter."""
    whole = PretrainConfig.build({"dataset": "shapes", "epochs": 2, "device": "cpu", "task": "labels"})
    finish(directory_of(whole, "f"), whole, "f", wall_seconds=3600.0 * 3)
    assert f"would run (missing), about {length}: " in "\n".join(lines_of(whole.model_copy(update=change), "f"))


def test_another_part_of_the_network_takes_another_time() -> None:
    trained = ClassificationConfig.build({"backbone": "random", "dataset": "scenes:128", "trained": "fc6-8", "width": 0.1})
    finish(directory_of(trained, "f"), trained, "f", wall_seconds=3600.0)
    assert "about 60 min" in "\n".join(lines_of(trained.model_copy(update={"seed": 1}), "f"))
    assert "about" not in "\n".join(lines_of(trained.model_copy(update={"trained": "all"}), "f"))


def test_where_no_run_is_alike_it_is_said_how_to_measure() -> None:
    said = "how long: no finished run is like these; `rotnet bench --plan table3 --preset quick{}` measures it"
    assert plan("--preset", "quick")[-1] == said.format("")
    assert plan("--preset", "quick", "--methods", "core,jigsaw")[-1] == said.format(" --methods core,jigsaw")


def test_explained_are_all_parameters_with_those_of_the_machine() -> None:
    lines = [line.split() for line in plan("--preset", "quick", "--explain", "--set", "device=cpu", "--dataset", "shapes:2")]
    assert ["threads", "1", "preset", "quick"] in lines
    assert ["device", "cpu", "SET"] in lines
    assert ["dataset", "shapes:2", "DATASET"] in lines
    assert ["seed", "0", "SEEDS"] in lines


def test_what_stands_in_for_a_suites_own_data_says_so() -> None:
    output = CliRunner().invoke(main, ["plan", "table6", "--preset", "quick"]).output
    assert "not the protocol's: dataset shapes:1 (places205), " in output
    explained = CliRunner().invoke(main, ["plan", "table6", "--preset", "quick", "--explain"]).output
    assert ["dataset", "shapes:1", "preset", "quick"] in [line.split() for line in explained.splitlines()]


def test_explain_and_diff_are_two_lists() -> None:
    result = CliRunner().invoke(main, ["plan", "table3", "--explain", "--diff", "paper"])
    assert result.exit_code == 2
    assert "name one of them" in result.output

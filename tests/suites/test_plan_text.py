"""`rotnet plan`: what would run, what is not the protocol's, where each number comes from."""

from click.testing import CliRunner

from rotnet_lib.cli import main
from rotnet_lib.suites.plan import Options, plan_suite
from tests.results import finish_planned


def plan(*words: str) -> list[str]:
    result = CliRunner().invoke(main, ["plan", "table3", *words])
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_each_run_says_what_is_not_the_protocols() -> None:
    lines = plan("--preset", "quick", "--set", "rotnet.lr=0.3")
    assert lines[0] == "preset quick: as asked."
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


def test_a_dry_run_says_the_same() -> None:
    result = CliRunner().invoke(main, ["reproduce", "table3", "--preset", "quick", "--dry-run"])
    assert result.output.splitlines() == plan("--preset", "quick")

"""What several commands take: the options about suites, and parameters behind `-p`."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import click


def suite_options(
    *, usual_preset: str = "paper where there is a GPU, else quick", runs: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of a command about suites, which it gets as `Options`.

    Args:
        usual_preset: what stands for the preset if none is named, for the help.
        runs: whether the command looks into the folder of the runs.
    """
    decorators = [
        click.option("--preset", help=f"paper, released, quick, short or night; by default {usual_preset}."),
        click.option("--methods", help="Whose rows: core (by default), all, or names with commas between them."),
        click.option("--dataset", help="In place of the suite's: tiny-imagenet, imagefolder:/path ..."),
        click.option(
            "--seeds",
            type=int,
            help="Runs of every row, for mean and standard deviation; without it 1, or what the suite says.",
        ),
        click.option(
            "--set",
            default="",
            help='Parameters over preset and suite: "epochs=20 probe.lr=0.05 rotnet.width=0.5" (docs/parameters.md).',
        ),
    ]
    if runs:
        decorators.append(click.option("--runs", default="runs", show_default=True, help="Folder of the run directories."))

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_options(**given: Any) -> Any:
            from rotnet_lib.suites.plan import Options

            names = [field.name for field in dataclasses.fields(Options) if field.name in given]
            return command(options=Options(**{name: given.pop(name) for name in names}), **given)

        decorated: Callable[..., Any] = with_options
        for option in reversed(decorators):
            decorated = option(decorated)
        return decorated

    return decorate


def parameters_behind_p(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Parameter -> its value, read as YAML. Raises RotnetError for a parameter that stands twice: one would be passed over."""
    from rotnet_lib.errors import RotnetError
    from rotnet_lib.yaml_reader import parse_yaml

    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise RotnetError(f"-p {name} stands {names.count(name)} times. Leave one.")
    return {name: parse_yaml(value, f"the value of {name} behind -p") for name, value in pairs}

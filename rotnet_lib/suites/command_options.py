"""What every command about suites takes."""

import dataclasses
import functools
from typing import Any

import click


def suite_options(command: Any) -> Any:
    """The options of a command about suites, which it gets as `Options`."""

    @functools.wraps(command)
    def with_options(**given: Any) -> Any:
        from rotnet_lib.suites.plan import Options

        said = {field.name: given.pop(field.name) for field in dataclasses.fields(Options)}
        return command(options=Options(**said), **given)

    decorated: Any = with_options
    for option in reversed(
        (
            click.option(
                "--preset", help="paper, released, quick, short or night; by default paper where there is a GPU, else quick."
            ),
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
            click.option("--runs", default="runs", show_default=True, help="Folder of the run directories."),
        )
    ):
        decorated = option(decorated)
    return decorated

"""The command `rotnet bench`."""

import dataclasses
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from rotnet_lib.suites.command_options import suite_options

if TYPE_CHECKING:
    from rotnet_lib.suites.plan import Options

# Heavy imports are inside the command: `rotnet --help` should not load torch.

_PLAN = ("preset", "methods", "dataset", "seeds", "set")
_LOADER = ("workers",)
_TRAINING = ("task", "arch", "width", "compile")
"""The options that only one of three measurements has a use for."""


@click.command()
@click.option("--seconds", default=10.0, show_default=True, help="How long each measurement may take.")
@click.option("--task", default="rotation", show_default=True, help="The pretext task; rotation is shown beside another.")
@click.option("--arch", default="nin4", show_default=True, help="The backbone that is trained.")
@click.option("--width", default=1.0, show_default=True, help="Factor on the backbone's channels.")
@click.option("--compile", is_flag=True, help="Through torch.compile.")
@click.option("--loader", is_flag=True, help="Instead: how fast image files are read, against decoding alone.")
@click.option("--workers", type=click.IntRange(1), help="Processes that read files; by default one per core.")
@click.option("--plan", "suite", help="Instead: how many hours a suite would take here, such as table5.")
@suite_options(usual_preset="paper", runs=False)
def bench(
    seconds: float,
    task: str,
    arch: str,
    width: float,
    compile: bool,
    loader: bool,
    workers: int | None,
    suite: str | None,
    options: "Options",
) -> None:
    """Speed of pretext training: inputs per second, fraction of the matmul rate measured here, loader's part of a step.

    With --plan: hours of a suite's runs, by the preset paper unless --preset, --methods, --dataset, --seeds and --set say
    otherwise.
    """
    context = click.get_current_context()
    if suite:
        _refuse(context, "with --plan", ("loader", *_LOADER, *_TRAINING))
        from rotnet_lib.bench import estimate

        click.echo(f"measuring each kind of training of {suite} for about {seconds:g} s ...", err=True)
        click.echo(estimate.report(suite, dataclasses.replace(options, preset=options.preset or "paper"), seconds))
    elif loader:
        _refuse(context, "with --loader", (*_PLAN, *_TRAINING))
        from rotnet_lib.bench import loading

        click.echo(f"measuring how fast files are read, each way for about {seconds:g} s after warm-ups ...", err=True)
        click.echo(loading.report(loading.loading_rates(seconds, workers)))
    else:
        _refuse(context, "without --plan", _PLAN)
        _refuse(context, "without --loader", _LOADER)
        from rotnet_lib.bench import training

        click.echo(training.report(seconds, arch=arch, width=width, compile=compile, task=task))


def _refuse(context: click.Context, where: str, names: tuple[str, ...]) -> None:
    """Raises UsageError for an option that the measurement would pass over."""
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} changes nothing {where}. Leave it out.")

"""The command `rotnet compare`."""

from pathlib import Path

import click

# Heavy imports are inside the command: `rotnet --help` should not load torch.


@click.command()
@click.argument("first", metavar="RUN")
@click.argument("second", metavar="RUN")
@click.option("--runs", default="runs", show_default=True, help="Folder of the run directories.")
@click.option("--output", type=click.Path(path_type=Path), help="The page; by default compare-RUN-RUN.html in that folder.")
def compare(first: str, second: str, runs: str, output: Path | None) -> None:
    """A page of two finished runs side by side: differences in parameters, figures and training.

    Each RUN is the name of a run, or the path of its directory.
    """
    from rotnet_lib.errors import RotnetError
    from rotnet_lib.paths import from_project, short_name
    from rotnet_lib.report.run_lookup import finished_run

    root = from_project(runs)
    both = finished_run(first, root), finished_run(second, root)
    if both[0].path == both[1].path:
        raise RotnetError(f"both runs are {both[0].name}: name two that differ.")
    target = output or both[0].path.parent / short_name(f"compare-{both[0].name}-{both[1].name}", ".html")
    if target.is_dir():
        raise RotnetError(f"--output {target} is a folder: name the file, such as {target / 'compare.html'}.")
    from rotnet_lib.report.compare_runs import TwoRuns, write_comparison  # takes seconds to import

    two = TwoRuns(*both)
    write_comparison(two, target)
    if two.warning:
        click.echo(two.warning)
    for compared in two.figures:
        click.echo(str(compared))
    differing = ", ".join(f"{name} {a or 'none'} -> {b or 'none'}" for name, a, b in two.parameters)
    click.echo(f"parameters that differ: {differing or 'none'}")
    click.echo(f"page: {target}")

"""The `rotnet` command. The Makefile's targets are one call each."""

from __future__ import annotations

import dataclasses
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rotnet_lib.bench.bench_command import bench
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import storage_error
from rotnet_lib.suites.command_options import parameters_behind_p, suite_options
from rotnet_lib.suites.compare_command import compare
from rotnet_lib.suites.features_command import features
from rotnet_lib.suites.status_command import status
from rotnet_lib.watchdog import end_with_make, end_with_parent, ended_in_order

if TYPE_CHECKING:
    from rotnet_lib.suites.plan import Options

# Heavy imports are inside the commands: `rotnet --help` should not load torch.


class _Commands(click.Group):
    """Commands whose RotnetErrors are printed for the user, without a traceback.

    So is what the system refuses, such as to write on a full disk, where no guard of the library was around it. A command that
    gets SIGTERM or SIGHUP ends what it has started.
    """

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with ended_in_order():
                return super().invoke(ctx)
        except RotnetError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            if (refusal := storage_error(error)) is None:
                raise
            raise click.ClickException(str(refusal)) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="rotnet-lib")
def main() -> None:
    """RotNet as a benchmark harness: notebooks that pretrain, probe and fine-tune, and the tables made of them."""


main.add_command(bench)
main.add_command(compare)
main.add_command(features)
main.add_command(status)


@main.command()
@click.argument("suite")
@suite_options()
@click.option("--cores", type=click.IntRange(1), help="CPU cores, or jobs at a time on a cluster; by default all here.")
@click.option("--executor", help="A Snakemake executor plugin: slurm.")
@click.option("--dry-run", is_flag=True, help="Only list the runs, run nothing.")
@click.argument("snakemake_arguments", nargs=-1, type=click.UNPROCESSED)
def reproduce(
    suite: str,
    options: Options,
    cores: int | None,
    executor: str | None,
    dry_run: bool,
    snakemake_arguments: tuple[str, ...],
) -> None:
    """Make a table: every run of SUITE that is not finished, then its HTML report.

    Arguments behind `--` go to Snakemake: `rotnet reproduce table3 --executor slurm -- --default-resources mem_mb=4000`.
    """
    from rotnet_lib.suites.plan import make_plan

    # From the Makefile alone: a command typed by hand outlives its shell, if that is what the user wants.
    if (make := os.environ.pop("ROTNET_MAKE", "")).isdecimal():
        end_with_make(int(make))
    if dry_run:
        from rotnet_lib.suites.plan_text import FoundData, plan_lines

        data = FoundData()
        for line in plan_lines(make_plan(suite, options, data), data.problems):
            click.echo(line)
        return
    plan = make_plan(suite, options)
    click.echo(f"preset {plan.preset}: {plan.preset_reason}.\n  {plan.preset_description}")
    from rotnet_lib.suites.engine import reproduce as make_suite

    report = make_suite(plan, cores=cores, executor=executor, snakemake_arguments=snakemake_arguments)
    click.echo(f"report: {report}")


@main.command()
@click.argument("suite")
@suite_options()
@click.option("--explain", is_flag=True, help="Every value with its origin, not only the differences from the protocol.")
@click.option("--diff", "other", metavar="PRESET", help="Instead: what differs under another preset.")
def plan(suite: str, options: Options, explain: bool, other: str | None) -> None:
    """The runs of SUITE in order, and where each value comes from. Runs nothing."""
    from rotnet_lib.suites.plan import make_plan
    from rotnet_lib.suites.plan_text import FoundData, difference_lines, plan_lines

    if explain and other:
        raise click.UsageError("--explain and --diff are two different lists: name one of them.")
    data = FoundData()
    found = make_plan(suite, options, data)
    if other:
        lines = difference_lines(found, make_plan(suite, dataclasses.replace(options, preset=other), data))
    else:
        lines = plan_lines(found, data.problems, explain=explain)
    for line in lines:
        click.echo(line)


@main.command()
@click.argument("notebook")
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter, read as YAML.")
@click.option(
    "--preset",
    help="paper, released, quick, short or night; none: the protocol alone; by default paper where there is a GPU, else quick.",
)
def run(notebook: str, parameters: tuple[tuple[str, str], ...], preset: str | None) -> None:
    """One run of NOTEBOOK (pretrain, probe, knn, inspect ...) into its directory below `runs`, with its report."""
    from rotnet_lib.report.index import write_index
    from rotnet_lib.runs.directory import PARAMETERS, REPORT, directory_of
    from rotnet_lib.stages import STAGES
    from rotnet_lib.suites.resolve import choose_preset, configure
    from rotnet_lib.suites.single_run import next_command, shorter_command

    values = parameters_behind_p(parameters)
    STAGES[notebook]
    if preset and "preset" in values:
        raise RotnetError("the preset is named twice, by --preset and by -p preset. Drop one of the two.")
    preset, reason = choose_preset(values.pop("preset", preset))  # papermill takes it by -p
    click.echo(f"preset {preset}: {reason}.")
    config = configure(notebook, values, preset)
    directory = directory_of(config, config.fingerprint())
    directory.check()
    state = directory.state
    lacks_page = directory.lacks_page
    if state == "running":
        click.echo(f"{directory.path} is being made by another process. Wait for it to end, or stop it.")
    elif state == "finished" and not lacks_page:
        click.echo(f"{directory.path} is finished already; delete it to make the run again.")
        click.echo("\n".join(filter(None, [directory.result().headline, f"report: {directory.path / REPORT}"])))
    else:
        from rotnet_lib.bench import run_length
        from rotnet_lib.suites.run_notebook import execute as execute_notebook  # takes seconds to import

        if lacks_page:
            click.echo(f"{directory.path} is finished already, but its page is missing: it is made now.")
        elif length := run_length.say(config):
            shorter = shorter_command(notebook, values, preset)
            click.echo(length + (f" Shorter: {shorter}" if shorter else ""))
        try:
            execute_notebook(notebook, config.model_dump(mode="json") | {"preset": preset}, directory.path)
        finally:  # a run that failed is in the index too
            write_index(directory.path.parent)
        click.echo(f"report: {directory.path / REPORT}")
    made = directory.finished and (directory.path / PARAMETERS).exists()
    if made and (following := next_command(config, directory.name, preset)):
        click.echo(f"next: {following}")


@main.command(hidden=True)
@click.argument("plan", type=click.Path(path_type=Path))
@click.argument("name")
@click.argument("parent", type=int)
def execute(plan: Path, name: str, parent: int) -> None:
    """One run of a plan, as the process PARENT, Snakemake, calls it; it does not outlive that."""
    from rotnet_lib.errors import unknown
    from rotnet_lib.runs.directory import RunDirectory
    from rotnet_lib.runs.plan_file import read_plan

    end_with_parent(parent)
    label = name
    try:
        read = read_plan(plan)
        runs = read.runs
        run = next((run for run in runs if run.name == name), None)
        if run is None:  # the plan is another one by now
            raise unknown(f"run of {plan}", name, [run.name for run in runs])
        from rotnet_lib.suites.run_notebook import execute as execute_notebook  # takes seconds to import

        label = f"{run.key} s{run.parameters.get('seed')}"
        directory = RunDirectory(plan.parents[1] / name)
        click.echo(f"{label} | {'is finished, its page is missing: draws it' if directory.lacks_page else 'starts'}")
        execute_notebook(run.notebook, run.parameters | {"preset": read.preset}, directory.path, label=label)
    except (RotnetError, OSError) as error:  # said here, beside what the other runs say: stderr is Snakemake's log
        refusal = error if isinstance(error, RotnetError) else storage_error(error)
        if refusal is None:
            raise
        click.echo(f"{label} | failed: {refusal}")
        sys.exit(1)
    click.echo(f"{label} | finished")


@main.command("write-parameter-cells", hidden=True)
def write_cells() -> None:
    """Write the notebooks' parameters cells from the configs, as `make format` does."""
    from rotnet_lib.suites.parameter_cell import write_parameter_cells

    write_parameter_cells()


@main.command()
@click.option("--runs", default="runs", show_default=True, help="Folder of the run directories.")
@click.option("--remove", "kinds", multiple=True, metavar="KIND", help="Remove this kind; may be given several times.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
def clean(runs: str, kinds: tuple[str, ...], yes: bool) -> None:
    """What may be deleted from RUNS and the cache, by kind with sizes; --remove KIND deletes it.

    The kinds: checkpoints, resume, runs, leftovers, cache. A run that is being written is never touched.
    """
    from rotnet_lib.errors import unknown
    from rotnet_lib.suites.cleaning import KINDS, list_removable, remove, report, size_text

    for kind in kinds:
        if kind not in KINDS:
            raise unknown("kind", kind, KINDS)
    if yes and not kinds:
        raise RotnetError(f"--yes removes nothing by itself: name what is to go, such as --remove resume ({', '.join(KINDS)}).")
    listing = list_removable(runs)
    click.echo(report(listing))
    chosen = listing.of(kinds)
    if not kinds:
        click.echo("nothing was removed: --remove KIND does that.")
    elif not chosen:
        click.echo(f"nothing to remove of {', '.join(kinds)}.")
    elif yes or click.confirm(f"Remove {len(chosen)} of {', '.join(kinds)}, {size_text(sum(item.size for item in chosen))}?"):
        freed = remove(chosen, runs, click.echo)
        click.echo(f"removed: {size_text(freed)}")
    else:
        click.echo("nothing was removed.")


@main.command()
@click.option("--runs", default="runs", show_default=True, help="Folder of the run directories.")
@click.option("--yes", is_flag=True, help="Rename without asking.")
def migrate(runs: str, yes: bool) -> None:
    """Rename finished runs that an earlier version made to the names used now, so that suites find them; say why a run
    cannot be renamed.

    A run's name changes where the formula of its hash does, though the run would come out the same.
    """
    from rotnet_lib.paths import from_project
    from rotnet_lib.report.index import write_index
    from rotnet_lib.suites import migration

    found = migration.plan_migration(runs)
    click.echo(migration.report(found))
    count = len(found.renamings)
    if not count:
        click.echo("nothing to rename.")
    elif yes or click.confirm(f"Rename {count} run{'' if count == 1 else 's'}?"):
        try:
            migration.migrate(found, runs, click.echo)
        finally:
            write_index(from_project(runs))  # it links the runs by their names
        click.echo("Their pages showed the old names; each is drawn again the next time its run is asked for.")
    else:
        click.echo("nothing was renamed.")


@main.command()
@click.argument("dataset")
def data(dataset: str) -> None:
    """Download, decode or draw DATASET once. Also sets for VOC: voc2007, voc2012, voc2011-sbd, scenes."""
    from rotnet_lib.data.voc.sets import open_voc
    from rotnet_lib.data.voc.source import VOC_SETS

    if (kind := dataset.partition(":")[0]) in VOC_SETS:
        for task in VOC_SETS[kind].tasks[-2:]:  # classification needs what detection does
            voc = open_voc(dataset, task)
            click.echo(f"{voc.title}, {task}: {len(voc.train)} training and {len(voc.test)} test images, {voc.fingerprint}")
        return
    from rotnet_lib.data.dataset import load_dataset
    from rotnet_lib.data.spec import DataSpec

    found = load_dataset(DataSpec(dataset))
    click.echo(f"{found.title}: {len(found.train)} training and {len(found.test)} test images, {found.fingerprint}")


@main.command("import-weights")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--arch", required=True, help="What FILE holds: alexnet or nin4.")
def import_weights(file: Path, out: Path, arch: str) -> None:
    """Convert FILE, a checkpoint that RotNet's authors released (model_net_epoch...), to OUT (.safetensors).

    OUT can be probed as any run can: `rotnet run probe -p backbone OUT -p dataset cifar10`.
    """
    from rotnet_lib.models.released import released_network
    from rotnet_lib.training.checkpoints import save_backbone

    if out.exists():
        raise RotnetError(f"{out} is there already; delete it or name another file.")
    network = released_network(file, arch)
    save_backbone(out, network, network.backbone)
    taps = ", ".join(network.backbone.taps)
    click.echo(f"{out}: {arch} with layers {taps}, and its answers to rotations by 0, 90, 180, 270 degrees counter-clockwise")


@main.command()
def doctor() -> None:
    """What this machine has, how to get what is missing, and how long a first table would take."""
    from rotnet_lib.bench.readiness import verdict
    from rotnet_lib.doctor import report

    click.echo(report())
    click.echo(verdict(say=partial(click.echo, err=True)))


if __name__ == "__main__":
    sys.exit(main())

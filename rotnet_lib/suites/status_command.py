"""The command `rotnet status`."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rotnet_lib.errors import RotnetError
from rotnet_lib.paths import shown_path
from rotnet_lib.suites.command_options import suite_options

if TYPE_CHECKING:
    from rotnet_lib.suites.plan import CollectionPlan, Options, Plan, PlannedRun

# Heavy imports are inside the functions: `rotnet --help` should not load the suites.


@click.command()
@click.argument("suite", required=False)
@suite_options()
def status(suite: str | None, options: "Options") -> None:
    """Finished and failed runs of every suite, one line per suite; of SUITE, one line per run."""
    from rotnet_lib.suites.methods import asked_for
    from rotnet_lib.suites.plan import make_plan
    from rotnet_lib.suites.suite import suite_names, suites_with_methods

    if suite is not None:
        for line in _details(suite, make_plan(suite, options)):
            click.echo(line)
        return
    asked_for(options.methods)  # what is wrong in it is so of all
    with_methods = suites_with_methods()  # the others METHODS does not concern
    found: dict[str, Plan | CollectionPlan | RotnetError] = {}
    for name in suite_names():
        try:
            found[name] = make_plan(name, options if name in with_methods else dataclasses.replace(options, methods=None))
        except RotnetError as error:
            found[name] = error
    errors = [entry for entry in found.values() if isinstance(entry, RotnetError)]
    if len(errors) == len(found):  # what is wrong concerns all, such as an unknown preset
        raise errors[0]
    for line in _overview(found):
        click.echo(line)


def _overview(found: "Mapping[str, Plan | CollectionPlan | RotnetError]") -> Iterator[str]:
    """A line a suite, below headings."""
    rows = [("suite", "finished", "failed", "preset", "")]
    for name, plan in found.items():
        if isinstance(plan, RotnetError):  # its data is not here, say; the others are told of all the same
            rows.append((name, "", "", "", f"cannot be made: {_brief(str(plan))}"))
            continue
        states = [run.directory.state for run in plan.runs]
        other = [state for state in dict.fromkeys(sorted(states)) if state not in ("finished", "failed", "missing")]
        without = sum(run.directory.lacks_page for run in plan.runs)
        notes = [f"{states.count(state)} {state}" for state in other] + ([f"{without} without its page"] if without else [])
        finished, failed = f"{states.count('finished')} of {len(states)}", str(states.count("failed") or "-")
        rows.append((name, finished, failed, plan.preset, ", ".join(notes)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for name, finished, failed, preset, also in rows:
        figures = f"{finished:>{widths[1]}}  {failed:>{widths[2]}}  {preset:{widths[3]}}"
        yield f"{name:{widths[0]}}  {figures if finished else ''}{'  ' if finished else ''}{also}".rstrip()
    yield "One line per run: make status SUITE=table3, or rotnet status table3."


def _details(name: str, plan: "Plan | CollectionPlan") -> Iterator[str]:
    """A line a run of a suite, below one that counts them."""
    states = [run.directory.state for run in plan.runs]
    without = [run.name for run in plan.runs if run.directory.lacks_page]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))
    yield f"{name} (preset {plan.preset}): {counts}" + (f"; {len(without)} finished, page missing" if without else "")
    for run, state in zip(plan.runs, states, strict=True):
        path = shown_path(run.directory.path)
        what = run.directory.damage or f"{path}{', page missing' if run.name in without else ''}{_trained(run, state)}"
        yield f"  {state:12} {run.key}, seed {run.config.seed}: {what}"


def _trained(run: "PlannedRun", state: str) -> str:
    """How far a run is that is being trained, or was."""
    from rotnet_lib.suites.progress import share_of

    share = share_of(run) if state in ("running", "interrupted") else None
    return "" if share is None else f" ({share:.0%} trained)"


def _brief(problem: str) -> str:
    """The first sentence of an error, with short paths; its suite has the rest."""
    first, _, rest = " ".join(problem.replace(f"{Path.cwd()}/", "").split()).partition(". ")
    return first.removesuffix(".") + (" ..." if rest else "")

"""`make campaign-inputs`: odd inputs by the thousand. Each must end in a right result or in an error that names the culprit."""

import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
import torch

from campaigns.inputs.kinds import KINDS
from campaigns.inputs.pool import Campaign, prepare, run_all
from campaigns.inputs.trial import End, Outcome
from campaigns.record import Record, duration, printable, table
from rotnet_lib.errors import RotnetError, unknown

_ENDS: tuple[End, ...] = ("right", "named", "neither")

_COUNTS = "Counts"
"""Heading of the table."""

_SHOWN = 30
"""Failures that the terminal shows; the record has all."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--inputs", default=10_000, show_default=True, type=click.IntRange(1), help="How many, over all kinds.")
@click.option("--seed", default=0, show_default=True, help="With kind and number it says what an input is.")
@click.option("--only", default="", metavar="KIND[:NUMBER] ...", help="These kinds alone, or these inputs.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option(
    "--out", default="runs/campaign-inputs", show_default=True, type=click.Path(path_type=Path), help="For the record."
)
def main(inputs: int, seed: int, only: str, workers: int, out: Path) -> None:
    """Change good inputs of every kind and let the library read them; count what ends right, in a named error, in neither.

    Ends with exit code 1 if any ends in neither. The files of those stay in the folder `neither` of the record.
    """
    try:
        trials = choose(inputs, only)
    except RotnetError as error:
        raise click.ClickException(str(error)) from None
    begin = time.monotonic()
    torch.set_num_threads(1)  # there are as many processes as told
    outcomes = _run(Campaign(KINDS, seed, out.resolve() / "good", out.resolve() / "neither"), trials, workers)
    command = f"make campaign-inputs INPUTS={inputs} SEED={seed}" + (f" ONLY='{only}'" if only else "")
    record = make_record(outcomes, command, time.monotonic() - begin)
    path = record.write(out)
    click.echo(f"\n{record.sections[_COUNTS]}")
    failures = [printable(line) for line in record.failures]
    rest = [f"... and {len(failures) - _SHOWN} more"] if len(failures) > _SHOWN else []
    click.echo("\n" + "".join(f"{line}\n" for line in [*failures[:_SHOWN], *rest]), nl=False)
    click.echo(f"{len(failures)} failures; {duration(record.seconds)}; the record: {path}")
    sys.exit(bool(failures))


def choose(inputs: int, only: str = "") -> list[tuple[str, int]]:
    """The inputs to try, each a kind and a number: `inputs` in equal parts of all kinds, or what `only` names.

    Number 0, the good input of the kind, is always among them, but where one input is named.
    Raises RotnetError for an unknown kind, and for what is no number.
    """
    named = [word.partition(":")[::2] for word in only.split()] or [(kind, "") for kind in KINDS]
    for kind, number in named:
        if kind not in KINDS:
            raise unknown("kind of input", kind, KINDS)
        if number and not (number.isascii() and number.isdigit()):
            raise RotnetError(f"ONLY: '{kind}:{number}': a number is needed behind the colon, such as {kind}:12.")
    whole = [kind for kind, number in named if not number]
    share, rest = divmod(inputs, max(1, len(whole)))
    counts = {kind: share + (place < rest) for place, kind in enumerate(whole)}
    return [(kind, int(number)) for kind, number in named if number] + [
        (kind, number) for kind, count in counts.items() for number in range(count)
    ]


def _run(campaign: Campaign, trials: Sequence[tuple[str, int]], workers: int) -> list[Outcome]:
    for folder in (campaign.good, campaign.work):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    kinds = dict.fromkeys(kind for kind, _ in trials)
    click.echo(f"{len(trials)} inputs of {len(kinds)} kinds", err=True)
    outcomes = list(prepare(campaign, kinds, workers))
    left_out = {outcome.kind for outcome in outcomes}
    ready = [(kind, number) for kind, number in trials if kind not in left_out]
    shown = time.monotonic()
    for outcome in run_all(campaign, ready, workers):
        outcomes.append(outcome)
        if time.monotonic() - shown > 15:
            shown = time.monotonic()
            counts = Counter(outcome.end for outcome in outcomes)
            click.echo(f"{len(outcomes)}: " + ", ".join(f"{counts[end]} {end}" for end in _ENDS), err=True)
    shutil.rmtree(campaign.good)
    return outcomes


def make_record(outcomes: Sequence[Outcome], command: str, seconds: float) -> Record:
    """Counts by kind, and each failure with what is needed to repeat it: neither right nor named, or a good input not right."""
    counts = {kind: Counter(outcome.end for outcome in outcomes if outcome.kind == kind) for kind in KINDS}
    rows: list[Sequence[object]] = [(kind, *(of_kind[end] for end in _ENDS)) for kind, of_kind in counts.items() if of_kind]
    total = Counter(outcome.end for outcome in outcomes)
    failed = [o for o in outcomes if o.end == "neither" or (o.number == 0 and o.end != "right")]
    return Record(
        title="Odd inputs: a right result, a RotnetError that names the culprit, or neither",
        command=command,
        seconds=seconds,
        sections={
            _COUNTS: table(("kind", *_ENDS), [*rows, ("all", *(total[end] for end in _ENDS))]),
            "What is right": "\n".join(f"- {kind}: {KINDS[kind].right}." for kind, of_kind in counts.items() if of_kind),
        },
        failures=[_line(outcome) for outcome in sorted(failed, key=lambda o: (o.kind, o.number))],
        counts={"inputs": len(outcomes)} | {end: total[end] for end in _ENDS},
    )


def _line(outcome: Outcome) -> str:
    good = "the good input is not right: " if outcome.number == 0 else ""
    return f"{outcome.kind}:{outcome.number}: {outcome.what[:200]}: {good}{outcome.reason[:400]}"


if __name__ == "__main__":
    main()

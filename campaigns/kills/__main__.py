"""`make campaign-kills`: processes of a making are killed by the hundred. Nothing may be lost, changed, left running."""

import shutil
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from campaigns.kills.processes import ROLES, end
from campaigns.kills.round import Round, play
from campaigns.kills.suite import Suite, check_ready
from campaigns.record import Record, duration, printable, table
from rotnet_lib.errors import RotnetError

_COUNTS = "Counts"
_BY_PROCESS = "Kills by process and signal"
_FOLDERS = ("undisturbed", "disturbed", "own")
"""Of the record's folder; where a round went wrong, its runs and what was printed stay in `round-N`."""

_SIGNALS = ("SIGTERM", "SIGKILL", "SIGHUP", "SIGINT")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--kills", default=100, show_default=True, type=click.IntRange(1), help="How many, of processes that exist.")
@click.option("--seed", default=0, show_default=True, help="With a round's number it decides what is killed when.")
@click.option("--only", type=click.IntRange(1), metavar="ROUND", help="This round alone.")
@click.option("--out", default="runs/campaign-kills", show_default=True, type=click.Path(path_type=Path), help="The record's.")
def main(kills: int, seed: int, only: int | None, out: Path) -> None:
    """Make a tiny suite again and again, kill one of its processes at a random time, and make it to the end.

    Ends with exit code 1 if anything was lost, changed, left running, without a page, or otherwise wrong.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what is being made is ended first
    begin = time.monotonic()
    rounds: list[Round] = []
    command = f"make campaign-kills KILLS={kills} SEED={seed}" + (f" ONLY={only}" if only else "")
    try:
        check_ready()
        for found in _play(kills, seed, only, out.resolve()):
            rounds.append(found)
            # After each round: the campaign may be interrupted.
            make_record(rounds, command, time.monotonic() - begin).write(out)
            lines = [f"round {found.number}: {len(found.kills)} kills, {duration(found.seconds)}", *found.failures]
            click.echo(printable("\n  ".join(lines)), err=True)
    except RotnetError as error:
        raise click.ClickException(str(error)) from None
    record = make_record(rounds, command, time.monotonic() - begin)
    for heading in (_BY_PROCESS, _COUNTS):
        click.echo(f"\n{record.sections[heading]}")
    click.echo(f"\n{len(record.failures)} failures; {duration(record.seconds)}; the record: {record.write(out)}")
    sys.exit(bool(record.failures))


def _play(kills: int, seed: int, only: int | None, out: Path) -> Iterator[Round]:
    for old in (*(out / name for name in _FOLDERS), *out.glob("round-*")):
        shutil.rmtree(old, ignore_errors=True)
    undisturbed, disturbed, own = (out / name for name in _FOLDERS)
    whole, suite = Suite(undisturbed, own), Suite(disturbed, own)
    length = _make_undisturbed(whole, out)
    done, number = 0, only or 1
    while done < kills:
        found = play(number, seed, whole, suite, length, kills - done)
        if found.failures:
            shutil.move(suite.runs, out / f"round-{number}")
        yield found
        if only:
            break
        done, number = done + len(found.kills), number + 1
    shutil.rmtree(suite.runs, ignore_errors=True)


def _make_undisturbed(suite: Suite, out: Path) -> float:
    """Make the suite; returns how many seconds a making of two of its runs takes.

    Raises RotnetError if it fails: then there is nothing to compare with.
    """
    suite.runs.mkdir(parents=True)
    log = out / "undisturbed.log"
    seconds = 0.0
    for step in ("all", "two"):
        if step == "two":
            plan = suite.plan()
            for path in (plan.directory, *(run.directory.path for run in plan.runs[:2])):
                shutil.rmtree(path)
        click.echo(f"the suite undisturbed, {step} of its runs", err=True)
        begin = time.monotonic()
        try:
            code = suite.start(f"undisturbed-{step}", log).wait(1200)
        finally:
            end(f"undisturbed-{step}")
        seconds = time.monotonic() - begin
        if code or suite.unfinished() or suite.without_page():
            raise RotnetError(f"the suite cannot be made even undisturbed: {log} says why.")
    return seconds


def make_record(rounds: Sequence[Round], command: str, seconds: float) -> Record:
    """Counts, and each failure with the round that it came of."""
    kills = [kill for found in rounds for kill in found.kills]
    rows: list[Sequence[object]] = []
    for role in ROLES:
        of_role = [kill for kill in kills if kill.role == role]
        times = [kill.seconds for kill in of_role if kill.seconds is not None]
        spread = (f"{statistics.median(times):.1f}", f"{max(times):.1f}") if times else ("", "")
        by_signal = [sum(kill.signal == name for kill in of_role) for name in _SIGNALS]
        rows.append((role, *by_signal, len(of_role), *spread))
    totals = [sum(int(str(row[place])) for row in rows) for place in range(1, 2 + len(_SIGNALS))]
    counts = {
        "kills": len(kills),
        "lost": sum(len(found.lost) for found in rounds),
        "changed": sum(len(found.changed) for found in rounds),
        "left running": sum(bool(kill.left) for kill in kills),
        "without a page": sum(len(found.without_page) for found in rounds),
        "otherwise wrong": sum(len(found.other) for found in rounds),
    }
    return Record(
        title="Kills of a making: what is lost, changed, left running after 15 s, without a page",
        command=command,
        seconds=seconds,
        sections={
            _BY_PROCESS: table(("process", *_SIGNALS, "all", "s to end, median", "most"), [*rows, ("all", *totals, "", "")]),
            _COUNTS: table(list(counts), [list(counts.values())]),
        },
        failures=[f"round {found.number}: {line}" for found in rounds for line in found.failures],
        counts=counts,
    )


if __name__ == "__main__":
    main()

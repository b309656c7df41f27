"""A round: the suite is begun, killed at random, begun again, and in the end made. Then nothing may be missing or changed."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from campaigns.kills.processes import ROLES, Role, described, end, marked, role_of, wait_for
from campaigns.kills.suite import Suite
from rotnet_lib.seeds import derive

SECONDS_TO_END = 15.0
"""After the kill of what the others work for, all of them have ended."""

_LONGEST = 600.0
"""Seconds after which a making is taken for hung."""

_GO_ON: Mapping[Role, Sequence[Role]] = {
    "make": (),
    "rotnet": (),
    "Snakemake": ("make", "rotnet"),
    "job": ROLES,
    "kernel": ROLES,
}
"""Killed process -> those that do not end with it: rotnet draws the report after Snakemake's end, and the end of a job or a
kernel is that of its run alone."""

_SIGNALS = (signal.SIGTERM, signal.SIGKILL, signal.SIGHUP)

_OF_TERMINAL = (signal.SIGINT, signal.SIGHUP)
"""Ctrl-C, and the end of the terminal: it sends them to make and all that is in its process group. Make relies on that: it only
waits for its child when it gets one of them alone."""


@dataclass(frozen=True)
class Kill:
    """A kill of a process that existed.

    Attributes:
        round, number: which it was.
        role: of the process.
        signal: its name.
        after: seconds after the making began.
        seconds: until nothing of the making was left, where nothing should be; None: there was, or the others went on.
        left: what still ran after the time that it had to end in.
    """

    round: int
    number: int
    role: Role
    signal: str
    after: float
    seconds: float | None = None
    left: tuple[str, ...] = ()


@dataclass
class Round:
    """What came of a round.

    Attributes:
        kills: in order.
        lost: runs that are not finished after the last making, or that a making did not say it had not finished.
        changed: runs with other figures or weights than undisturbed ones.
        without_page: finished runs without a page, and the suite if it has none.
        other: what else is wrong: a lock that is held, files left behind.
        seconds: how long it took.
    """

    number: int
    kills: list[Kill] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    without_page: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failures(self) -> list[str]:
        """A line each."""
        left = [
            f"left running after the {kill.signal} of {kill.role}: {', '.join(kill.left)}" for kill in self.kills if kill.left
        ]
        parts = {"lost": self.lost, "changed": self.changed, "without a page": self.without_page, "": self.other}
        return [*left, *(f"{what}: {entry}".removeprefix(": ") for what, entries in parts.items() for entry in entries)]


def play(
    number: int, seed: int, whole: Suite, suite: Suite, length: float, most: int, patience: float = SECONDS_TO_END
) -> Round:
    """Play a round.

    Args:
        number: of the round; with the seed it decides what is removed, when and what is killed.
        seed: of the campaign.
        whole: the suite made undisturbed. Its folder of runs is copied, without some of the runs and without the page.
        suite: where the copy goes.
        length: seconds that a making takes.
        most: kills.
        patience: seconds that processes have to end in.
    """
    begin, found = time.monotonic(), Round(number)
    rng = random.Random(derive(seed, "kills", number))
    _begin_from(whole, suite, rng)
    making = _Making(suite, found, patience)
    for _ in range(min(most, rng.choice((1, 2, 3)))):
        if making.disturb(rng, length):
            break
    making.finish(whole.figures())
    found.seconds = time.monotonic() - begin
    return found


def _begin_from(whole: Suite, suite: Suite, rng: random.Random) -> None:
    shutil.rmtree(suite.runs, ignore_errors=True)
    shutil.copytree(whole.runs, suite.runs)
    plan = suite.plan()
    shutil.rmtree(plan.directory)
    for run in rng.sample(plan.runs, 2):
        shutil.rmtree(run.directory.path)


class _Making:
    """The suite of a round, made again and again."""

    def __init__(self, suite: Suite, found: Round, patience: float) -> None:
        self._suite, self._found, self._patience = suite, found, patience
        self._log = suite.runs / "making.log"
        self._temporary: set[Path] = set()
        self._begun = 0

    def _start(self) -> tuple[str, subprocess.Popen[bytes]]:
        self._begun += 1
        mark = f"{os.getpid()}-{self._found.number}-{self._begun}"
        return mark, self._suite.start(mark, self._log)

    def disturb(self, rng: random.Random, length: float) -> bool:
        """Begin a making, and kill one of its processes at a time drawn from all of its length, unless it has ended by then.

        Returns whether there is nothing left to make.
        """
        after, order = rng.uniform(0, length), rng.sample(ROLES, len(ROLES))
        mark, process = self._start()
        try:
            begin = time.monotonic()
            while time.monotonic() - begin < after and process.poll() is None:
                self._note_temporary(mark)
                time.sleep(min(0.2, max(0.0, after - (time.monotonic() - begin))))
            there = {one: role_of(one) for one in marked(mark)}
            chosen = next((role for role in order if role in there.values()), None)
            if process.poll() is not None or chosen is None:
                self._await_end(mark, process)
                return process.returncode == 0
            victim = rng.choice([one for one, role in there.items() if role == chosen])
            with_signal = rng.choice((*_SIGNALS, signal.SIGINT) if chosen == "make" else _SIGNALS)
            self._kill(mark, process, list(there), victim, chosen, with_signal, time.monotonic() - begin)
        finally:
            end(mark)
            process.wait()
        return process.returncode == 0

    def _kill(
        self,
        mark: str,
        process: subprocess.Popen[bytes],
        there: Sequence[psutil.Process],
        victim: psutil.Process,
        role: Role,
        with_signal: signal.Signals,
        after: float,
    ) -> None:
        self._note_temporary(mark)
        said = self._log.stat().st_size
        try:
            if role == "make" and with_signal in _OF_TERMINAL:
                os.killpg(process.pid, with_signal)
            else:
                victim.send_signal(with_signal)
        except (ProcessLookupError, psutil.NoSuchProcess):
            return  # it has ended since: no kill
        seconds: float | None = None
        left: tuple[str, ...] = ()
        if len(_GO_ON[role]) < len(ROLES):
            seconds = wait_for(lambda: not self._ending(mark, process, there, role), self._patience)
            left = tuple(map(described, self._ending(mark, process, there, role))) if seconds is None else ()
        self._found.kills.append(
            Kill(self._found.number, len(self._found.kills) + 1, role, with_signal.name, after, seconds, left)
        )
        if left:
            return
        if _GO_ON[role]:
            self._await_end(mark, process)
            self._check_said(said, process.returncode)
        if self._suite.locked:
            self._found.other.append("the folder of runs is locked, and nothing of the making runs")

    def _ending(
        self, mark: str, process: subprocess.Popen[bytes], there: Sequence[psutil.Process], role: Role
    ) -> list[psutil.Process]:
        """The processes that should end after a kill, and still run: if others go on, those that were there before."""
        process.poll()  # reaps it
        going_on = _GO_ON[role]
        return [one for one in marked(mark) if not going_on or (one in there and role_of(one) not in going_on)]

    def _await_end(self, mark: str, process: subprocess.Popen[bytes]) -> None:
        """Until a making ends by itself, and all of it."""
        if wait_for(lambda: self._noted_and_ended(mark, process), _LONGEST) is None:
            self._found.other.append(f"a making did not end in {_LONGEST:g} s: {', '.join(map(described, marked(mark)))}")
        elif wait_for(lambda: not marked(mark), self._patience) is None:
            self._found.other.append(f"left running after a making's end: {', '.join(map(described, marked(mark)))}")

    def _noted_and_ended(self, mark: str, process: subprocess.Popen[bytes]) -> bool:
        self._note_temporary(mark)
        return process.poll() is not None

    def _check_said(self, said: int, code: int | None) -> None:
        """A making that leaves runs unfinished names them, and ends with another exit code than 0."""
        with self._log.open("rb") as log:
            log.seek(said)
            text = log.read().decode(errors="replace")
        unnamed = [key for key in self._suite.unfinished() if code == 0 or f"{key}, seed" not in text]
        self._found.lost += [f"{key} was not finished, and the making did not say so" for key in unnamed]

    def finish(self, expected: Mapping[str, Any]) -> None:
        """Make the suite undisturbed, and look at what there is."""
        mark, process = self._start()
        try:
            self._await_end(mark, process)
        finally:
            end(mark)
            process.wait()
        found, suite = self._found, self._suite
        if process.returncode:
            found.other.append(f"the last making ended with exit code {process.returncode}")
        found.lost += suite.unfinished()
        figures = suite.figures()
        found.changed += [key for key, value in figures.items() if value != expected[key]]
        found.without_page += suite.without_page()
        found.other += [f"left behind: {path}" for path in suite.leftovers(sorted(self._temporary))]

    def _note_temporary(self, mark: str) -> None:
        """Remember the folders in which the making's kernels have their connection files; others have such folders too."""
        for process in marked(mark):
            if role_of(process) == "kernel":
                try:
                    words = process.cmdline()
                except psutil.Error:
                    continue
                files = [Path(word) for word in words if word.endswith(".json")]
                self._temporary |= {file.parent for file in files if file.parent.name.startswith("rotnet-")}

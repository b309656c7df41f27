"""How far the making of a suite is: `5 of 7 runs finished, about 2 min left`."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean

from rotnet_lib.runs.directory import METRICS
from rotnet_lib.suites.plan import CollectionPlan, Plan, PlannedRun
from rotnet_lib.suites.run_lengths import duration, seconds_here, work_of
from rotnet_lib.training.trained_share import trained_share

_INTERVAL = 60.0
"""Seconds after which it is said again how long it will take, where no run has ended meanwhile."""

_LEAST = 0.05
"""Share of its length that a run still takes which is at work for longer than it should be."""


@dataclass
class _AtWork:
    """A run that is being made.

    Attributes:
        since: when it was first seen at work, on the clock of `Progress`.
        seen: (when, trained share), where that was first known.
    """

    since: float
    seen: tuple[float, float] | None = None


class Progress:
    """Looks at the runs of a plan while they are made.

    How long the rest takes is estimated by finished runs like those that are left, else by finished runs of the same stage in
    the plan, in proportion to the images of all epochs; of a run at work also by how far it is. Where there is neither, by the
    average of the plan's finished runs, and the line says `roughly` in place of `about`. Before a run is finished and before
    all runs that are at work say how far they are, nothing is said of it.

    Args:
        plan: what is made.
        missing: its runs that are to be made.
        side_by_side: how many of them are made at a time.
        clock: seconds.
    """

    def __init__(
        self,
        plan: Plan | CollectionPlan,
        missing: list[PlannedRun],
        *,
        side_by_side: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan = plan
        self.side_by_side = side_by_side
        self._clock = clock
        self._left = {run.name: run for run in missing}
        self._count = len(plan.runs)
        self._finished = sum(run.directory.finished for run in plan.runs)
        self._failed: set[str] = set()
        self._at_work: dict[str, _AtWork] = {}
        self._more: list[float] = []
        """By how many seconds each run took longer than its result says: a notebook is started and a page drawn."""
        self._said = clock()

    def look(self) -> str | None:
        """The line to print, if there is one: a run has ended since the last look, or a minute has passed."""
        now, before = self._clock(), len(self._left)
        for name, run in list(self._left.items()):
            if (run.directory.path / METRICS).exists() and run.directory.finished:
                self._end(name, run, now)
            elif not run.directory.running:
                if name in self._at_work and run.directory.state != "running":
                    del self._left[name], self._at_work[name]
                    self._failed.add(name)
            else:
                state = self._at_work.setdefault(name, _AtWork(now))
                if state.seen is None and (share := share_of(run)):
                    state.seen = (now, share)
        ended = len(self._left) < before
        if not ended and now - self._said < _INTERVAL:
            return None
        left = self._estimate(now)
        self._said = now
        if not ended and left is None:
            return None
        parts = [f"{self._finished} of {self._count} runs finished"]
        parts += [f"{len(self._failed)} failed"] if self._failed else []
        return ", ".join([*parts, *([f"{left} left"] if left else [])])

    def _end(self, name: str, run: PlannedRun, now: float) -> None:
        del self._left[name]
        self._finished += 1
        if (state := self._at_work.pop(name, None)) is not None:
            self._more.append(max(0.0, now - state.since - run.directory.result().seconds))

    def _estimate(self, now: float) -> str | None:
        """`about 2 min`, for all runs that are left and can be made; None where nothing is known of one."""
        wanted = [run for run in self._left.values() if not _builds_on(run, self._failed)]
        if not wanted:
            return None
        known = seconds_here(self.plan)
        done = [run for run in self.plan.runs if run.directory.finished]
        seconds, word = 0.0, "about"
        for run in wanted:
            length, guessed = self._length(run, known, done)
            if (state := self._at_work.get(run.name)) is not None:
                share = share_of(run)
                if state.seen and share is not None and share > state.seen[1]:  # its own pace
                    seconds += (1 - share) * (now - state.seen[0]) / (share - state.seen[1])
                    continue
                if length is not None:
                    length = max(length - (now - state.since), _LEAST * length)
            if length is None:
                return None
            seconds += length
            word = "roughly" if guessed else word
        return f"{word} {duration(seconds / min(self.side_by_side, len(wanted)))}"

    def _length(self, run: PlannedRun, known: dict[str, float], done: list[PlannedRun]) -> tuple[float | None, bool]:
        """Seconds that a run may take from its start to its end, or None; and whether they are a mere guess."""
        more = mean(self._more) if self._more else 0.0
        if run.name in known:
            return known[run.name] + more, False
        work = _work(run)
        rates = [other.directory.result().seconds / _work(other) for other in done if other.config.stage == run.config.stage]
        if rates:
            return mean(rates) * work + more, False
        if done:
            return mean(other.directory.result().seconds for other in done) + more, True
        return None, True


def share_of(run: PlannedRun) -> float | None:
    """How much of its training a run of a plan has behind it; see `trained_share`. None of one that trains nothing."""
    length = getattr(run.config, "epochs", None) or getattr(run.config, "iterations", None)
    return trained_share(run.directory, length) if length else None


def _work(run: PlannedRun) -> float:
    return work_of(type(run.config), run.config.model_dump(mode="json")) or 1.0


def _builds_on(run: PlannedRun, names: set[str]) -> bool:
    return any(other.name in names or _builds_on(other, names) for other in run.upstream)

"""The mean time of a call, by a clock of one's own."""

import itertools
import time

import pytest
import torch

from rotnet_lib.bench.timing import matmul_rate, seconds_each

CPU = torch.device("cpu")


@pytest.mark.parametrize(("seconds", "calls"), [(2.0, 4), (2.1, 5), (0.0, 1)])
def test_the_mean_is_over_as_many_calls_as_fit_and_not_over_the_warm_up(
    seconds: float, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    durations = [100.0] + [0.5] * 10
    clock, made = [0.0], [0]

    def call() -> None:
        clock[0] += durations[made[0]]
        made[0] += 1

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    assert seconds_each(call, seconds, CPU) == pytest.approx(0.5)
    assert made[0] == 1 + calls


def test_the_matmul_rate_counts_a_multiplication_and_an_addition_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that is read three times: before the one product that is timed, behind it, and at the end."""
    ticks = itertools.count(0.0, 0.125)
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    assert matmul_rate(0.1, CPU) == 2 * 2048**3 / 0.25

"""Rates of reading a set in VOC's layout: of every file, by as many processes as asked for, which have ended afterwards."""

import re
import time
from collections.abc import Callable

import psutil
import pytest
from click.testing import CliRunner

from benchmarks.voc_reading import main, reading_rates
from rotnet_lib.data.voc.sets import open_voc
from rotnet_lib.data.voc.split import VocSplit


@pytest.mark.parametrize("workers", [0, 2])
def test_everything_is_read(workers: int) -> None:
    split = open_voc("scenes:64", "segmentation", 16, 1).train
    before = set(psutil.Process().children())
    found = reading_rates(split, workers, files_a_task=2)
    assert found.processes == max(workers, 1)
    assert list(found.rates) == ["images", "annotations", "masks"]
    assert all(20 < rate < 1e6 for rate in found.rates.values())
    assert 50 < found.before / found.processes < 5000
    assert found.after < found.before + 100
    assert set(psutil.Process().children()) <= before


def test_a_rate_is_files_over_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that only reading moves: images take 1 s, annotations 2 s, masks 4 s."""
    now = [0.0]
    seen = []

    def reader(what: str, seconds: float) -> Callable[[VocSplit, int], None]:
        def read(split: VocSplit, index: int) -> None:
            seen.append((what, index))
            now[0] += seconds

        return read

    readers = {what: reader(what, seconds) for what, seconds in (("images", 1.0), ("annotations", 2.0), ("masks", 4.0))}
    split = open_voc("scenes:64", "segmentation", 5, 1).train
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    assert reading_rates(split, 0, files_a_task=2, readers=readers).rates == {"images": 1, "annotations": 0.5, "masks": 0.25}
    assert seen == [(what, index) for what in ("images", "annotations", "masks") for index in range(5)]


def test_the_command_prints_a_line_for_one_process_and_one_for_several() -> None:
    result = CliRunner().invoke(main, ["--workers", "2", "--scenes", "24", "--side", "64", "--files-a-task", "2"])
    assert result.exit_code == 0, result.output
    first, *lines = result.stdout.splitlines()  # progress bars go to stderr
    assert first.startswith("scenes of 64 pixels (drawn, not photographs), 24 files of each kind, ")
    number = r"[\d,]+"
    rates = rf"{number} images/s, {number} annotations/s, {number} masks/s; memory {number} MiB at the start, {number} MiB at"
    assert re.fullmatch(rf"1 process: {rates} the end", lines[0])
    assert re.fullmatch(rf"2 processes: {rates} the end", lines[1])

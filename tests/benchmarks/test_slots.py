"""Gain of `Slots`: both ways give the same batches, and no process is left."""

import itertools
import re
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import torch
from click.testing import CliRunner

from benchmarks.slots import CROPS, batches, main
from rotnet_lib.bench.loading import write_photographs
from rotnet_lib.data.augment import Augment
from rotnet_lib.data.listing import list_images


@pytest.mark.parametrize("crop", CROPS)
def test_both_ways_give_the_same_batches(crop: Augment, tmp_path: Path) -> None:
    write_photographs(tmp_path / "photographs", 5)
    files = list_images(tmp_path)
    before = set(psutil.Process().children())
    with closing(batches(files, crop, 4, 1, slots=True)) as ours, closing(batches(files, crop, 4, 1, slots=False)) as theirs:
        for first, second in itertools.islice(zip(ours, theirs, strict=True), 8):
            assert first.shape == (4, 224, 224, 3)
            assert torch.equal(first, second)
    assert set(psutil.Process().children()) <= before


def test_the_command_prints_both_times_of_each_crop() -> None:
    options = ["--workers", "1", "--turns", "2", "--seconds", "0.05", "--files", "4", "--batch", "2"]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.output
    _, *lines = result.stdout.splitlines()
    kinds = [f"{crop}, {clock} time: slots " for crop in CROPS for clock in ("wall", "CPU")]
    assert all(line.startswith(kind) for line, kind in zip(lines, kinds, strict=True))
    number = r"[\d,.]+ \([\d,.]+ to [\d,.]+\)"
    assert all(re.search(rf"slots {number}, plain {number} images/s, ratio {number}$", line) for line in lines)

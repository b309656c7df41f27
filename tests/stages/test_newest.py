"""`backbone=newest` says what it chose, why, and what else there was."""

import os

import pytest

from rotnet_lib.runs.directory import METRICS, directory_of
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.stages.probe import ProbeConfig
from tests.results import finish


def make_run(seed: int, finished: int, arch: str = "nin4") -> str:
    """A finished pretrain run as far as choosing a backbone looks at it, and when it finished, in seconds; gives its name."""
    config = PretrainConfig.build({"dataset": "shapes", "arch": arch, "seed": seed})
    directory = directory_of(config, config.fingerprint())
    finish(directory, config, config.fingerprint())
    os.utime(directory.path / METRICS, (finished,) * 2)
    return directory.name


def test_it_says_what_it_chose_why_and_what_else_there_was(capsys: pytest.CaptureFixture[str]) -> None:
    newest = make_run(0, 1_764_043_800)
    ProbeConfig.build({"arch": "nin4"})
    assert capsys.readouterr().out == (
        f"backbone: {newest} (the only finished pretext run with layer conv2 and arch=nin4; finished 2025-11-25 04:10 UTC)\n"
    )
    older = [make_run(age, 1_764_043_800 - age) for age in range(1, 8)]
    alexnet = make_run(0, 1_764_043_900, "alexnet")
    ProbeConfig.build({"arch": "nin4"})
    assert capsys.readouterr().out == (
        f"backbone: {newest} (the newest of 8 pretext runs with layer conv2 and arch=nin4, finished 2025-11-25 04:10 UTC; the "
        f"others: {', '.join(older[:5])} and 2 more. -p backbone RUN names one)\n"
    )
    assert ProbeConfig.build({}).backbone == alexnet
    told = capsys.readouterr().out
    assert told.startswith(f"backbone: {alexnet} (the newest of 9 pretext runs with layer conv2, finished ")
    assert f"; the others: {newest}, " in told

"""Runs that are killed, and comparing what runs have trained."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import safetensors.torch
import torch

from rotnet_lib.data.loader import Batch
from rotnet_lib.pretext.task import PretextTask
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.training.task import Step


class KilledError(Exception):
    """In place of a signal."""


@contextmanager
def killed(task: type[PretextTask], call: int) -> Iterator[None]:
    """Whatever trains in here dies where it would take the task's step number `call`, counted from 1."""
    step, calls = task.step, itertools.count(1)

    def dying(self: PretextTask, batch: Batch) -> Step:
        if next(calls) == call:
            raise KilledError
        return step(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "step", dying)
        with pytest.raises(KilledError):
            yield


def weights(directory: RunDirectory) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(directory.path / "model.safetensors")


def same_weights(first: RunDirectory, second: RunDirectory) -> bool:
    a, b = weights(first), weights(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)

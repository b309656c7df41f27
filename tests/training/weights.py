"""Runs that are killed, and comparing what runs have trained."""

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import safetensors.torch
import torch

from rotnet_lib.pretext.task import PretextTask
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.stages.train import Outcome


class KilledError(Exception):
    """In place of a signal."""


@contextmanager
def killed(task: type[PretextTask], call: int, method: str = "step") -> Iterator[None]:
    """Whatever trains in here dies at that call of a method of the task, counted from 1: its step number `call`."""
    original, calls = getattr(task, method), itertools.count(1)

    def dying(self: PretextTask, *of: Any) -> Any:
        if next(calls) == call:
            raise KilledError
        return original(self, *of)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, method, dying)
        with pytest.raises(KilledError):
            yield


def whole_and_resumed(parameters: dict[str, Any], dying: AbstractContextManager[None]) -> tuple[Outcome, Outcome]:
    """A pretrain run, and the same one that died in the context and was resumed. Both are saved, and equal to the last bit."""
    whole = pretrain(PretrainConfig.build(parameters))
    whole.save()
    interrupted = PretrainConfig.build(parameters | {"runs": "others"})
    with dying:
        pretrain(interrupted)
    resumed = pretrain(interrupted)
    resumed.save()
    assert_same_course(whole, resumed)
    return whole, resumed


def assert_same_course(first: Outcome, second: Outcome) -> None:
    """Two runs have the same weights and the same history, but for the time that they took."""
    assert same_weights(first.directory, second.directory)
    timing = ["seconds", "inputs_per_second"]
    assert first.history.drop(columns=timing).equals(second.history.drop(columns=timing))


def weights(directory: RunDirectory) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(directory.path / "model.safetensors")


def same_weights(first: RunDirectory, second: RunDirectory) -> bool:
    a, b = weights(first), weights(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)

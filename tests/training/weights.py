"""Runs that are killed, and comparing what runs have trained."""

import safetensors.torch
import torch

from rotnet_lib.runs import RunDirectory


class KilledError(Exception):
    """In place of a signal."""


def weights(directory: RunDirectory) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(directory.path / "model.safetensors")


def same_weights(first: RunDirectory, second: RunDirectory) -> bool:
    a, b = weights(first), weights(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)

"""One seed a run, and every random stream of the run a function of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from rotnet_lib.lazy import torch


def derive(seed: int, *purpose: object) -> int:
    """A 63-bit seed for one purpose of a run: `derive(0, "order", epoch)`. Equal on every machine."""
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(device: torch.device, seed: int, *purpose: object) -> torch.Generator:
    """A generator on `device` for one purpose of a run."""
    return torch.Generator(device).manual_seed(derive(seed, *purpose))


@contextmanager
def seeded(seed: int, *purpose: object) -> Iterator[None]:
    """Seed torch's global CPU generator for the block, and put it back after: for initialising modules."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, *purpose))
        yield

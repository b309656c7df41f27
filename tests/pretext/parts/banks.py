"""Memory banks for tests."""

import torch

from rotnet_lib.pretext.parts.memory_bank import MemoryBank
from rotnet_lib.seeds import seeded


def remember_all(bank: MemoryBank, but: tuple[int, ...] = ()) -> None:
    """Fill a bank with random directions, as if every image but some had been seen."""
    with seeded(1):
        bank.memory.copy_(torch.nn.functional.normalize(torch.randn(bank.memory.shape), dim=1))
    bank.seen.fill_(True)
    bank.memory[list(but)] = 0
    bank.seen[list(but)] = False

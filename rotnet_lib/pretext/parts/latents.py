"""Latents: the numbers that a generator makes pictures of."""

import torch

from rotnet_lib.data.loader import Batch

_FINE = 1_000_000
"""Steps of a number."""


def drawn_latents(batch: Batch, size: int) -> torch.Tensor:
    """A latent for each image of a batch, uniform in (-1, 1): (B, size) float32.

    They do not depend on how the batch is shared among processes; those of a test batch are always the same.
    """
    return (2 * batch.randint(_FINE, size) + 1) / _FINE - 1


def fixed_latents(count: int, size: int) -> torch.Tensor:
    """Latents (count, size) as `drawn_latents`, on the CPU, always the same."""
    return 2 * torch.rand(count, size, generator=torch.Generator().manual_seed(0)) - 1

"""Copying tensors to a device."""

from __future__ import annotations

from rotnet_lib.lazy import torch


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on the device, copied without waiting for the work queued there.

    A copy to a GPU goes through pinned memory, which torch does not reuse before the copy is done.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)

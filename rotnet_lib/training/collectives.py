"""One training in several processes: who does what part, and what they tell each other.

Everything here also works in a process on its own, which is then the first of one.
"""

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from rotnet_lib.data.loader import Batch
from rotnet_lib.training.task import Step, Task

Value = TypeVar("Value")


def share() -> tuple[int, int]:
    """This process's number, from 0, and how many train together."""
    return (dist.get_rank(), dist.get_world_size()) if is_worker() else (0, 1)


def is_worker() -> bool:
    """Whether torchrun has started this process to train (see `stages.child`)."""
    return dist.is_initialized()


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return share()[0] == 0


def gather(value: Value) -> list[Value]:
    """The value (anything that can be pickled) of every process, in their order; each gets the same list."""
    _, processes = share()
    if processes == 1:
        return [value]
    found: list[Any] = [None] * processes
    dist.all_gather_object(found, value)
    return found


def of_all_processes(batch: Batch, rows: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What each process has for its part of a batch, for the whole batch, in its order and in every process alike.

    Args:
        batch: this process's part.
        rows: (n, D) float, a row for each of its n images.
        index: (n,) int64, not negative.

    Returns:
        The same of the B images that all processes have: (B, D) and (B,).
    """
    if share()[1] == 1:
        return rows, index
    assert batch.places is not None
    assert batch.whole is not None
    # Into the zeros of a whole batch, and added up: parts differ in length where damaged images are left out.
    everyones = rows.new_zeros(batch.whole, *rows.shape[1:])
    indices = index.new_full((batch.whole,), 0)
    everyones[batch.places] = rows
    indices[batch.places] = index + 1
    for tensor in (everyones, indices):
        dist.all_reduce(tensor)
    there = indices > 0
    return everyones[there], indices[there] - 1


def training_step(task: Task, device: torch.device) -> Callable[[Batch], Step]:
    """`task.step` on this process's part of a batch, as a step of the whole batch.

    Where several processes train, the module's batch norms are converted in place (see `share_batch_norm`), its parameters
    become those of the first process, and after the backward pass the gradients are the means over the processes: those of
    the whole batch, since the parts are equal and losses are means.

    Args:
        task: its module, on the device.
        device: where it computes.
    """
    if share()[1] == 1:
        return task.step
    task.module.train()
    share_batch_norm(task.module, device)
    # Of a 1x1 kernel two orders of axes are one layout in memory, and torch warns that they differ.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch 2.15 has another name for the option, 2.11 has not
        # Buffers need no broadcast: batch norm's statistics are of the whole batch in every process.
        step: Callable[[Batch], Step] = DistributedDataParallel(_StepModule(task), broadcast_buffers=False)
    return step


class _StepModule(nn.Module):
    """A task's step as a module's forward pass, for DistributedDataParallel to wrap.

    It wraps what is called, and tasks call their module's other methods too, or call it twice.
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.module = task.module
        self.task = task

    def forward(self, batch: Batch) -> Step:
        return self.task.step(batch)


def share_batch_norm(module: nn.Module, device: torch.device) -> None:
    """Let the batch norms in a module see the batches of all processes; in place.

    Only those in training mode: a frozen backbone, in evaluation mode, uses no batch's statistics. Parameters stay the same
    objects, and the names of the state dictionary the same.
    """
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm) and child.training:
                # torch's own does not take tensors on the CPU.
                shared = nn.SyncBatchNorm.convert_sync_batchnorm(child) if device.type == "cuda" else SharedBatchNorm(child)
                setattr(parent, name, shared)


class SharedBatchNorm(_BatchNorm):
    """Batch norm over the batches of all processes together, on the CPU.

    What torch's SyncBatchNorm is on GPUs. The processes' batches may differ in size: damaged images are left out of them.

    Args:
        norm: the one whose place it takes, with running statistics and a momentum; its parameters and buffers are taken over.
    """

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        for name, parameter in norm.named_parameters():
            setattr(self, name, parameter)
        for name, buffer in norm.named_buffers():
            setattr(self, name, buffer)
        self.train(norm.training)

    def _check_input_dim(self, input: torch.Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected (N, C, ...), not {input.dim()} dimensions")

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(N, C, ...) to the same shape, each channel of zero mean and unit variance over all processes' inputs."""
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        dims = [dim for dim in range(input.dim()) if dim != 1]
        shape = (1, -1, *[1] * (input.dim() - 2))
        own = input.new_full((1,), input.numel() // input.shape[1])
        # The mean first and then the squares about it: the mean of squares less the square of the mean loses digits.
        total, count = _sum_over_processes(torch.cat([input.sum(dims), own])).split([input.shape[1], 1])
        mean = total / count
        centred = input - mean.view(shape)
        variance = _sum_over_processes(centred.square().sum(dims)) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        normal = centred * torch.rsqrt(variance + self.eps).view(shape)
        return normal * self.weight.view(shape) + self.bias.view(shape) if self.affine else normal

    @torch.no_grad()
    def _remember(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked.add_(1)


class _SumOverProcesses(torch.autograd.Function):
    """The sum of every process's tensor. Each sum depends on each of them, so the gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (gradient,) = gradients
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def _sum_over_processes(tensor: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = _SumOverProcesses.apply(tensor)
    return total

"""Data-parallel training in a process group: ranks, all-gathers, and steps that see the global batch.

Every function also works without a process group: the process is then rank 0 of a world size of 1. Functions that make a
collective call say so; all ranks must call them, in the same order, or those that did wait for ever.
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


def rank_and_world_size() -> tuple[int, int]:
    """This process's rank, from 0, and the world size. No collective call."""
    return (dist.get_rank(), dist.get_world_size()) if in_process_group() else (0, 1)


def in_process_group() -> bool:
    """Whether torchrun started this process to train with others (see `stages.child`)."""
    return dist.is_initialized()


def is_rank_zero() -> bool:
    """Whether this process is rank 0, the one that writes files and prints."""
    return rank_and_world_size()[0] == 0


def all_gather(value: Value) -> list[Value]:
    """Every rank's value (anything that can be pickled), in the order of ranks; the same list on each rank. Collective."""
    _, world_size = rank_and_world_size()
    if world_size == 1:
        return [value]
    values: list[Any] = [None] * world_size
    dist.all_gather_object(values, value)
    return values


def all_gather_rows(batch: Batch, rows: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """All-gather rows of a batch into the order of the global batch; the same result on each rank. Collective.

    Args:
        batch: this rank's part of the global batch.
        rows: (n, D) float, a row for each of its n images.
        index: (n,) int64, not negative.

    Returns:
        (B, D) and (B,): the rows and indices of the B images of the global batch, without images left out as damaged.
    """
    if rank_and_world_size()[1] == 1:
        return rows, index
    assert batch.places is not None
    assert batch.whole is not None
    # An all-reduce of zero-padded global batches: parts differ in length where damaged images are left out.
    all_rows = rows.new_zeros(batch.whole, *rows.shape[1:])
    indices = index.new_full((batch.whole,), 0)
    all_rows[batch.places] = rows
    indices[batch.places] = index + 1
    for tensor in (all_rows, indices):
        dist.all_reduce(tensor)
    present = indices > 0
    return all_rows[present], indices[present] - 1


def add_up(*tensors: torch.Tensor) -> None:
    """Give each tensor, in place, the sum of every rank's. Collective."""
    if rank_and_world_size()[1] > 1:
        for tensor in tensors:
            dist.all_reduce(tensor)


def distributed_step(task: Task, device: torch.device) -> Callable[[Batch], Step]:
    """`task.step`, wrapped so that a step on each rank's part of a batch is a step of the global batch.

    In a process group this converts the module's batch norms in place (see `synchronize_batch_norm`), and wraps the step in
    DistributedDataParallel. Parameters are broadcast from rank 0, and the backward pass averages gradients over the ranks:
    that is the gradient of the global batch, since losses are means and parts are equal (where damaged images are left out they
    are not, and the others of their part count a little more). Without a process group it returns
    `task.step` itself. Collective, and so are the steps of what it returns, with their backward pass.

    Args:
        task: with its module on `device`.
        device: where the module is.
    """
    if rank_and_world_size()[1] == 1:
        return task.step
    task.module.train()
    synchronize_batch_norm(task.module, device)
    # Of a 1x1 kernel two orders of axes are one layout in memory, and torch warns that they differ.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch 2.15 has another name for the option, 2.11 has not
        # Buffers need no broadcast: batch norm's statistics are those of the global batch on every rank.
        step: Callable[[Batch], Step] = DistributedDataParallel(_StepModule(task), broadcast_buffers=False)
    return step


class _StepModule(nn.Module):
    """A task's step as the forward pass of a module, for DistributedDataParallel to wrap.

    Wrapping the task's module would not do: tasks call other methods of it too, or call it twice a step.
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.module = task.module
        self.task = task

    def forward(self, batch: Batch) -> Step:
        return self.task.step(batch)


def synchronize_batch_norm(module: nn.Module, device: torch.device) -> None:
    """Convert the batch norms of a module, in place, to ones that normalise over the global batch.

    On a GPU to torch's SyncBatchNorm, on the CPU to `SharedBatchNorm`. Those in evaluation mode, such as a frozen backbone's,
    are left as they are. Parameters stay the same objects, and the state dictionary keeps its names. No collective call here,
    but each forward and backward pass of the converted norms makes some.
    """
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm) and child.training:
                on_gpu = device.type != "cpu"
                setattr(parent, name, nn.SyncBatchNorm.convert_sync_batchnorm(child) if on_gpu else SharedBatchNorm(child))


class SharedBatchNorm(_BatchNorm):
    """SyncBatchNorm for the CPU, which torch's own does not support; used where several processes train on the CPU.

    In training mode it normalises over the batches of all ranks. These may differ in size: damaged images are left out of
    them. In evaluation mode it is a plain batch norm.

    Args:
        norm: the batch norm that it replaces. Its parameters and buffers are reused. Its running statistics, if it keeps any,
            have a momentum.
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
        """(N, C, ...) to the same shape; each channel has zero mean and unit variance over the inputs of all ranks."""
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        dims = [dim for dim in range(input.dim()) if dim != 1]
        shape = (1, -1, *[1] * (input.dim() - 2))
        own = input.new_full((1,), input.numel() // input.shape[1])
        # Two passes: the mean of squares minus the square of the mean would lose digits.
        total, count = _all_reduce_sum(torch.cat([input.sum(dims), own])).split([input.shape[1], 1])
        mean = total / count
        centred = input - mean.view(shape)
        variance = _all_reduce_sum(centred.square().sum(dims)) / count
        if self.track_running_stats:
            self._update_running(mean.detach(), variance.detach() * count / (count - 1))
        normal = centred * torch.rsqrt(variance + self.eps).view(shape)
        return normal * self.weight.view(shape) + self.bias.view(shape) if self.affine else normal

    @torch.no_grad()
    def _update_running(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked.add_(1)


class _AllReduceSum(torch.autograd.Function):
    """The sum of the ranks' tensors. Every rank's sum depends on every rank's tensor, so gradients are summed as well."""

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


def _all_reduce_sum(tensor: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = _AllReduceSum.apply(tensor)
    return total

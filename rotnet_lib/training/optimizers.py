"""The optimisers of the published protocols."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from rotnet_lib.runs.config import TrainingConfig


def sgd(parameters: Iterable[torch.nn.Parameter] | Iterable[dict[str, Any]], config: TrainingConfig) -> torch.optim.SGD:
    """SGD with Nesterov momentum, of parameters or of groups of them: rate, momentum and weight decay are the config's."""
    return torch.optim.SGD(
        parameters,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
        fused=True,
    )


def adam(parameters: Iterable[torch.nn.Parameter] | Iterable[dict[str, Any]], config: TrainingConfig) -> torch.optim.Adam:
    """Adam, of parameters or of groups: rate and weight decay (L2) are the config's, beta_1 its momentum, beta_2 0.999."""
    return torch.optim.Adam(
        parameters, lr=config.lr, betas=(config.momentum, 0.999), weight_decay=config.weight_decay, fused=True
    )


def without(module: torch.nn.Module, part: torch.nn.Module | None) -> list[torch.nn.Parameter]:
    """The parameters of a module, in its order, but for those of a part of it."""
    left_out = {id(parameter) for parameter in part.parameters()} if part else set()
    return [parameter for parameter in module.parameters() if id(parameter) not in left_out]


def trained(optimizer: torch.optim.Optimizer) -> list[torch.nn.Parameter]:
    """The parameters of an optimiser, in its order."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def set_rate(optimizers: Sequence[torch.optim.Optimizer], rate: float) -> None:
    """Set the learning rate of each group to the schedule's, times the group's `lr_factor`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("lr_factor", 1.0)

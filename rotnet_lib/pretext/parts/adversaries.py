"""Players that train against each other: how one sees the other, and their losses (Goodfellow et al. 2014)."""

import torch
from torch import nn
from torch.nn.functional import softplus


def frozen(module: nn.Module) -> dict[str, torch.Tensor]:
    """The module's parameters without a gradient, for `torch.func.functional_call`: what its opponent sees of it.

    Empty where no gradient is kept.
    """
    return {name: parameter.detach() for name, parameter in module.named_parameters()} if torch.is_grad_enabled() else {}


def copied_buffers(module: nn.Module) -> dict[str, torch.Tensor]:
    """Copies of the module's buffers, for `functional_call`: batch norm's running statistics stay as they are."""
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


def discriminator_loss(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """The discriminator's loss, -log D(real) - log(1 - D(made)), in nats: the sum of two means.

    Args:
        real, made: logits (B,) of what is real and of what was made, of any floating dtype; above 0 for real.
    """
    return softplus(-real.float()).mean() + softplus(made.float()).mean()


def generator_loss(made: torch.Tensor) -> torch.Tensor:
    """The generator's loss, -log D(made), in nats: a mean over logits (B,)."""
    return softplus(-made.float()).mean()

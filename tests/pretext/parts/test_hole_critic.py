"""The adversary of a network that fills holes: its losses, who they train, its sizes."""

import math

import pytest
import torch
from torch import nn

from rotnet_lib.pretext.parts.hole_critic import HoleCritic


def pictures(count: int = 4, side: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    real, filled = torch.randn(2, count, 3, side, side, generator=torch.Generator().manual_seed(0)).unbind(0)
    return real, filled.requires_grad_()


def test_a_critic_that_knows_nothing_has_the_losses_of_a_coin() -> None:
    critic = HoleCritic(16, 0.1)
    for parameter in critic.layers[-1].parameters():
        nn.init.zeros_(parameter)
    deceives, tells = critic.losses(*pictures())
    assert deceives.item() == pytest.approx(math.log(2))
    assert tells.item() == pytest.approx(2 * math.log(2))


def test_a_critic_that_is_sure_costs_nothing_and_who_filled_the_holes_much() -> None:
    class Sure(HoleCritic):
        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return 50 * pictures.mean((1, 2, 3)).sign()

    real = torch.ones(4, 3, 16, 16)
    deceives, tells = Sure(16, 0.1).losses(real, -real)
    assert tells.item() == pytest.approx(0)
    assert deceives.item() == pytest.approx(50)


def test_each_loss_trains_its_own_player() -> None:
    critic, (real, filled) = HoleCritic(16, 0.1), pictures()
    deceives, tells = critic.losses(real, filled)
    deceives.backward(retain_graph=True)
    assert filled.grad is not None
    assert filled.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in critic.parameters())
    filled.grad = None
    tells.backward()
    assert filled.grad is None
    for name, parameter in critic.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(("side", "convolutions"), [(5, 0), (24, 2), (32, 3), (64, 4), (97, 4), (224, 5)])
def test_it_takes_pictures_of_any_size(side: int, convolutions: int) -> None:
    critic = HoleCritic(side, 0.05)
    assert sum(isinstance(layer, nn.Conv2d) for layer in critic.layers) == convolutions
    assert critic(torch.zeros(2, 3, side, side)).shape == (2,)

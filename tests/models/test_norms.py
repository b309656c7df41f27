"""Batch norm without gain and shift."""

import torch
from torch import nn

from rotnet_lib.models.norms import freeze_gains


def test_gain_and_shift_stay_in_the_weights_and_are_not_trained() -> None:
    norms = (nn.BatchNorm2d(4), nn.BatchNorm1d(5))
    module = nn.Sequential(nn.Conv2d(3, 4, 1), norms[0], nn.Sequential(norms[1], nn.BatchNorm1d(5, affine=False)))
    nn.init.uniform_(norms[0].weight)
    names = set(module.state_dict())
    freeze_gains(module)
    assert set(module.state_dict()) == names
    assert [name for name, p in module.named_parameters() if p.requires_grad] == ["0.weight", "0.bias"]
    for norm in norms:
        assert torch.equal(norm.weight, torch.ones_like(norm.weight))
        assert not norm.bias.any()

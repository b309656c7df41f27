"""A backbone with its head."""

import torch

from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.models.network import Network


def test_the_head_averages_the_last_map_and_is_linear() -> None:
    network = Network(make_backbone("nin3", width=0.1, mean=(0,) * 3, std=(255,) * 3), classes=4, image_size=32).eval()
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255
    weight, bias = [p for name, p in network.named_parameters() if name.startswith("head")]
    with torch.no_grad():
        pooled = network.backbone(images).mean(dim=(2, 3))
        torch.testing.assert_close(network(images), pooled @ weight.T + bias)
    assert weight.shape == (4, 19)


def test_other_image_sizes_only_change_the_map() -> None:
    backbone = make_backbone("nin3", width=0.1, mean=(0,) * 3, std=(255,) * 3)
    network = Network(backbone, classes=4, image_size=28).eval()
    assert network.classes == 4
    assert network(torch.zeros(2, 3, 28, 28)).shape == network(torch.zeros(2, 3, 48, 48)).shape == (2, 4)

"""What is declared of archs, against what they are once built."""

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.models import ARCHS
from rotnet_lib.models.backbone import make_backbone


@pytest.mark.parametrize("name", list(ARCHS))
def test_an_arch_has_the_blocks_it_declares(name: str) -> None:
    assert ARCHS[name].name == name
    assert make_backbone(name, width=0.01, mean=(0,) * 3, std=(1,) * 3).taps == ARCHS[name].taps


@pytest.mark.parametrize("name", list(ARCHS))
def test_the_smallest_images_it_declares_are_enough(name: str) -> None:
    backbone = make_backbone(name, width=0.01, mean=(0,) * 3, std=(1,) * 3)
    channels, height, width = backbone.shape(ARCHS[name].taps[-1], ARCHS[name].min_image_size)
    assert min(channels, height, width) >= 1
    assert backbone.min_image_size == ARCHS[name].min_image_size


def test_an_unknown_layer_is_refused_with_the_taps_there_are() -> None:
    ARCHS["nin3"].check_layer("conv3")
    with pytest.raises(RotnetError, match=r"unknown layer of nin3 'conv4'.* Allowed: conv1, conv2, conv3\."):
        ARCHS["nin3"].check_layer("conv4")

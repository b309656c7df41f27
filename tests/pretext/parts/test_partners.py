"""Partners of the images of a batch."""

import pytest
import torch

from rotnet_lib.pretext.parts.partners import partners


@pytest.mark.parametrize("count", [2, 3, 8, 9])
def test_no_image_is_its_own_partner(count: int) -> None:
    found = partners(count, torch.device("cpu"))
    assert (found != torch.arange(count)).all()
    assert found.min() == 0
    assert found.max() < count


def test_an_image_alone_is() -> None:
    assert partners(1, torch.device("cpu")).tolist() == [0]


def test_parts_of_a_batch_have_the_partners_of_the_whole() -> None:
    device = torch.device("cpu")
    parts = torch.cat([partners(4, device), partners(4, device) + 4])
    assert torch.equal(parts, partners(8, device))

"""What a backbone's first convolution reads: the kinds there are, and kinds that others register."""

import pytest
import torch

from rotnet_lib.errors import RotnetError
from rotnet_lib.models import ARCHS, INPUTS
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.models.colour import lab_to_rgb, rgb_to_lab
from rotnet_lib.models.folding import first_filters, fold
from rotnet_lib.seeds import seeded
from tests.weights import fresh

MEAN, STD = (100.0, 110.0, 120.0), (50.0, 60.0, 70.0)
IMAGES = torch.randint(0, 256, (3, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_every_kind_keeps_what_it_computes_by_in_the_weights(luminance: str) -> None:
    assert luminance in INPUTS
    for name in INPUTS:
        kind = INPUTS[name]
        assert kind.name == name
        one, other = kind.make(MEAN, STD), kind.make((0,) * 3, (1,) * 3)
        found = one(IMAGES)
        assert (found.shape, found.dtype) == ((3, kind.channels, 40, 40), torch.float32)
        assert torch.equal(one(IMAGES.float()), found)
        other.load_state_dict(one.state_dict())
        assert torch.equal(other(IMAGES), found)
        assert not list(one.parameters())
        assert one.mean.flatten().tolist() == list(MEAN)


@pytest.mark.parametrize("arch", list(ARCHS))
def test_the_first_convolution_has_the_channels_of_its_kind(arch: str, luminance: str) -> None:
    backbone = fresh(arch, inputs=luminance).eval()
    assert backbone.inputs == luminance
    grey = (
        torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1) * (IMAGES - backbone.normalize.mean) / backbone.normalize.std
    ).sum(1)
    x = grey[:, None]
    for name, block in backbone.blocks.items():
        x = block(x)
        assert backbone.shape(name, 40)[0] == x.shape[1]
    torch.testing.assert_close(backbone(IMAGES), x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("arch", list(ARCHS))
def test_a_backbone_reads_rgb_unless_told(arch: str) -> None:
    with seeded(0):
        plain = make_backbone(arch, width=0.05, mean=MEAN, std=STD)
    with seeded(0):
        told = make_backbone(arch, width=0.05, mean=MEAN, std=STD, inputs="rgb")
    assert plain.inputs == "rgb"
    assert [name for name in plain.state_dict() if "blocks" not in name] == ["normalize.mean", "normalize.std"]
    assert all(torch.equal(value, told.state_dict()[name]) for name, value in plain.state_dict().items())


def test_grey_is_the_mean_of_the_colours() -> None:
    expected = (IMAGES.float().mean(1, keepdim=True) - 110) / 60
    torch.testing.assert_close(INPUTS["grey"].make(MEAN, STD)(IMAGES), expected)


def test_lab_is_centred_lightness_and_two_colours() -> None:
    light, lab = (INPUTS[name].make(MEAN, STD)(IMAGES) for name in ("lab-l", "lab"))
    expected = rgb_to_lab(IMAGES) - torch.tensor([50.0, 0, 0]).view(3, 1, 1)
    torch.testing.assert_close(lab, expected)
    torch.testing.assert_close(light, expected[:, :1])


def test_gradients_are_sobels_filters_of_the_mean_colour_normalised() -> None:
    """`gradient`: image by image; `sobel`: by the training images. Constant colours have none, but at the border."""
    right = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    filters = torch.stack([right, right.T])[:, None]
    images = IMAGES.float()
    by_data = (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    by_image = torch.stack([(image - image.mean()) / image.std() for image in images])
    for name, normal in (("sobel", by_data), ("gradient", by_image)):
        expected = torch.nn.functional.conv2d(normal.mean(1, keepdim=True), filters, padding=1)
        torch.testing.assert_close(INPUTS[name].make(MEAN, STD)(IMAGES), expected, atol=1e-4, rtol=1e-4)
        flat = INPUTS[name].make(MEAN, STD)(torch.full((1, 3, 9, 9), 200, dtype=torch.uint8))
        torch.testing.assert_close(flat[:, :, 1:-1, 1:-1], torch.zeros(1, 2, 7, 7))


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("grey", torch.tensor([[90.0, 30, 0], [0, 20, 100]])),
        ("lab-l", lab_to_rgb(torch.tensor([[50.0, 30, 0], [50, -20, 10]]))),
    ],
)
def test_two_colours_of_one_lightness_look_alike(name: str, pair: torch.Tensor) -> None:
    found = INPUTS[name].make(MEAN, STD)(pair[:, :, None, None])
    torch.testing.assert_close(found[0], found[1], atol=1e-3, rtol=0)


def test_an_unknown_kind_is_named_with_the_nearest() -> None:
    kinds = ", ".join(INPUTS)
    with pytest.raises(RotnetError, match=rf"unknown kind of input 'rbg'; did you mean 'rgb'\? Allowed: {kinds}\."):
        make_backbone("nin3", width=0.05, mean=MEAN, std=STD, inputs="rbg")


def test_folding_keeps_the_kind(luminance: str) -> None:
    backbone = fresh("nin3", inputs=luminance).eval()
    folded = fold(backbone)
    assert folded.inputs == luminance
    torch.testing.assert_close(folded(IMAGES), backbone(IMAGES), rtol=1e-4, atol=1e-5)
    assert first_filters(backbone).shape == (10, 1, 5, 5)

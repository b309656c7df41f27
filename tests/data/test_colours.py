"""Grey images, and random changes of colour."""

import colorsys

import numpy as np
import pytest
import torch
from kornia.augmentation import ColorJitter

from rotnet_lib.data.colours import grey, grey_batch, jitter_colours


def photographs(count: int = 6) -> torch.Tensor:
    images = np.random.default_rng(0).integers(1, 256, (count, 8, 8, 3), dtype=np.uint8)
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def plain(colour: tuple[int, int, int], count: int) -> torch.Tensor:
    """(count, 3, 6, 6) of one colour."""
    return torch.tensor(colour, dtype=torch.uint8).view(1, 3, 1, 1).expand(count, 3, 6, 6).contiguous()


def test_jittered_images_are_bytes_channels_last() -> None:
    result = jitter_colours(photographs(), 0.4, seed=0)
    assert result.dtype == torch.uint8
    assert result.shape == (6, 3, 8, 8)
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_jitter_is_a_function_of_its_seed() -> None:
    images = photographs()
    first = jitter_colours(images, 0.4, seed=1)
    torch.manual_seed(99)
    assert torch.equal(jitter_colours(images, 0.4, seed=1), first)
    assert not torch.equal(jitter_colours(images, 0.4, seed=2), first)


def test_jitter_leaves_the_process_s_own_stream_and_the_images_alone() -> None:
    images = photographs()
    before = images.clone()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    jitter_colours(images, 0.4, seed=1)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(images, before)


def test_jitter_is_drawn_for_each_image() -> None:
    result = jitter_colours(plain((180, 90, 60), 50), 0.4, seed=0)
    assert len({image.numpy().tobytes() for image in result}) > 40


@pytest.mark.parametrize("strength", [0.2, 0.5])
def test_brightness_changes_by_up_to_the_strength(strength: float) -> None:
    """On even grey images it is all that changes."""
    result = jitter_colours(plain((100, 100, 100), 400), strength, seed=0).numpy()
    assert (result == result[:, :1, :1, :1]).all()
    factors = result[:, 0, 0, 0] / 100
    assert 1 - strength - 0.006 <= factors.min() < 1 - 0.9 * strength
    assert 1 + strength + 0.006 >= factors.max() > 1 + 0.9 * strength


@pytest.mark.parametrize("strength", [0.2, 0.5])
def test_hue_changes_by_up_to_a_quarter_of_the_strength(strength: float) -> None:
    """In turns of the colour circle; the images are pale enough that nothing is cut off."""
    result = jitter_colours(plain((120, 90, 90), 400), strength, seed=0).numpy()
    hues = np.array([colorsys.rgb_to_hsv(*map(float, image[:, 0, 0]))[0] for image in result])
    turns = (hues + 0.5) % 1 - 0.5  # red is 0
    assert -strength / 4 - 0.01 <= turns.min() < -0.8 * strength / 4
    assert strength / 4 + 0.01 >= turns.max() > 0.8 * strength / 4


def test_contrast_changes_about_the_mean() -> None:
    """Half black-grey, half white-grey: their distance changes more than brightness alone can explain."""
    images = plain((80, 80, 80), 400)
    images[..., 3:] = 120
    result = jitter_colours(images, 0.4, seed=0).float()
    ratio = result[:, 0, 0, 5] / result[:, 0, 0, 0]
    assert ratio.min() < 1.35  # 1.5 before; 0.6 of the contrast makes it 1.27
    assert ratio.max() > 1.65  # 1.4 of it 1.78


def test_a_share_of_a_batch_is_jittered_as_in_the_whole() -> None:
    whole = jitter_colours(photographs(), 0.4, seed=1)
    places = torch.tensor([1, 4, 5])
    assert torch.equal(jitter_colours(photographs()[places], 0.4, 1, places, 6), whole[places])


def test_a_batch_turns_grey_as_a_set_in_memory_does() -> None:
    images = photographs(50).permute(0, 2, 3, 1).contiguous()
    difference = grey_batch(images).int() - torch.from_numpy(grey(images.numpy())).int()
    assert difference.abs().max() <= 1  # of floats of two precisions
    assert difference.ne(0).float().mean() < 0.01


def test_changes_are_those_of_kornias_own_transform() -> None:
    images = photographs()
    transform = ColorJitter(0.4, 0.4, 0.4, 0.1, p=1.0, same_on_batch=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        drawn = transform.forward_parameters(images.shape)
    expected = (transform(images.float() / 255, params=drawn) * 255).round().to(torch.uint8)
    assert torch.equal(jitter_colours(images, 0.4, seed=7), expected)

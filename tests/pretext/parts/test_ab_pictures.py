"""Pictures of bins in the ab plane."""

import numpy as np
import torch

from rotnet_lib.models.colour import lab_to_rgb
from rotnet_lib.pretext.parts.ab_bins import bin_centres, in_plane
from rotnet_lib.pretext.parts.ab_pictures import answers, frequencies

CENTRES = bin_centres()
PLACES = {tuple(ab): place for place, ab in enumerate(CENTRES.tolist())}
RED, GREEN, BLUE, GREY = (PLACES[ab] for ab in ((60, 50), (-60, 60), (30, -80), (0, 0)))


def at(picture: np.ndarray, place: int) -> list[int]:
    """The pixel in the middle of a bin."""
    numbers = in_plane(torch.arange(len(CENTRES)), CENTRES, -1, 5)
    rows, columns = (numbers == place).nonzero(as_tuple=True)
    pixel: list[int] = picture[int(rows.median()), int(columns.median())].tolist()
    return pixel


def confusion(*pairs: tuple[int, int, int]) -> np.ndarray:
    """Of (true, said, how often)."""
    counts = np.zeros((len(CENTRES),) * 2, dtype=np.int64)
    for true, said, times in pairs:
        counts[true, said] = times
    return counts


def test_a_bin_has_the_colour_that_is_answered_for_it_on_average() -> None:
    true, said, right = answers(CENTRES, confusion((RED, RED, 4), (GREEN, RED, 3), (BLUE, GREY, 1), (BLUE, BLUE, 1)))
    [own], [mean] = true.pictures, said.pictures
    assert at(mean, RED) == at(own, RED) == at(mean, GREEN) != at(own, GREEN)
    half = lab_to_rgb(torch.tensor([[60.0, 15, -40]])).round()[0].tolist()
    assert at(mean, BLUE) == half != at(own, BLUE)
    assert at(own, GREY) == at(mean, GREY) == [255] * 3  # it is never true
    [shares] = right.pictures
    assert at(shares, RED) == [0] * 3
    assert at(shares, GREEN) == [225] * 3
    assert at(shares, BLUE) == [112] * 3


def test_the_captions_say_what_the_pictures_show() -> None:
    true, said, right = answers(CENTRES, confusion((RED, RED, 1), (GREEN, GREY, 3)))
    assert true.caption.startswith("true: 2 bins, ")
    assert "83.2 from grey" in true.caption  # a quarter of 78.1, three of 84.9
    assert "2 bins are answered, 19.5 from grey on average" in said.caption
    assert right.caption.endswith("25.0 % of places")


def test_how_often_bins_occur_is_grey_by_its_logarithm() -> None:
    prior = torch.zeros(len(CENTRES))
    prior[RED], prior[GREEN], prior[BLUE] = 0.989, 0.01, 0.001
    _, often = frequencies(CENTRES, prior).pictures
    assert at(often, GREY) == [255] * 3
    assert [at(often, place)[0] for place in (RED, GREEN, BLUE)] == [0, 102, 153]

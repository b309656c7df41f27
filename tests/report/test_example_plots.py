"""Examples of a task are laid out as the network saw them, and say whether the answer was right."""

from typing import Any

import numpy as np
import pytest

from rotnet_lib.pretext.examples import Example
from rotnet_lib.report.example_plots import example_grid


def pictures(count: int, side: int = 4) -> list[np.ndarray]:
    return [np.full((side, side, 3), 10 * number, dtype=np.uint8) for number in range(count)]


def drawn(*examples: Example) -> list[Any]:
    figure = example_grid(examples)
    assert figure is not None
    return [axis for axis in figure.figure.axes if axis.get_images()]


def test_the_pictures_of_an_example_stand_in_reading_order_with_lines_between_them() -> None:
    [axis] = drawn(Example(pictures(4), 2, "puzzle 3", True))
    mosaic = np.asarray(axis.get_images()[0].get_array())
    assert mosaic.shape == (9, 9, 3)
    corners = [mosaic[row, column, 0] for row in (0, 8) for column in (0, 8)]
    assert corners == [0, 10, 20, 30]
    assert (mosaic[4] == 255).all()
    assert (mosaic[:, 4] == 255).all()


@pytest.mark.parametrize(
    ("right", "caption", "line"), [(True, "right: said 3", "-"), (False, "wrong: said 3", "--"), (None, "said 3", "-")]
)
def test_right_and_wrong_are_told_apart_without_colours(right: bool | None, caption: str, line: str) -> None:
    [axis] = drawn(Example(pictures(1), 1, "said 3", right))
    assert axis.get_title() == caption
    assert {spine.get_linestyle() for spine in axis.spines.values()} == {line}


@pytest.mark.parametrize(("count", "columns", "shown"), [(1, 1, 13), (4, 4, 5), (9, 3, 6), (8, 8, 3)])
def test_any_layout_and_number_of_examples(count: int, columns: int, shown: int) -> None:
    assert len(drawn(*[Example(pictures(count), columns, "caption", None)] * shown)) == shown


@pytest.mark.parametrize(("beside", "images", "across"), [(4, 3, 8), (2, 6, 8), (8, 2, 8), (12, 2, 12)])
def test_examples_of_an_image_stand_in_one_row(beside: int, images: int, across: int) -> None:
    axes = drawn(*[Example(pictures(1), 1, "true 0°\nsaid 0°", True, beside=beside)] * (beside * images))
    assert len(axes) == beside * images
    columns = {axis.get_subplotspec().get_gridspec().ncols for axis in axes}
    assert columns == {across}


@pytest.mark.parametrize("tested_on", ["the test split", "held-out training images"])
def test_the_caption_says_whose_images_they_are(tested_on: str) -> None:
    figure = example_grid([Example(pictures(1), 1, "caption", None)], tested_on)
    assert figure is not None
    assert tested_on in figure.caption


def test_a_task_without_examples_has_no_figure() -> None:
    assert example_grid([]) is None


def test_the_caption_explains_the_frames_where_there_is_right_and_wrong() -> None:
    judged = example_grid([Example(pictures(1), 1, "true 90\nsaid 3", False)])
    free = example_grid([Example(pictures(1), 1, "said 3", None)])
    assert judged is not None
    assert free is not None
    assert "A green frame says that the answer is right, a red dashed one that it is wrong." in judged.caption
    assert "frame" not in free.caption
    assert judged.description == "Examples: wrong: true 90, said 3."

"""Pictures of detections: what is drawn, and that a report with them stays small."""

import dataclasses
import io

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rotnet_lib.data.voc.objects import Objects
from rotnet_lib.report.picture_rows import row_heights
from rotnet_lib.report.voc_pictures import detections_figure
from rotnet_lib.voc.detection_scores import Example, Found


def example(name: str = "000001", image: np.ndarray | None = None) -> Example:
    """A cat, a difficult dog; a cat found surely, a dog less so, another not."""
    boxes = np.array([[2.0, 4, 22, 34], [30, 4, 50, 24]])
    return Example(
        name,
        np.zeros((40, 60, 3), np.uint8) if image is None else image,
        Objects(boxes.astype(np.float32), np.array([0, 1]), np.array([False, True])),
        Found(boxes[[1, 0, 1]] + 1, np.array([0.6, 0.9, 0.2]), np.array([1, 0, 1])),
        ("cat", "dog"),
    )


@pytest.fixture(autouse=True)
def _closed():
    yield
    pyplot.close("all")


def drawn(figure: Figure, panel: int) -> list[tuple[tuple[float, ...], str]]:
    """Boxes (left, top, right, bottom) of a panel and their texts."""
    axis = figure.axes[panel]
    boxes = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
    corners = [(box.get_x(), box.get_y(), box.get_x() + box.get_width(), box.get_y() + box.get_height()) for box in boxes]
    return list(zip(corners, [text.get_text() for text in axis.texts], strict=True))


def test_objects_stand_left_and_sure_detections_right_the_surest_on_top():
    figure = detections_figure([example()]).figure
    # Pixel edges: the first pixel is drawn from -0.5 to 0.5.
    assert drawn(figure, 0) == [((1.5, 3.5, 21.5, 33.5), "cat"), ((29.5, 3.5, 49.5, 23.5), "dog")]
    assert drawn(figure, 1) == [((30.5, 4.5, 50.5, 24.5), "dog 0.60"), ((2.5, 4.5, 22.5, 34.5), "cat 0.90")]
    assert [axis.get_title() for axis in figure.axes] == ["000001: 2 objects", "2 detections"]
    assert len(drawn(detections_figure([example()], min_score=0.8).figure, 1)) == 1


def test_a_class_has_one_colour_and_a_difficult_object_is_dashed():
    left, right = detections_figure([example()]).figure.axes
    cat, dog = (to_rgb(patch.get_edgecolor()) for patch in left.patches)
    assert [to_rgb(patch.get_edgecolor()) for patch in right.patches] == [dog, cat]
    assert cat != dog
    assert [patch.get_linestyle() for patch in left.patches] == ["-", "--"]


def test_where_nothing_is_sure_the_surest_is_drawn_dotted_and_it_is_said():
    shown = detections_figure([example()], min_score=0.95)
    right = shown.figure.axes[1]
    assert right.get_title() == "no detections of at least 0.95"
    assert drawn(shown.figure, 1) == [((2.5, 4.5, 22.5, 34.5), "cat 0.90")]
    assert [patch.get_linestyle() for patch in right.patches] == [":"]
    assert "detected nothing of at least 0.95 (the surest cat 0.90)" in shown.description


def test_where_nothing_was_detected_nothing_is_drawn():
    nothing = Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    shown = detections_figure([dataclasses.replace(example(), found=nothing)])
    assert drawn(shown.figure, 1) == []
    assert shown.description.endswith("detected nothing of at least 0.3.")


def test_a_row_is_as_high_as_the_tallest_of_its_pictures():
    wide, square, tower = (np.zeros((height, 10, 3), np.uint8) for height in (5, 10, 90))
    assert row_heights([wide, wide, square, wide, tower], 2, width=2.0, tallest=1.5) == [1.25, 2.25, 3.25]
    assert row_heights([], 2, width=2.0, tallest=1.5) == [2.25]


def test_an_odd_number_of_images_leaves_no_empty_panel():
    assert len(detections_figure([example("a"), example("b"), example("c")]).figure.axes) == 6


def test_pictures_of_photographs_stay_small():
    noise = np.random.default_rng(0).integers(0, 256, (6, 375, 500, 3), np.uint8)  # no photograph compresses worse
    figure = detections_figure([example(str(place), image) for place, image in enumerate(noise)]).figure
    file = io.BytesIO()
    figure.savefig(file, format="png")
    assert len(file.getvalue()) < 1.2e6


def test_the_text_in_place_of_the_pictures_names_objects_and_detections():
    drawn = detections_figure([example()])
    assert drawn.description == "Photographs with boxes. 000001: objects cat, dog; detected cat 0.90, dog 0.60."
    assert "a score of at least 0.3" in drawn.caption


def test_many_boxes_have_a_legend_in_place_of_names():
    one = example()
    crowd = Objects(np.tile(one.objects.boxes[:1], (9, 1)), np.zeros(9, int), np.zeros(9, bool))
    unsure = Found(one.found.boxes, one.found.scores, np.array([1, 0, 2]))  # the cow is not drawn
    pair = [dataclasses.replace(some, found=unsure, classes=("cat", "dog", "cow")) for some in (one, one)]
    [legend] = (figure := detections_figure([pair[0], dataclasses.replace(pair[1], objects=crowd)]).figure).legends
    assert [text.get_text() for text in legend.get_texts()] == ["cat", "dog"]
    left = figure.axes[0]
    assert not left.texts
    assert [to_rgb(frame.get_edgecolor()) for frame in legend.get_patches()] == [
        to_rgb(patch.get_edgecolor()) for patch in left.patches
    ]
    assert not detections_figure([one]).figure.legends


def test_names_end_within_the_picture():
    """At its right edge they end with the box; a name that is longer than what is left of the picture is cut off."""
    one = dataclasses.replace(example(), classes=("cat", "a dog of some kind"))
    for left in (25.0, 50.0):
        box = Objects(np.array([[left, 4, 58, 24]], np.float32), np.array([1]), np.array([False]))
        axis = (figure := detections_figure([dataclasses.replace(one, objects=box)]).figure).axes[0]
        figure.canvas.draw()
        [name] = axis.texts
        inside = name.get_window_extent().x1 <= axis.get_window_extent().x1
        assert inside == (left == 50.0)
        assert name.get_clip_on()

"""Every picture of an inspection has its panels, and says what they show."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from rotnet_lib.evaluation.looks import Look, Mistake, Picture
from rotnet_lib.evaluation.rotation_answers import RotationAnswers
from rotnet_lib.report.inspection_plots import ambiguous, attention_grid, confusion, filter_grid, mistakes, rotation_figures
from rotnet_lib.report.network_names import network_names
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.stages.inspection import Inspection, Rotations


def picture(index: int, name: str = "mug") -> Picture:
    return Picture(index, np.full((32, 32, 3), 7 * index, dtype=np.uint8), name)


def look(title: str, layers: int, task: str = "") -> Look:
    rng = np.random.default_rng(layers)
    attention = {f"conv{number}": rng.random((3, 32, 32), dtype=np.float32) for number in range(1, layers + 1)}
    return Look(title, f"nin{layers}", attention, rng.standard_normal((10, 5, 5, 3), dtype=np.float32), task)


@pytest.fixture
def inspection(tmp_path: Path) -> Inspection:
    """Three images, a nin4 beside a nin3, two mistakes, seven ambiguous images, three rotations."""
    said = np.array([[0, 1, 2], [0, 1, 0], [1, 1, 2], [0, 1, 2]])
    answers = RotationAnswers((0, 90, 180), np.log(0.25 + 0.25 * np.eye(3, dtype=np.float32)[said]))
    result: Any = None  # no picture reads it
    return Inspection(
        RunDirectory(tmp_path),
        result,
        ("conv1", "conv2", "conv3", "conv4"),
        2,
        [picture(0, "house"), picture(5, "tree"), picture(7, "car")],
        [look("rotation-nin4-shapes-s0-0123456789", 4, "rotation"), look("labels-nin3-shapes-s0-0123456789", 3, "labels")],
        [],
        Rotations(
            answers,
            [Mistake(picture(1), 180, 0, 0.999), Mistake(picture(2), 0, 90, 0.5)],
            [(picture(index), 3.0 - index / 10) for index in range(7)],
        ),
    )


def rotations_of(inspection: Inspection) -> Rotations:
    assert inspection.rotations is not None
    return inspection.rotations


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))  # type: ignore[attr-defined]


def drawn(figure: Figure) -> list[Any]:
    return [axis for axis in figure.axes if axis.get_images()]


def test_attention_has_a_row_an_image_and_a_column_a_layer_of_each_network(inspection: Inspection) -> None:
    figure = attention_grid(inspection).figure
    assert len(drawn(figure)) == 3 * (1 + 4 + 3)
    shown = texts(figure)
    caption = attention_grid(inspection).caption
    assert "|feature|^2" in caption
    assert {"RotNet NIN-4", "Supervised NIN-3", "lowest of the map", "highest"} <= set(shown.split("\n"))
    assert "RotNet NIN-4 is the run rotation-nin4-shapes-s0-0123456789; Supervised NIN-3 is the run labels-" in caption
    for text in ("0: house", "5: tree", "7: car", "nin3 has\nno conv4"):
        assert shown.count(text) == 1, text
    assert shown.count("conv4") == 3


def test_attention_lies_over_the_image(inspection: Inspection) -> None:
    figure = attention_grid(inspection).figure
    panel = figure.axes[2]  # the first row: the image, a gap, the first network's first layer
    below, above = panel.get_images()
    assert np.asarray(below.get_array()).shape == (32, 32)
    assert (np.asarray(above.get_array()) == inspection.looks[0].attention["conv1"][0]).all()
    assert all(image.get_interpolation() == "nearest" for axis in drawn(figure) for image in axis.get_images())


def test_attention_of_one_layer_of_one_network(inspection: Inspection) -> None:
    alone = dataclasses.replace(inspection, layers=("conv2",), looks=inspection.looks[:1])
    assert len(drawn(attention_grid(alone).figure)) == 3 * 2


def test_filters_have_a_panel_a_network(inspection: Inspection) -> None:
    figure = filter_grid(inspection).figure
    assert len(drawn(figure)) == 2
    mosaic = np.asarray(figure.axes[0].get_images()[0].get_array())
    assert mosaic.shape == (3 * 6 - 1, 4 * 6 - 1, 3)  # ten filters of 5 x 5, four across
    assert mosaic.min() >= 0
    assert mosaic.max() <= 1


def test_the_strongest_filter_stands_first_and_zero_is_grey(inspection: Inspection) -> None:
    filters = np.zeros((4, 1, 1, 3), dtype=np.float32)
    filters[2] = [1, -1, 1]
    filters[1] = [0.5, 0.5, 0]
    looks = [dataclasses.replace(inspection.looks[0], filters=filters)]
    figure = filter_grid(dataclasses.replace(inspection, looks=looks)).figure
    mosaic = np.asarray(figure.axes[0].get_images()[0].get_array())
    assert mosaic[0, 0] == pytest.approx([1, 0, 1])
    assert mosaic[0, 2] == pytest.approx([0.75, 0.75, 0.5])
    assert mosaic[0, 4] == pytest.approx([0.5] * 3)
    assert (mosaic[:, 1] == 1).all()


def test_the_confusion_matrix_shows_percent_of_the_true_rotation(inspection: Inspection) -> None:
    figure = confusion(rotations_of(inspection)).figure
    [axis] = figure.axes
    assert [text.get_text() for text in axis.texts] == ["75.0", "25.0", "0.0", "0.0", "100.0", "0.0", "25.0", "0.0", "75.0"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["0°", "90°", "180°"]
    assert (axis.get_ylabel(), axis.get_xlabel()) == ("true rotation", "rotation answered")
    assert "4 images" in confusion(rotations_of(inspection)).caption


def test_mistakes_say_what_was_true_and_what_was_answered(inspection: Inspection) -> None:
    figure = mistakes(rotations_of(inspection)).figure
    assert [axis.get_title() for axis in figure.axes] == ["true 180°, said 0°\n99 %, 1: mug", "true 0°, said 90°\n50 %, 2: mug"]
    assert (np.asarray(figure.axes[0].get_images()[0].get_array()) == 7).all()


def test_without_a_mistake_the_confusion_says_so(inspection: Inspection) -> None:
    faultless = dataclasses.replace(inspection, rotations=dataclasses.replace(rotations_of(inspection), mistakes=[]))
    said = "No copy's rotation is mistaken."
    captions = [figure.caption for figure in rotation_figures(faultless)]
    assert len(captions) == 2
    assert captions[0].endswith(said)
    assert said not in rotation_figures(inspection)[0].caption


def test_ambiguous_images_with_their_loss(inspection: Inspection) -> None:
    figure = ambiguous(rotations_of(inspection)).figure
    assert len(drawn(figure)) == len(figure.axes) == 7
    assert figure.axes[0].get_title() == "loss 3.00\n0: mug"
    assert "a guess has 1.10" in ambiguous(rotations_of(inspection)).caption


def test_only_a_rotnet_has_pictures_of_rotations(inspection: Inspection) -> None:
    assert len(rotation_figures(inspection)) == 3
    assert rotation_figures(dataclasses.replace(inspection, rotations=None)) == []


@pytest.mark.parametrize(
    ("tasks", "names"),
    [
        (["rotation", "labels"], ["RotNet NIN-3", "Supervised NIN-3"]),
        (["rotation", "rotation"], ["RotNet NIN-3 1", "RotNet NIN-3 2"]),
        (["slow-features"], ["Slow features NIN-3"]),
        ([""], ["NIN-3"]),
    ],
)
def test_a_network_is_called_by_what_it_learned(tasks: list[str], names: list[str]) -> None:
    assert network_names([look(f"run {number}", 3, task) for number, task in enumerate(tasks)]) == names


def test_the_caption_of_mistakes_explains_their_numbers_by_the_first(inspection: Inspection) -> None:
    caption = mistakes(rotations_of(inspection)).caption
    assert "“99 %, 1: mug”: the answer has a probability of 99 %, the image is number 1 of the test split" in caption


def test_the_texts_in_place_of_the_pictures_have_their_figures(inspection: Inspection) -> None:
    attention = attention_grid(inspection).description
    assert "3 images (0: house, 5: tree, 7: car)" in attention
    assert "RotNet NIN-4 (conv1, conv2, conv3, conv4) and of Supervised NIN-3 (conv1, conv2, conv3)" in attention
    table, wrong, hard = (figure.description for figure in rotation_figures(inspection))
    assert "0° taken for 0° 75.0 %, 90° 25.0 %, 180° 0.0 %." in table
    assert "mug, true 180°, said 0° (99 %); mug, true 0°, said 90° (50 %)" in wrong
    assert "mug (3.00), mug (2.90)" in hard

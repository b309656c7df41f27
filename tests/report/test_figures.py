"""Figures as pages show them."""

import base64
import re

import pytest
from matplotlib import pyplot

from rotnet_lib.report.figures import ReportFigure, several


def drawn(**options) -> ReportFigure:
    figure, axis = pyplot.subplots(figsize=(4, 2), dpi=100)
    axis.plot([0, 1], [10, 60])
    axis.set(xlabel="epoch", ylabel="accuracy (%)")
    return ReportFigure(figure, "Accuracy by <epoch>.", 'A line rises from 10 % to 60 %; a "kink" in it.', **options)


def picture(html: str) -> tuple[str, bytes]:
    [(kind, data)] = re.findall(r'src="data:image/([a-z+]+);base64,([^"]+)"', html)
    return kind, base64.b64decode(data)


def test_a_plot_is_a_vector_drawing():
    kind, data = picture(drawn().html)
    assert kind == "svg+xml"
    assert b"<svg" in data


def test_images_are_a_bitmap_at_twice_the_resolution():
    kind, data = picture(drawn(bitmap=True).html)
    width = int.from_bytes(data[16:20])
    assert kind == "png"
    assert width == pytest.approx(2 * 4 * 100, rel=0.1)


def test_a_page_shows_a_bitmap_at_its_size_and_not_at_twice_that():
    [width] = re.findall(r'<img [^>]*width="(\d+)"', drawn(bitmap=True).html)
    assert int(width) == pytest.approx(4 * 96, rel=0.1)


def test_caption_and_description_are_text_not_markup():
    html = drawn().html
    assert "<figcaption>Accuracy by &lt;epoch&gt;.</figcaption>" in html
    assert 'alt="A line rises from 10 % to 60 %; a &#34;kink&#34; in it."' in html


def test_the_same_drawing_gives_the_same_page():
    assert drawn().html == drawn().html


def test_a_notebook_does_not_show_the_figure_a_second_time():
    drawn()
    assert not pyplot.get_fignums()


def test_several_figures_stand_one_below_the_other():
    shown = several([drawn(), drawn()])
    assert shown is not None
    assert shown.data.count("<figure>") == 2
    assert several([]) is None

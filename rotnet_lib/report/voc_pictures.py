"""Test images of VOC with what is to be found in them and what was."""

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rotnet_lib.report.figure_style import figure_style
from rotnet_lib.report.figure_words import one_by_one
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.picture_rows import row_heights
from rotnet_lib.voc.detection_scores import Example, Found

_DPI = 80
_PANEL = 2.6
"""Inches of a panel's side."""
_TALLEST = 1.3
"""Height of a panel to its width, at most."""
_ACROSS = 2
"""Examples a row, each of two panels."""
_MOST_NAMED = 8
"""Boxes in a picture, above which their names would hide the picture: then a legend says which colour is which class."""


def detections_figure(examples: Sequence[Example], *, min_score: float = 0.3) -> ReportFigure:
    """Each test image twice: with its objects, dashed if they are difficult, and with the detections of at least `min_score`.

    Where no detection has that score, the surest one is drawn, dotted. A class has the same colour in both. Boxes have their
    class's name, and a detection its score, unless they are many: then there is a legend.
    """
    most = max((max(len(one.objects), len(_sure(one.found, min_score))) for one in examples), default=0)
    named = most <= _MOST_NAMED
    heights = row_heights([example.image for example in examples], _ACROSS, width=_PANEL, tallest=_TALLEST)
    with figure_style(0.75):
        figure, axes = pyplot.subplots(
            len(heights),
            2 * _ACROSS,
            figsize=(_PANEL * 2 * _ACROSS, sum(heights)),
            height_ratios=heights,
            dpi=_DPI,
            squeeze=False,
            layout="constrained",
        )
        pairs = axes.reshape(-1, 2)
        for pair in pairs[len(examples) :]:
            for axis in pair:
                axis.remove()
        drawn: set[int] = set()
        for (left, right), example in zip(pairs, examples, strict=False):  # the last row may not be full
            colours = _colours(len(example.classes))
            for axis in (left, right):
                axis.imshow(example.image, interpolation="antialiased")
                axis.set(xticks=[], yticks=[], anchor="N")  # images of a row begin at one height
                sns.despine(ax=axis, left=True, bottom=True)
            objects, found = example.objects, example.found
            for box, label, difficult in zip(objects.boxes, objects.labels, objects.difficult, strict=True):
                drawn.add(int(label))
                _draw(left, box, colours[label], "--" if difficult else "-", example.classes[label] if named else "")
            sure = _sure(found, min_score)
            for place in reversed(sure or _sure(found, 0.0)[:1]):  # the surest on top
                label, style = found.labels[place], "-" if sure else ":"
                drawn.add(int(label))
                text = f"{example.classes[label]} {found.scores[place]:.2f}" if named else ""
                _draw(right, found.boxes[place], colours[label], style, text)
            left.set_title(f"{example.name}: {_count(len(objects), 'object')}")
            right.set_title(_count(len(sure), "detection") + (f" of at least {min_score:g}" if not sure else ""))
        if not named:
            _add_legend(figure, examples[0].classes, sorted(drawn))
    return ReportFigure(
        figure,
        f"Test images, each twice. Left: the objects in it, dashed where they are difficult. Right: what was detected with a "
        f"score of at least {min_score:g}; where there is none, the detection with the highest score, dotted. A class has one "
        "colour in both.",
        "Photographs with boxes. " + one_by_one((_in_words(example, min_score) for example in examples), between=" "),
        bitmap=True,
    )


def _in_words(example: Example, min_score: float) -> str:
    """`000012: objects car, dog; detected car 0.93.`."""
    objects = one_by_one(example.classes[label] for label in example.objects.labels)
    sure = _sure(example.found, min_score)
    surest = _sure(example.found, 0.0)[:1]
    found, least = (
        one_by_one(f"{example.classes[example.found.labels[place]]} {example.found.scores[place]:.2f}" for place in places)
        for places in (sure, surest)
    )
    nothing = f"nothing of at least {min_score:g}" + (f" (the surest {least})" if least else "")
    return f"{example.name}: objects {objects or 'none'}; detected {found or nothing}."


def _sure(found: Found, min_score: float) -> list[int]:
    """The places of the detections of at least that score, the surest first."""
    return [int(place) for place in np.argsort(-found.scores, kind="stable") if found.scores[place] >= min_score]


def _colours(classes: int) -> list[tuple[float, float, float]]:
    """A colour a class: of the palettes whose colours are easiest to tell apart, the one that has enough."""
    palette = next((name for name, size in (("tab10", 10), ("tab20", 20)) if classes <= size), "husl")
    colours: list[tuple[float, float, float]] = list(sns.color_palette(palette, classes))
    return colours


def _add_legend(figure: Figure, classes: Sequence[str], labels: Sequence[int]) -> None:
    """The classes of the boxes that are drawn, each with its colour, below the pictures."""
    colours = _colours(len(classes))
    frames = [Rectangle((0, 0), 1, 1, fill=False, edgecolor=colours[label], linewidth=1.6) for label in labels]
    figure.legend(frames, [classes[label] for label in labels], loc="outside lower center", ncols=6)


def _draw(axis: Axes, box: np.ndarray, colour: tuple[float, float, float], style: str, text: str) -> None:
    """A box, its name on its upper edge; an empty text is no name. What of a name passes the picture's edge is not drawn."""
    # Pixel 0 is drawn from -0.5 to 0.5: edges lie half a pixel before.
    left, top, right, bottom = (float(edge) - 0.5 for edge in box)
    frame = Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, linestyle=style, linewidth=1.6)
    axis.add_patch(frame)
    if not text:
        return
    width = max(axis.get_xlim())
    ends = left > 0.6 * width  # where a name that began with the box could leave the picture, it ends with it
    axis.annotate(
        text,
        (min(right, width) if ends else max(left, -0.5), max(top, -0.5)),
        (-1 if ends else 1, -1),
        textcoords="offset points",
        va="top",
        ha="right" if ends else "left",
        fontsize=9,
        clip_on=True,
        color="white" if _luminance(colour) < 0.5 else "black",
        bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.0, "alpha": 0.85},
    )


def _luminance(colour: tuple[float, float, float]) -> float:
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _count(number: int, what: str) -> str:
    """`1 object`, `no objects`."""
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"

"""Pictures of segmented images: ground truth beside prediction, in VOC's colours."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from rotnet_lib.data.voc.split import VOID
from rotnet_lib.data.voc.writing import voc_palette
from rotnet_lib.report.figure_style import figure_style
from rotnet_lib.report.figure_words import one_by_one
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.picture_rows import row_heights
from rotnet_lib.voc.segmentation import SegmentationDetails, Segmented

_DPI = 72
_WIDTH = 2.1
"""Inches of a picture."""
_COLUMNS = ("image", "ground truth", "prediction")
_TALLEST = 1.2
"""Height of a picture to its width, at most."""
_ACROSS = 2
"""Test images a row."""
_LEGEND = 8
"""Classes a line of the legend, at most."""


def segments_figure(details: SegmentationDetails) -> ReportFigure:
    """Each kept test image, its ground truth and its prediction, two images a row; below, the colours of the classes shown."""
    pictures = details.pictures
    across = min(_ACROSS, len(pictures))
    heights = row_heights([picture.truth for picture in pictures], _ACROSS, width=_WIDTH, tallest=_TALLEST)
    with figure_style(0.75):
        figure, axes = pyplot.subplots(
            len(heights),
            across * len(_COLUMNS),
            figsize=(_WIDTH * across * len(_COLUMNS), sum(heights) + 0.5),
            height_ratios=heights,
            dpi=_DPI,
            squeeze=False,
            layout="constrained",
        )
        for axis in axes.flat:
            axis.set_axis_off()
            axis.set_anchor("N")  # images of a row begin at one height
        for place, picture in enumerate(pictures):
            row, column = divmod(place, _ACROSS)
            panels = axes[row, column * len(_COLUMNS) :]
            for axis, pixels in zip(
                panels, (picture.image, *map(_coloured, (picture.truth, picture.prediction))), strict=False
            ):
                axis.imshow(pixels, interpolation="nearest")
            for axis, title in zip(panels, _COLUMNS, strict=False):
                axis.set_title(textwrap.shorten(picture.name, 24) if title == "image" else title)
        _legend(figure, details)
    return ReportFigure(
        figure,
        "Test images with the class of every pixel: the truth, and what was predicted.",
        "Photographs with coloured masks. "
        + one_by_one((_in_words(picture, details.names) for picture in pictures), between=" "),
        bitmap=True,
    )


def _in_words(picture: Segmented, names: Sequence[str]) -> str:
    """`2007_000033: truth aeroplane; predicted aeroplane, car.`."""
    truth, predicted = (
        one_by_one(names[int(id_)] for id_ in np.unique(mask) if id_ not in (0, VOID))
        for mask in (picture.truth, picture.prediction)
    )
    return f"{picture.name}: truth {truth or 'background alone'}; predicted {predicted or 'background alone'}."


def _coloured(mask: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8."""
    coloured: np.ndarray = voc_palette()[mask]
    return coloured


def _legend(figure: Figure, details: SegmentationDetails) -> None:
    """The classes that a picture shows, largest ids last, and the border that does not count."""
    shown = {
        int(id_) for picture in details.pictures for mask in (picture.truth, picture.prediction) for id_ in np.unique(mask)
    }
    labels = dict(enumerate(details.names)) | {VOID: "not counted"}
    patches = [
        Patch(facecolor=voc_palette()[id_] / 255, edgecolor="#666666", linewidth=0.5, label=labels[id_])
        for id_ in sorted(shown)
    ]
    lines = -(-len(patches) // _LEGEND)
    figure.legend(handles=patches, loc="outside lower center", ncols=-(-len(patches) // lines), frameon=False, fontsize="large")

"""Pictures of an inspected network. Images are drawn pixel by pixel."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from rotnet_lib.evaluation.looks import Mistake, Picture
from rotnet_lib.report.figure_style import figure_style
from rotnet_lib.report.figure_words import one_by_one
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.network_names import network_names, runs_in_words
from rotnet_lib.stages.inspection import Inspection, Rotations

_DPI = 90
_CELL = 1.15
"""Inches of an image's side."""
_ACROSS = 6
"""Images a row, where they stand in rows."""


def attention_grid(inspection: Inspection) -> ReportFigure:
    """A row a chosen image; columns: the image, then each layer's attention for each network, over the image in grey.

    Each map runs over its own range of colours, from its lowest to its highest value. The column of a layer that a network
    lacks says so and stays blank.
    """
    layers, looks = inspection.layers, inspection.looks
    names = network_names(looks)
    widths = [1.0] + ([0.12] + [1.0] * len(layers)) * len(looks)
    rows = len(inspection.pictures)
    with figure_style(0.75):
        figure, axes = pyplot.subplots(
            rows,
            len(widths),
            figsize=(_CELL * sum(widths), _CELL * rows),
            dpi=_DPI,
            squeeze=False,
            gridspec_kw={"width_ratios": widths, "wspace": 0.04, "hspace": 0.04},
        )
        for axis in axes.flat:
            _bare(axis)
        for row, picture in enumerate(inspection.pictures):
            axes[row, 0].imshow(picture.pixels, interpolation="nearest")
            axes[row, 0].set_ylabel(_label(picture), rotation=0, ha="right", va="center")
        titles = [textwrap.fill(name, max(10, 12 * len(layers))) for name in names]
        for number, (look, title) in enumerate(zip(looks, titles, strict=True)):
            first = 2 + number * (len(layers) + 1)
            _above(axes[0, first], title, points=20, weight="bold")
            for column, layer in enumerate(layers, first):
                axes[0, column].set_title(layer)
                if layer not in look.attention:
                    _say(axes[0, column], f"{look.arch} has\nno {layer}")
                    continue
                for row, picture in enumerate(inspection.pictures):
                    axes[row, column].imshow(_grey(picture.pixels), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
                    axes[row, column].imshow(look.attention[layer][row], cmap="inferno", alpha=0.7, interpolation="nearest")
        _colour_bar(figure, axes)
    shown = one_by_one(
        (f"{name} ({one_by_one(look.attention)})" for name, look in zip(names, looks, strict=True)), between=" and of "
    )
    return ReportFigure(
        figure,
        f"Attention: the sum over channels of |feature|^{inspection.power}, from the lowest value of each map (dark) "
        "to its highest (bright), over the image in grey. Beside each image stand its number in the test split and its class. "
        f"{runs_in_words(looks)}",
        f"A row for each of {rows} images ({one_by_one(map(_label, inspection.pictures))}); columns: the image, then its "
        f"attention maps by layer of {shown}.",
        bitmap=True,
    )


def filter_grid(inspection: Inspection) -> ReportFigure:
    """The first layer's filters with their batch norm folded in, a panel a network, the strongest filter first.

    All of a network's filters share one scale, so a weak one looks grey: mid grey is 0, and the range ends where 98 % of the
    network's weights lie within it.
    """
    looks, names = inspection.looks, network_names(inspection.looks)
    with figure_style(0.75):
        figure, axes = pyplot.subplots(
            1,
            len(looks),
            figsize=(4.6 * len(looks), 3.6),
            dpi=_DPI,
            squeeze=False,
            layout=ConstrainedLayoutEngine(w_pad=0.15),
        )
        for axis, look, name in zip(axes.flat, looks, names, strict=True):
            _bare(axis)
            axis.imshow(_mosaic(look.filters), interpolation="nearest")
            axis.set_title(textwrap.fill(name, 48))
    return ReportFigure(
        figure,
        "The filters of the first layer with their batch norm folded in, the strongest first. Grey is 0; the range ends where "
        f"98 % of the network's weights lie within it. {runs_in_words(looks)}",
        "Small squares in a grid: "
        + one_by_one(f"{len(look.filters)} filters of {name}" for name, look in zip(names, looks, strict=True))
        + ".",
        bitmap=True,
    )


def rotation_figures(inspection: Inspection) -> list[ReportFigure]:
    """Confusion of rotations, mistakes and ambiguous images of a RotNet; none of another task's run."""
    found = inspection.rotations
    return [] if found is None else [confusion(found), *([mistakes(found)] if found.mistakes else []), ambiguous(found)]


def confusion(rotations: Rotations) -> ReportFigure:
    """Which rotation is taken for which, in percent of the copies of the true one."""
    answers = rotations.answers
    names = [f"{angle:g}°" for angle in answers.angles]
    with figure_style(0.8):
        side = 1.6 + 0.55 * len(names)
        figure, axis = pyplot.subplots(figsize=(side + 0.8, side), dpi=_DPI)
        sns.heatmap(
            answers.confusion,
            vmin=0,
            vmax=100,
            cmap="Blues",
            annot=True,
            fmt=".1f",
            cbar=False,
            square=True,
            linewidths=1,
            xticklabels=names,
            yticklabels=names,
            ax=axis,
        )
        axis.tick_params(length=0)
        axis.tick_params("y", rotation=0)
        axis.set(xlabel="rotation answered", ylabel="true rotation")
    faultless = "" if rotations.mistakes else " No copy's rotation is mistaken."
    read = one_by_one(
        (
            f"{true} taken for {one_by_one(f'{said} {share:.1f} %' for said, share in zip(names, shares, strict=True))}."
            for true, shares in zip(names, answers.confusion, strict=True)
        ),
        between=" ",
    )
    return ReportFigure(
        figure,
        "Which rotation is taken for which, in percent of the copies of the true one: "
        f"{len(answers.said):,} images.{faultless}",
        f"A table of {len(names)} by {len(names)}. {read}",
    )


def mistakes(rotations: Rotations) -> ReportFigure:
    """The rotated copies, as the network saw them, that it took most surely for another rotation."""
    found = rotations.mistakes
    captions = [f"true {m.true:g}°, said {m.said:g}°\n{_percent(m.probability)}, {_label(m.picture)}" for m in found]
    read = one_by_one(
        (f"{m.picture.name}, true {m.true:g}°, said {m.said:g}° ({_percent(m.probability)})" for m in found), between="; "
    )
    return ReportFigure(
        picture_rows([m.picture.pixels for m in found], captions),
        _mistakes_caption(found),
        f"Images: {read}.",
        bitmap=True,
    )


def _mistakes_caption(found: Sequence[Mistake]) -> str:
    """What stands over the pictures, with the first as an example."""
    caption = (
        "Copies whose rotation is mistaken, the surest first, as the network saw them: the true rotation and the answer; then "
        "the answer's probability, the image's number in the test split and its class."
    )
    if not found:
        return caption
    first = found[0]
    return (
        f"{caption} “{_percent(first.probability)}, {_label(first.picture)}”: the answer has a probability of "
        f"{_percent(first.probability)}, the image is number {first.picture.index} of the test split, counted from 0, and its "
        f"class is {first.picture.name}."
    )


def ambiguous(rotations: Rotations) -> ReportFigure:
    """The images, upright, whose rotated copies have the highest loss."""
    guess = math.log(len(rotations.answers.angles))
    captions = [f"loss {loss:.2f}\n{_label(picture)}" for picture, loss in rotations.ambiguous]
    read = one_by_one(f"{picture.name} ({loss:.2f})" for picture, loss in rotations.ambiguous)
    return ReportFigure(
        picture_rows([picture.pixels for picture, _ in rotations.ambiguous], captions),
        "Images whose orientation is hardest to tell: the mean loss of their copies in nats (a guess has "
        f"{guess:.2f}), the image's number in the test split and its class.",
        f"Images: {read}.",
        bitmap=True,
    )


def picture_rows(images: Sequence[np.ndarray], captions: Sequence[str]) -> Figure:
    """Images (S, S, 3) uint8 in rows, each under its caption."""
    rows = max(1, -(-len(images) // _ACROSS))
    with figure_style(0.75):
        figure, axes = pyplot.subplots(
            rows, _ACROSS, figsize=(1.6 * _ACROSS, 1.75 * rows + 0.4), dpi=_DPI, squeeze=False, layout="constrained"
        )
        for axis in axes.flat[len(images) :]:
            axis.remove()
        for axis, image, caption in zip(axes.flat, images, captions, strict=False):  # the last row may not be full
            _bare(axis)
            axis.imshow(image, interpolation="nearest")
            axis.set_title(caption)
    return figure


def _mosaic(filters: np.ndarray) -> np.ndarray:
    """Filters (F, h, w, 3) as one picture (H, W, 3) in [0, 1], a white line a pixel wide between them."""
    filters = filters[np.argsort(-np.abs(filters).sum((1, 2, 3)), kind="stable")]
    largest = max(float(np.quantile(np.abs(filters), 0.98)), 1e-12)  # not the largest of all: a few weights would grey the rest
    shades = (0.5 + 0.5 * filters / largest).clip(0, 1)
    count, height, width, _ = filters.shape
    across = math.ceil(math.sqrt(1.5 * count * height / width))
    mosaic = np.ones((-(-count // across) * (height + 1) - 1, across * (width + 1) - 1, 3))
    for number, shade in enumerate(shades):
        top, left = (number // across) * (height + 1), (number % across) * (width + 1)
        mosaic[top : top + height, left : left + width] = shade
    return mosaic


def _grey(pixels: np.ndarray) -> np.ndarray:
    """(S, S, 3) to its luminance (S, S)."""
    luminance: np.ndarray = pixels @ np.array([0.299, 0.587, 0.114])
    return luminance


def _colour_bar(figure: Figure, axes: np.ndarray) -> None:
    """What the colours of attention mean, as thin as a line of text, below all panels."""
    first, last = axes[-1, 0].get_position(), axes[-1, -1].get_position()
    inch = 1 / figure.get_figheight()
    place = figure.add_axes((first.x0, first.y0 - 0.2 * inch, last.x1 - first.x0, 0.09 * inch))
    bar = figure.colorbar(ScalarMappable(cmap="inferno"), cax=place, orientation="horizontal", alpha=0.7)
    bar.set_ticks([0, 1], labels=["lowest of the map", "highest"])
    bar.ax.tick_params(length=0)
    lowest, highest = bar.ax.get_xticklabels()
    lowest.set_horizontalalignment("left")
    highest.set_horizontalalignment("right")


def _bare(axis: Axes) -> None:
    axis.set(xticks=[], yticks=[])
    sns.despine(ax=axis, left=True, bottom=True)


def _above(axis: Axes, text: str, *, points: int, **font: Any) -> None:
    """Text beginning at a panel's left edge, so many points above it."""
    axis.annotate(text, (0, 1), (0, points), xycoords="axes fraction", textcoords="offset points", va="bottom", **font)


def _say(axis: Axes, text: str) -> None:
    axis.text(0.5, 0.5, text, ha="center", va="center", color="0.4", transform=axis.transAxes)


def _label(picture: Picture) -> str:
    """`7: rocket`, by which `images` takes it."""
    return f"{picture.index}: {picture.name}"


def _percent(share: float) -> str:
    """`97 %`, rounded down: only what is 1 reads 100 %."""
    return f"{math.floor(100 * share):d} %"

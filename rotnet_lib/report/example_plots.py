"""A pretext task's examples: what the network saw, and what it answered."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot
from matplotlib.layout_engine import ConstrainedLayoutEngine

from rotnet_lib.pretext.examples import Example
from rotnet_lib.report.figure_style import figure_style
from rotnet_lib.report.figure_words import one_by_one
from rotnet_lib.report.figures import ReportFigure

_DPI = 90
_WIDTH = 9.6
"""Inches of the figure, at most, unless one example is wider."""
_SMALL = 1.15
"""Inches of a picture that stands beside others of its image."""
_MARKS = {True: ("right", "#1a7f37", "-"), False: ("wrong", "#b3261e", "--"), None: ("", "0.7", "-")}
"""Whether the answer is right -> what is said of it, colour and line of its frame."""


def example_grid(examples: Sequence[Example], tested_on: str = "the test split", about: str = "") -> ReportFigure | None:
    """Each example's pictures in one frame under its caption, those of an image in one row; None where there are no examples.

    Right and wrong answers are told apart by a word, and by a frame of a full or of a dashed line.

    Args:
        examples: of a run's task.
        tested_on: where their images are from; see `DataSummary.tested_on`.
        about: what the figure's caption says; empty: that it is what the network saw of them and answered.
    """
    if not examples:
        return None
    mosaics = [_mosaic(example) for example in examples]
    columns = max(example.columns for example in examples)
    in_rows = any(len(example.pictures) > example.columns for example in examples)
    beside = max(example.beside for example in examples)
    width = columns * _SMALL if beside > 1 else max(1.6, columns * (0.8 if in_rows else 1.2))
    across = min(max(1, round(_WIDTH / width / beside)) * beside, len(examples))
    rows = -(-len(examples) // across)
    captions = [_caption(example, width) for example in examples]
    height = width * max(mosaic.shape[0] / mosaic.shape[1] for mosaic in mosaics)
    text = 0.14 * (1 + max(caption.count("\n") for caption in captions))
    with figure_style(0.75):
        figure, axes = pyplot.subplots(
            rows,
            across,
            figsize=(max((width + 0.1) * across, 5.0), (height + text + 0.1) * rows + 0.4),
            dpi=_DPI,
            squeeze=False,
            layout=ConstrainedLayoutEngine(w_pad=0.06),
        )
        for axis in axes.flat[len(examples) :]:
            axis.remove()
        for axis, example, mosaic, caption in zip(axes.flat, examples, mosaics, captions, strict=False):  # a last row in part
            _, colour, line = _MARKS[example.right]
            axis.imshow(mosaic, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            for spine in axis.spines.values():
                spine.set(visible=True, color=colour, linestyle=line, linewidth=2.0)
            axis.set_title(caption)
    judged = any(example.right is not None for example in examples)
    frames = " A green frame says that the answer is right, a red dashed one that it is wrong." if judged else ""
    return ReportFigure(
        figure,
        (about or f"What the network saw of images of {tested_on}, and what it answered.") + frames,
        "Examples: " + one_by_one((_in_words(example) for example in examples), between="; ") + ".",
        bitmap=True,
    )


def _in_words(example: Example) -> str:
    word, *_ = _MARKS[example.right]
    return ": ".join(filter(None, [word, example.caption.replace("\n", ", ")]))


def _caption(example: Example, width: float) -> str:
    """The caption in lines that fit `width` inches, after the word for right or wrong."""
    word, *_ = _MARKS[example.right]
    lines = (f"{word}: " if word else "") + example.caption
    return "\n".join(textwrap.fill(line, max(12, int(15 * width))) for line in lines.split("\n"))


def _mosaic(example: Example) -> np.ndarray:
    """The pictures in rows of `columns`, a white line between them, as (H, W, 3) uint8."""
    height, width = (max(picture.shape[side] for picture in example.pictures) for side in (0, 1))
    gap = max(1, width // 24)
    rows = -(-len(example.pictures) // example.columns)
    mosaic = np.full((rows * (height + gap) - gap, example.columns * (width + gap) - gap, 3), 255, dtype=np.uint8)
    for number, picture in enumerate(example.pictures):
        row, column = divmod(number, example.columns)
        top, left = row * (height + gap), column * (width + gap)
        mosaic[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return mosaic

"""How all figures look: sizes, colours that everybody can tell apart, and names drawn as they are written."""

import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import seaborn as sns
from matplotlib import pyplot

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours ("Color Universal Design", 2008), without the yellow, which is pale on white."""

_MARKERS = "os^DvPX*"
_HATCHES = ("", "//", "..", "xx", "\\\\", "oo", "--", "++")
"""As many as markers: a number that has no divisor in common with that of colours, so that 56 rows have a pair each."""

GREY = "#6b6b6b"
"""Of what is beside the point: published figures, guessing."""

WIDTH = 8.0
"""Inches of a plot across the page."""


class Mark(NamedTuple):
    """How a row of a figure is drawn. The marker, or in bars the hatch, tells it from others where colours do not."""

    colour: str
    marker: str
    hatch: str


def mark(number: int) -> Mark:
    """The marks of row `number`, counted from 0."""
    turn = number % len(_MARKERS)
    return Mark(COLOURS[number % len(COLOURS)], _MARKERS[turn], _HATCHES[turn])


def wrapped(label: str, characters: int) -> str:
    """A label in lines of at most so many characters; its own line breaks stay."""
    return "\n".join(textwrap.fill(line, characters, break_on_hyphens=False) for line in label.split("\n"))


@contextmanager
def figure_style(font_scale: float, *, grid: bool = False) -> Iterator[None]:
    """The style of the figures that are made in the block.

    From then on matplotlib takes no text of this process for a formula: a class may be called `$x`, which as a formula is an
    error. It draws a box for a character that its font lacks, and says nothing about it. Both last longer than the block,
    since tick labels are made, and glyphs looked up, when a figure is shown. A figure of powers of ten needs a formatter that
    writes no formulas.

    Args:
        font_scale: of seaborn's notebook context.
        grid: draw a grid.
    """
    pyplot.rcParams["text.parse_math"] = False
    warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from", UserWarning)
    with (
        sns.axes_style("whitegrid") if grid else nullcontext(),
        sns.plotting_context("notebook", font_scale=font_scale),
        sns.color_palette(COLOURS),
    ):
        yield

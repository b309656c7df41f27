"""How all figures look, and that names are drawn as they are written."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import seaborn as sns
from matplotlib import pyplot


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
    with sns.axes_style("whitegrid") if grid else nullcontext(), sns.plotting_context("notebook", font_scale=font_scale):
        yield

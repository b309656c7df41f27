"""Parts that the plots of suites have in common: error bars, the line of guessing, the legend."""

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rotnet_lib.report.cells import Cell
from rotnet_lib.report.figure_style import GREY, wrapped

Limits = tuple[float, float]
"""The lowest and the highest value of an axis."""

_ENTRY = 46
"""Characters of a legend's line, of which two fit beside each other."""


def bar_length(cell: Cell) -> float | None:
    """Standard error of a measured mean: `Cell.error`, or of the seeds alone where it is not known of how many images it is.

    None where neither is known.
    """
    if cell.error is None and cell.std is not None:
        return cell.std / math.sqrt(cell.n)
    return cell.error


def chance_line(axis: Axes, said: str, chance: float, *, rows: tuple[float, float] | None = None) -> dict[str, Line2D]:
    """Draw where guessing stands: a dotted line across the panel, or, where values run to the right, up through some rows.

    Args:
        axis: gets the line.
        said: what the legend says of it.
        chance: where it stands.
        rows: where values run to the right: from where to where on the other axis; None: values run up.

    Returns what the legend says, and the line.
    """
    look: dict[str, Any] = {"color": GREY, "linestyle": ":", "linewidth": 1.4, "zorder": 1}
    if rows is None:
        return {said: axis.axhline(chance, **look)}
    [line] = axis.plot([chance, chance], rows, **look)
    return {said: line}


def legend_above(figure: Figure, handles: Mapping[str, Any]) -> None:
    """A legend over a figure; none for nothing.

    In a figure of constrained layout there is room made for it. Otherwise it stands outside, and the page takes it in.

    Args:
        figure: gets the legend.
        handles: what the legend says -> what stands before it.
    """
    if not handles:
        return
    said = [wrapped(label, _ENTRY) for label in handles]
    columns = min(2 if any(len(label) > 26 for label in said) else 4, len(said))
    lines = [1 + label.count("\n") for label in said]
    constrained = figure.get_layout_engine() is not None
    if constrained:
        figure.set_figheight(figure.get_figheight() + -(-sum(lines) // columns) * 0.19)
    # matplotlib leaves names out that begin with an underscore, unless they are given with their handles.
    where: dict[str, Any] = {"loc": "outside upper left"} if constrained else {"loc": "lower left", "bbox_to_anchor": (0, 1)}
    figure.legend(list(handles.values()), said, ncols=columns, frameon=False, **where)

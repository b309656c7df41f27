"""Rows of one column, beside each other on a common axis."""

import itertools
from collections.abc import Iterable, Mapping, Sequence

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.chances import Chance, chances_in_words
from rotnet_lib.report.figure_style import COLOURS, GREY, WIDTH, figure_style, wrapped
from rotnet_lib.report.figure_words import sentence_on_bars, table_in_words
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.plot_parts import Limits, bar_length, chance_line, legend_above
from rotnet_lib.report.units import axis_label

_LABEL = 38
"""Characters of a label's line, at most."""
_CHARACTER = 0.078
"""Inches of a character, about."""
_WIDEST = 3.1
"""Inches of the labels, at most: the axes have more than half of the figure's width."""
_LINE, _AROUND = 0.165, 0.15
"""Inches of a label's line, and between two labels."""
_BELOW = 0.55
"""Inches of what stands below an axis."""
_BETWEEN = 0.15
"""Room between two axes, to the width of one."""
_MEASURED, _SEEDS, _ERROR, _PUBLISHED = (
    "measured",
    "measured, one dot per seed",
    "standard error of the mean, to both sides",
    "published",
)


def compare_rows(
    rows: Sequence[Row],
    measure: str = "top1",
    *,
    caption: str | None = None,
    limits: Mapping[str, Limits] | None = None,
    chances: Mapping[str, Chance] | None = None,
) -> ReportFigure:
    """Published figure, every measured seed and their mean with its standard error; a panel a unit where rows have several.

    Args:
        rows: of one column each.
        measure: what an axis says of percentages.
        caption: of the figure; None: what the dots are.
        limits: what a panel's axis says -> lowest and highest value on it. Figures with the same limits have axes of the same
            place and length too. None: what fits.
        chances: row's label -> what guessing gives, of rows in the first panel. One value is a line through the panel; of
            several, each row has its own.
    """
    labels = [wrapped(row.label, _LABEL) for row in rows]
    heights = [_AROUND + _LINE * (1 + label.count("\n")) for label in labels]
    edges = [0.0, *itertools.accumulate(heights)]
    places = [(above + below) / 2 for above, below in itertools.pairwise(edges)]
    cells = [next(iter(row.cells.values())) for row in rows]
    names = axes_of(cells, measure)
    longest = max(len(line) for label in labels for line in label.split("\n"))
    left = _WIDEST if limits else min(_WIDEST, 0.2 + _CHARACTER * longest)
    height = sum(heights) + _BELOW
    with figure_style(0.85, grid=True):
        figure, axes = pyplot.subplots(
            1,
            len(names),
            figsize=(WIDTH, height),
            sharey=True,
            squeeze=False,
            gridspec_kw={"left": left / WIDTH, "right": 1, "bottom": _BELOW / height, "top": 1, "wspace": _BETWEEN},
        )
        handles: dict[str, Line2D] = {}
        for axis, name in zip(axes.flat, names, strict=True):
            for place, cell in zip(places, cells, strict=True):
                if axis_label(measure, *cell.kind) == name:
                    handles |= _draw(axis, place, cell)
            if limits and name in limits:
                axis.set_xlim(limits[name])
            axis.set(xlabel=name, ylim=(sum(heights), 0))
        guessing = _guessing(axes[0, 0], [(chances or {}).get(row.label) for row in rows], edges)
        axes[0, 0].set_yticks(places, labels)
        order = (_MEASURED, _SEEDS, _ERROR, _PUBLISHED)
        legend_above(figure, {said: handles[said] for said in order if said in handles} | guessing)
    if caption is None:
        caption = f"Every row of the table.{sentence_on_bars(cells)}"
    column = dict.fromkeys((column for row in rows for column in row.cells), "")
    level = "".join(f" {said[0].upper()}{said[1:]}." for said in chances_in_words(chances or {}).values())
    return ReportFigure(figure, caption, f"Dots on a common axis, one line per row. {table_in_words(rows, column)}{level}")


def _guessing(axis: Axes, chances: Sequence[Chance | None], edges: Sequence[float]) -> dict[str, Line2D]:
    """Draw what guessing gives; what the legend says of it -> a line.

    Args:
        axis: of all rows.
        chances: of each row; None where it is not known.
        edges: where each row begins, and the last one ends.
    """
    known = dict.fromkeys(chance for chance in chances if chance is not None)
    found: dict[str, Line2D] = {}
    if len(known) < 2:
        for chance in known:
            found |= chance_line(axis, f"chance: {chance}", chance.value, rows=(edges[0], edges[-1]))
        return found
    rows = zip(chances, itertools.pairwise(edges), strict=True)
    for chance, together in itertools.groupby(rows, key=lambda row: row[0]):
        ends = [edge for _, pair in together for edge in pair]
        if chance is not None:
            found |= chance_line(axis, "chance of each row", chance.value, rows=(ends[0], ends[-1]))
    return found


def axes_of(cells: Iterable[Cell], measure: str) -> list[str]:
    """What the axes of figures say, an axis a unit; of what runs measure, where there is any.

    Args:
        cells: what is drawn.
        measure: what an axis says of percentages.
    """
    cells = list(cells)
    return list(dict.fromkeys(axis_label(measure, *cell.kind) for cell in [c for c in cells if c.values] or cells))


def _draw(axis: Axes, place: float, cell: Cell) -> dict[str, Line2D]:
    """Draw a row; what the legend says of its dots -> a dot."""
    drawn: dict[str, Line2D] = {}
    if cell.published is not None:
        [drawn[_PUBLISHED]] = axis.plot(
            [cell.published], [place], "D", markerfacecolor="white", markeredgecolor=GREY, markersize=6, alpha=0.8
        )
    if cell.mean is not None:
        bar = bar_length(cell)
        if bar is not None:
            [line] = axis.plot(
                [cell.mean - bar, cell.mean + bar], [place, place], "-", color=COLOURS[0], linewidth=5, alpha=0.35
            )
            drawn[_ERROR] = line
        what = _SEEDS if cell.n > 1 else _MEASURED
        [drawn[what]] = axis.plot(cell.values, [place] * cell.n, "o", color=COLOURS[0], markersize=6)
    return drawn

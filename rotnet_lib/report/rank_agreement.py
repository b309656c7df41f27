"""Whether rows stand in the published order, column by column."""

import itertools
from collections.abc import Mapping, Sequence

from scipy.stats import kendalltau

from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.comparison import called, compare

_LEAST = 3
"""Rows of a column that an order needs: of two, it is a coin's toss."""


def rank_agreement(rows: Sequence[Row], columns: Mapping[str, str]) -> str:
    """Kendall's tau (tau-b) of measured against published figures within each column, in a sentence; or nothing.

    1 is the published order, -1 its reverse. How many pairs of rows the error leaves open is said with it.

    Args:
        rows: the table's.
        columns: column -> its heading.
    """
    found = {}
    pairs: list[tuple[Cell, Cell]] = []
    for column, heading in columns.items():
        cells = [row.measured[column] for row in rows if column in row.measured]
        both = [cell for cell in cells if cell.published is not None]
        kinds = {cell.kind for cell in both}
        alike = 1 in (len({cell.published for cell in both}), len({cell.mean for cell in both}))  # then there is no order
        if len(both) < _LEAST or len(kinds) > 1 or alike:
            continue
        found[heading] = (float(kendalltau([c.mean for c in both], [c.published for c in both]).statistic), len(both))
        pairs += itertools.combinations(both, 2)
    if not found:
        return ""
    counts = {count for _, count in found.values()}
    each = [f"{tau:.2f}" for tau, _ in found.values()]
    if len(found) > 1:
        each = [f"{heading} {said}" for heading, said in zip(found, each, strict=True)]
    size = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{counts.pop()}"
    within = " within each column" if len(found) > 1 else ""
    level = [comparison for a, b in pairs if (comparison := compare(a, b)) and comparison.level]
    open_ = f"; {len(level)} of {len(pairs)} pairs are within the {called(level)}" if level else ""
    return f"Order against the published figures, Kendall's tau{within} ({size} rows): {', '.join(each)}{open_}."

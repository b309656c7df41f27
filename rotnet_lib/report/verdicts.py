"""Which of a table's figures are the highest, in words drawn from them."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rotnet_lib.report.cells import Cell, Row

_LISTED = 4
"""Groups that are gone through one by one; of more it is counted whose figure is the highest."""


def highest_of(groups: Sequence[tuple[str, Mapping[str, Cell]]]) -> str:
    """The highest and the lowest figure of each group, or, of many groups, in how many each row is the highest.

    Args:
        groups: what stands before a group's figures, and its measured cells by label: at least one.
    """
    if len(groups) <= _LISTED:
        return "; ".join(what + _highest(named) for what, named in groups)
    best = Counter(max(named, key=lambda label: named[label].mean or 0) for _, named in groups)
    (first, most), *others = best.most_common()
    found = [f"{first} is highest in {most}", *(f"{label} in {count}" for label, count in others)]
    return f"of {len(groups)} columns, {', '.join(found)}"


def extremes(row: Row) -> str:
    """The columns where a row is highest and lowest."""
    order = sorted(row.measured.items(), key=lambda item: -(item[1].mean or 0))
    (high, most), (low, least) = order[0], order[-1]
    return f"{row.label}: highest {high} ({most.mean:.1f}), lowest {low} ({least.mean:.1f})"


def _highest(named: Mapping[str, Cell]) -> str:
    order = sorted(named, key=lambda name: -(named[name].mean or 0))
    return f"highest {order[0]} ({named[order[0]].mean:.1f}), lowest {order[-1]} ({named[order[-1]].mean:.1f})"

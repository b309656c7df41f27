"""Which of a table's figures are the highest, or the lowest where that is better, in words drawn from them."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

from rotnet_lib.report.axes import Axis
from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.comparison import Comparison, called, compare
from rotnet_lib.report.headings import by_kind

Groups = Sequence[tuple[str, Mapping[str, Cell]]]
"""What stands before a group's figures, and its measured cells by label: at least one, all of one kind."""

_NAMED = 3
"""Figures that are as good as the best within the error, by name; more are counted."""

_LISTED = 4
"""Groups that are gone through one by one; of more it is counted whose figure is the best."""


def verdict(rows: list[Row], columns: Mapping[str, str], *, axis: Axis | None, by_target: bool) -> str:
    """What a table shows, in sentences drawn from its figures. Only figures of one column are held against each other.

    Args:
        rows: the table's.
        columns: column -> its heading.
        axis: what the columns count, if they count something.
        by_target: whether the columns are right answers (classes).
    """
    measured = [cell for row in rows for cell in row.measured.values() if cell.planned]
    said = _verdict(rows, columns, axis, by_target=by_target) if len(measured) > 1 else "Nothing to compare yet."
    one = len(measured) > 1 and any(cell.n == 1 and cell.sampling is not None for cell in measured)
    return " ".join(filter(None, [said, still_missing(rows), "Other seeds may differ." if one else ""]))


def still_missing(rows: list[Row]) -> str:
    """How many of a table's figures are measured, in a sentence; empty if all are."""
    planned = [cell for row in rows for cell in row.cells.values() if cell.planned]
    measured = sum(cell.mean is not None for cell in planned)
    return f"{measured} of {len(planned)} figures are measured." if measured < len(planned) else ""


def _verdict(rows: list[Row], columns: Mapping[str, str], axis: Axis | None, *, by_target: bool) -> str:
    if axis:
        curves = [row for row in rows if len(row.measured) > 1]
        return _sentence(axis.verdict(curves)) if curves else "Nothing to compare yet."
    if by_target:
        return _sentence(f"{'; '.join(extremes(row) for row in rows if row.measured)}.")
    together = [
        (f"{heading}: " if len(columns) > 1 else "", {row.label: row.cells[c] for row in rows if c in row.measured})
        for c, heading in columns.items()
    ]
    groups = [group for what, named in together if named for group in by_kind(what, named) if len(group[1]) > 1]
    return _sentence(f"{best_of(groups)}.") if groups else "Nothing to compare yet."


def _sentence(text: str) -> str:
    """A capital at the start, unless a label or a heading stands there."""
    return text[0].upper() + text[1:] if text.startswith(("highest", "lowest", "of ", "all ")) else text


def best_of(groups: Groups) -> str:
    """The best and the worst figure of each group, or, of many groups, in how many each row is the best.

    With what differs from the best by no more than the error.
    """
    if len(groups) <= _LISTED:
        return "; ".join(what + _best(named) for what, named in groups)
    firsts = [min(named, key=lambda label: named[label].rank) for _, named in groups]
    best = Counter(firsts)
    words = {_words(named)[0] for _, named in groups}
    word = words.pop() if len(words) == 1 else "best"
    (first, most), *others = best.most_common()
    found = [f"{first} is {word} in {most}", *(f"{label} in {count}" for label, count in others)]
    contested = [
        level
        for (_, named), first in zip(groups, firsts, strict=True)
        if (level := _level([(cell, named[first]) for label, cell in named.items() if label != first]))
    ]
    unsure = f"; in {len(contested)} another is within the {called(itertools.chain(*contested))}" if contested else ""
    return f"of {len(groups)} columns, {', '.join(found)}{unsure}"


def extremes(row: Row) -> str:
    """The figure of a row whose columns are right answers, then the columns where it is highest and lowest.

    `A: 71.0 overall, highest ship (90.0), lowest cat (40.0)`; where these are not told from each other, that they are not.
    """
    order = dict(sorted(row.measured.items(), key=lambda item: -(item[1].mean or 0)))
    high, low = next(iter(order)), next(reversed(order))
    overall = f"{row.overall.brief} overall, " if row.overall and row.overall.mean is not None else ""
    found = compare(order[high], order[low])
    if len(order) > 1 and found and found.level:
        ends = f"from {order[low].brief} ({low}) to {order[high].brief} ({high}), "
        ends += f"which are within the {called([found])} of each other"
    else:
        ends = f"highest {high} ({order[high].brief}), lowest {low} ({order[low].brief})" + _close(order, high, "highest")
    return f"{row.label}: {overall}{ends}"


def _level(pairs: Sequence[tuple[Cell, Cell]]) -> list[Comparison]:
    """Those of some pairs that differ by no more than the error."""
    return [found for a, b in pairs if (found := compare(a, b)) and found.level]


def _close(named: Mapping[str, Cell], first: str, word: str) -> str:
    """`; B (69.1) is within the sampling error of the highest`; nothing where all others are told from the first."""
    found = {label: compare(cell, named[first]) for label, cell in named.items() if label != first}
    level = {label: comparison for label, comparison in found.items() if comparison and comparison.level}
    if not level:
        return ""
    *most, last = (f"{label} ({named[label].brief})" for label in sorted(level, key=lambda label: named[label].rank))
    names = f"{len(level)} others" if len(level) > _NAMED else f"{', '.join(most)} and {last}" if most else last
    return f"; {names} {'is' if len(level) == 1 else 'are'} within the {called(level.values())} of the {word}"


def _best(named: Mapping[str, Cell]) -> str:
    order = sorted(named, key=lambda name: named[name].rank)
    first, last = _words(named)
    if named[order[0]].brief == named[order[-1]].brief:
        return f"all {named[order[0]].brief}"
    ends = f"{first} {order[0]} ({named[order[0]].brief}), {last} {order[-1]} ({named[order[-1]].brief})"
    return ends + _close(named, order[0], first.partition(",")[0])


def _words(named: Mapping[str, Cell]) -> tuple[str, str]:
    """What the best and the worst of figures of one kind are called."""
    better = next(iter(named.values())).better
    return ("highest", "lowest") if better == "higher" else ("lowest, which is best,", "highest")

"""Which of a table's figures are the highest, or the lowest where that is better, in words drawn from them."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rotnet_lib.report.cells import Cell, Row

_LISTED = 4
"""Groups that are gone through one by one; of more it is counted whose figure is the best."""


def best_of(groups: Sequence[tuple[str, Mapping[str, Cell]]]) -> str:
    """The best and the worst figure of each group, or, of many groups, in how many each row is the best.

    Args:
        groups: what stands before a group's figures, and its measured cells by label: at least one, all of one kind.
    """
    if len(groups) <= _LISTED:
        return "; ".join(what + _best(named) for what, named in groups)
    best = Counter(min(named, key=lambda label: named[label].rank) for _, named in groups)
    words = {_words(named)[0] for _, named in groups}
    word = words.pop() if len(words) == 1 else "best"
    (first, most), *others = best.most_common()
    found = [f"{first} is {word} in {most}", *(f"{label} in {count}" for label, count in others)]
    return f"of {len(groups)} columns, {', '.join(found)}"


def extremes(row: Row) -> str:
    """The columns where a row is highest and lowest."""
    order = sorted(row.measured.items(), key=lambda item: -(item[1].mean or 0))
    (high, most), (low, least) = order[0], order[-1]
    return f"{row.label}: highest {high} ({most.brief}), lowest {low} ({least.brief})"


def _best(named: Mapping[str, Cell]) -> str:
    order = sorted(named, key=lambda name: named[name].rank)
    first, last = _words(named)
    return f"{first} {order[0]} ({named[order[0]].brief}), {last} {order[-1]} ({named[order[-1]].brief})"


def _words(named: Mapping[str, Cell]) -> tuple[str, str]:
    """What the best and the worst of figures of one kind are called."""
    better = next(iter(named.values())).better
    return ("highest", "lowest") if better == "higher" else ("lowest, which is best,", "highest")

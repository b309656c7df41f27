"""What an inspected network is called: shortly, by what it learned, not by the name of its run."""

from collections import Counter
from collections.abc import Sequence

from rotnet_lib.evaluation.looks import Look

_BY_TASK = {"rotation": "RotNet", "labels": "Supervised"}
"""What networks of a task are called in the literature; others by the task's name."""


def network_names(looks: Sequence[Look]) -> list[str]:
    """`RotNet (nin4)`, `Supervised (nin3)`, `Jigsaw (alexnet)`, numbered where two would be called alike.

    Args:
        looks: the networks of one page.
    """
    names = [_name(look) for look in looks]
    alike = Counter(names)
    return [name if alike[name] == 1 else f"{name} {1 + names[:place].count(name)}" for place, name in enumerate(names)]


def runs_in_words(looks: Sequence[Look]) -> str:
    """Which run each name stands for: `RotNet (nin4) is the run rotation-nin4-...`."""
    pairs = zip(network_names(looks), looks, strict=True)
    return "; ".join(f"{name} is the run {look.title}" for name, look in pairs) + "."


def _name(look: Look) -> str:
    task = _BY_TASK.get(look.task, look.task.replace("-", " ").capitalize())
    return f"{task} ({look.arch})" if task else look.arch

"""What an inspected network is called: shortly, by what it learned, not by the name of its run."""

from collections import Counter
from collections.abc import Sequence

from rotnet_lib.evaluation.looks import Look
from rotnet_lib.report.run_title import network_title


def network_names(looks: Sequence[Look]) -> list[str]:
    """`RotNet NIN-4`, `Supervised NIN-3`, `Jigsaw puzzles AlexNet`, numbered where two would be called alike.

    Args:
        looks: the networks of one page.
    """
    names = [network_title(look.task, look.arch) for look in looks]
    alike = Counter(names)
    return [name if alike[name] == 1 else f"{name} {1 + names[:place].count(name)}" for place, name in enumerate(names)]


def runs_in_words(looks: Sequence[Look]) -> str:
    """Which run each name stands for: `RotNet NIN-4 is the run rotation-nin4-...`."""
    pairs = zip(network_names(looks), looks, strict=True)
    return "; ".join(f"{name} is the run {look.title}" for name, look in pairs) + "."

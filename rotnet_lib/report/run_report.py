"""What a run's notebook says of its result."""

from collections.abc import Sequence
from typing import Any

from IPython.display import HTML

from rotnet_lib.data.listing import SplitName
from rotnet_lib.report.code_differences import differences_of
from rotnet_lib.report.error_notes import note_on_run
from rotnet_lib.report.fragments import fragment
from rotnet_lib.runs.directory import METRICS
from rotnet_lib.runs.metrics import with_unit
from rotnet_lib.runs.schema import RunResult
from rotnet_lib.runs.unverified import sentence


def run_summary(result: RunResult, notes: Sequence[str] = (), split: SplitName = "test") -> HTML:
    """Headline, data, time, versions and differences from protocol and authors' code of a run, for a notebook cell.

    Args:
        result: the run's.
        notes: sentences that belong to the headline.
        split: whose images the figures are of.
    """
    shown: dict[str, Any] = {"whose": _whose(result, split), "guesses": _guesses(result), "errors": note_on_run(result.metrics)}
    shown |= {"differences": describe_differences(result.protocol_differences), "unverified": _unverified(result)}
    return HTML(fragment("run.html.j2", result=result, notes=notes, code=differences_of(result), **shown))


def _whose(result: RunResult, split: SplitName) -> str:
    """Whose images the figures are of: `1000 test images`."""
    tested = [name for name, metric in result.metrics.items() if metric.tested]
    others = [name for name, metric in result.metrics.items() if not metric.tested]
    training = f"{result.data.train_images} training images"
    if split != "test":
        return training
    if others and not tested:
        return f"{training} (the test split tells nothing of {' and '.join(others)})"
    kind = "held-out training" if result.data.validation else "test"
    also = f" ({', '.join(others)}: on {training}, for the test split tells nothing of it)" if others else ""
    return f"{result.data.test_images} {kind} images{also}"


def _guesses(result: RunResult) -> str:
    """What guessing gives, in a sentence; empty where nobody knows."""
    known = {name: with_unit(m.chance, m.unit) for name, m in result.metrics.items() if m.chance is not None}
    if not known:
        return ""
    if len(known) == len(result.metrics) and len(set(known.values())) == 1:
        return f"Guessing gives {next(iter(known.values()))}."
    return f"Guessing gives {', '.join(f'{name} {chance}' for name, chance in known.items())}."


def _unverified(result: RunResult) -> str:
    """Which files the figures come from that carry no checksum, in a sentence; empty if all do."""
    own = [f"{result.run}/{METRICS}"] if result.schema_version == 2 else []
    files = [*own, *result.unverified]
    return sentence(files) if files else ""


def describe_differences(differences: dict[str, list[Any]]) -> list[str]:
    """`["epochs 4 (protocol: 100)", ...]` from `RunResult.protocol_differences`."""
    return [f"{name} {plain(value, name)} (protocol: {plain(asked, name)})" for name, (asked, value) in differences.items()]


_UNSET = {"image_size": "the data's own", "shrink": "none", "validate": "none", "clip_gradient": "none"}
"""Parameters whose None does not mean all."""


def plain(value: Any, field: str = "") -> str:
    """The value of a parameter as a reader expects it. None is a number of images not limited, but of `_UNSET`."""
    if value is None:
        return _UNSET.get(field, "all")
    if isinstance(value, list):
        return ", ".join(plain(item) for item in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)

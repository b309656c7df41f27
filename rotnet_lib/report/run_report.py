"""What a run's notebook says of its result."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from IPython.display import HTML

from rotnet_lib.data.listing import SplitName
from rotnet_lib.data.skipped import together
from rotnet_lib.models import ARCHS
from rotnet_lib.models.width import width_matters
from rotnet_lib.paths import from_project
from rotnet_lib.report.code_differences import differences_of
from rotnet_lib.report.error_notes import note_on_run
from rotnet_lib.report.fragments import fragment
from rotnet_lib.report.metric_titles import measured_by_layer, metric_title, short_titles
from rotnet_lib.report.parameter_words import describe_differences
from rotnet_lib.report.run_title import network_of, run_title
from rotnet_lib.runs.directory import METRICS, REPORT
from rotnet_lib.runs.metrics import decimals
from rotnet_lib.runs.schema import MetricValue, RunResult
from rotnet_lib.runs.unverified import sentence


def run_summary(result: RunResult, notes: Sequence[str] = (), split: SplitName = "test") -> HTML:
    """Title, figures with what guessing gives, whose images they are of, and what is not the published protocol.

    For the first of the cells that show a run's result; `run_details` has the rest.

    Args:
        result: the run's.
        notes: sentences that belong to the headline.
        split: whose images the figures are of.
    """
    shown: dict[str, Any] = {"title": run_title(result), "figures": _figures(result), "whose": _whose(result, split)}
    named = {short: result.metrics[name] for name, short in short_titles(result).items()}
    shown |= {"named": named, "errors": note_on_run(named), "lead": _lead(result), "backbone": _backbone(result)}
    shown |= {"differences": describe_differences(_that_matter(result), result.stage), "unverified": _unverified(result)}
    return HTML(fragment("run.html.j2", result=result, notes=notes, **shown))


def run_details(result: RunResult) -> HTML:
    """Data, time, machine and versions of a run, and where it differs from the authors' code, as a table."""
    return HTML(
        fragment("run_details.html.j2", result=result, code=differences_of(result), not_read=together(result.data.skipped))
    )


class _Headline(NamedTuple):
    """A figure of the headline: its label, the figure, and what guessing gives (empty: not known, or said in the lead)."""

    label: str
    metric: MetricValue
    chance: str


def _figures(result: RunResult) -> list[_Headline]:
    by_layer = measured_by_layer(result)
    tested = f" on {result.data.tested_on}"
    found = []
    for name, metric in result.metrics.items():
        title = metric_title(result.stage, name)
        short = short_titles(result)[name]
        label = short if short != title else title + (tested if title == "Top-1 accuracy" else "")
        chance = "" if metric.chance is None or by_layer else _chance(metric)
        found.append(_Headline(label, metric, chance))
    return found


def _lead(result: RunResult) -> str:
    """What stands before the figures of several layers: what they are of, and what guessing gives."""
    if not measured_by_layer(result):
        return ""
    metric = next(iter(result.metrics.values()))
    chance = f" ({_chance(metric)})" if metric.chance is not None else ""
    return f"Top-1 accuracy on {result.data.tested_on} by layer{chance}:"


def _chance(metric: MetricValue) -> str:
    """`chance 25 %`, `chance 14.29 %`: no more decimals than the figure has."""
    assert metric.chance is not None
    return f"chance {round(metric.chance, decimals(metric.chance, metric.unit)):g} {metric.unit}".rstrip()


def _backbone(result: RunResult) -> dict[str, str] | None:
    """The run that trained the backbone: its words, its name and, if there is one, its page beside this run's directory."""
    network = network_of(result.parameters)
    if network.run is None:
        return None
    own = network.run.parent == from_project(str(result.parameters["runs"]))
    page = f"../{network.run.name}/{REPORT}" if own and (network.run / REPORT).is_file() else ""
    return {"words": network.words, "name": network.run.name, "page": page}


def _that_matter(result: RunResult) -> dict[str, list[Any]]:
    """What differs from the protocol, but for a width that the arch takes no notice of."""
    differences, arch = result.protocol_differences, result.parameters.get("arch")
    if "width" not in differences or arch not in ARCHS or width_matters(str(arch), differences["width"]):
        return differences
    return {name: pair for name, pair in differences.items() if name != "width"}


def _whose(result: RunResult, split: SplitName) -> str:
    """Whose images the figures are of: `1,000 test images`."""
    titles = short_titles(result)
    tested = [titles[name] for name, metric in result.metrics.items() if metric.tested]
    others = [titles[name] for name, metric in result.metrics.items() if not metric.tested]
    training = f"{result.data.train_images:,} training images"
    if split != "test":
        return training
    if others and not tested:
        return f"{training} (the test split tells nothing of {' and '.join(others)})"
    kind = "held-out training" if result.data.validation else "test"
    also = f" ({', '.join(others)}: on {training}, for the test split tells nothing of it)" if others else ""
    return f"{result.data.test_images:,} {kind} images{also}"


def _unverified(result: RunResult) -> str:
    """Which files the figures come from that carry no checksum, in a sentence; empty if all do."""
    own = [f"{result.run}/{METRICS}"] if result.schema_version == 2 else []
    files = [*own, *result.unverified]
    return sentence(files) if files else ""

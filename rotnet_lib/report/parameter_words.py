"""The values of parameters as a reader expects them."""

from collections.abc import Mapping
from typing import Any

from rotnet_lib.runs.resolution import ALL, OWN
from rotnet_lib.stages.register import STAGES


def plain(value: Any, name: str = "", stage: str = "") -> str:
    """A value as a reader expects it.

    Args:
        value: a plain JSON value.
        name: the parameter; empty, or an option of one (`task_options.negatives`): None then stands for no limit.
        stage: whose parameter it is.
    """
    if value is None:
        schema = STAGES[stage].config if stage in STAGES else None
        word = schema.word_of_none(name) if schema and name in schema.model_fields else ALL
        return "the data's own" if word == OWN else str(word)
    if isinstance(value, list):
        return ", ".join(plain(item) for item in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def describe_differences(differences: Mapping[str, list[Any]], stage: str) -> list[str]:
    """`["epochs 4 (protocol: 100)", ...]` from `RunResult.protocol_differences`."""
    return [
        f"{name} {plain(value, name, stage)} (protocol: {plain(asked, name, stage)})"
        for name, (asked, value) in differences.items()
    ]

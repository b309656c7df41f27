"""One run by itself (`rotnet run`): the command that goes on from it, and the line for a shorter one."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.protocols import benchmark_of
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.stages.probe import ProbeConfig
from rotnet_lib.yaml_reader import parse_yaml

SHORT_PRESET = "quick"
"""The preset that takes minutes."""

_LENGTH = ("epochs", "iterations", "train_size", "test_size", "image_size", "width")
"""Parameters that make a run long: left to the preset in the shorter line."""


def next_command(config: RunConfig, name: str, preset: str) -> str | None:
    """The command that goes on from a run that is made: for a pretrain run the probe of all its layers, else None.

    Args:
        config: the run's.
        name: its directory's.
        preset: that it was made by.
    """
    if not isinstance(config, PretrainConfig):
        return None
    given: dict[str, Any] = {"backbone": name, "layer": "all"}
    if benchmark_of(config.arch) == "imagenet":
        given["classifier"] = "linear"  # as in the tables of AlexNet
    if config.runs != RunConfig.model_fields["runs"].default:
        given["runs"] = config.runs
    return command_line(ProbeConfig.stage, given, preset)


def shorter_command(notebook: str, parameters: Mapping[str, Any], preset: str) -> str | None:
    """The line for a run like one of the user's that takes minutes; None if theirs is of that preset already."""
    if preset == SHORT_PRESET:
        return None
    return command_line(notebook, {name: value for name, value in parameters.items() if name not in _LENGTH}, SHORT_PRESET)


def command_line(notebook: str, parameters: Mapping[str, Any], preset: str) -> str:
    """`rotnet run ...`, quoted for a shell."""
    words = ["rotnet", "run", notebook, "--preset", preset]
    for name, value in parameters.items():
        words += ["-p", name, _as_yaml(value)]
    return shlex.join(words)


def _as_yaml(value: Any) -> str:
    """A value as `-p` takes it: text as it is, unless YAML would read it as something else."""
    if isinstance(value, str):
        try:
            if parse_yaml(value, "") == value:
                return value
        except RotnetError:
            pass  # it is no YAML without quotes
    return json.dumps(value)

"""One run by itself (`rotnet run`): the commands that make it, make a shorter one like it, and go on from it."""

import itertools
import json
import shlex
from collections.abc import Mapping
from typing import Any

from rotnet_lib.errors import RotnetError
from rotnet_lib.models import ARCHS
from rotnet_lib.report.made_by import MadeBy
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.directory import checkpoint_of
from rotnet_lib.runs.protocols import benchmark_of
from rotnet_lib.runs.resolution import NONE
from rotnet_lib.runs.stage_config import DECIDING
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.backbone_config import UNTRAINED
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.stages.probe import ProbeConfig
from rotnet_lib.suites.resolve import configure
from rotnet_lib.training.headers import backbone_header
from rotnet_lib.yaml_reader import parse_yaml

SHORT_PRESET = "quick"
"""The preset that takes minutes."""

_LENGTH = ("epochs", "iterations", "train_size", "test_size", "image_size", "width")
"""Parameters that make a run long: left to the preset in the shorter line."""


def made_by(stage: str, parameters: Mapping[str, Any]) -> MadeBy:
    """The command that makes a run, by whatever it was planned: parameters that preset and protocol decide are left out.

    Args:
        stage: its name.
        parameters: the whole effective config, plain JSON values, with the `preset` that it was made by.
    """
    preset = str(parameters.get("preset", NONE))
    given = _given(STAGES[stage].config, parameters, preset)
    return MadeBy(command_line(stage, given, preset), given)


def _given(schema: type[RunConfig], parameters: Mapping[str, Any], preset: str) -> dict[str, Any]:
    """The parameters that must be given beside the preset; of those of execution only the folder of runs.

    All parameters, if the run of the backbone no longer exists.
    """
    names = [name for name in schema.model_fields if name == "runs" or schema.role(name) != "execution"]
    order = [*itertools.chain(*DECIDING), *names]  # what decides about others comes first
    wanted = {name: parameters[name] for name in order if name in names and name in parameters}
    given = {name: wanted[name] for name in ("backbone",) if name in wanted}
    if given.get("backbone") in UNTRAINED:
        given["arch"] = wanted["arch"]
    if wanted["runs"] != schema.model_fields["runs"].default:
        given["runs"] = wanted["runs"]
    try:
        for _ in wanted:
            found = configure(schema.stage, given, preset).model_dump(mode="json")
            name = next((name for name in wanted if name not in given and found[name] != wanted[name]), None)
            if name is None:
                break
            given[name] = _said(schema, name, wanted[name], found[name])
    except RotnetError:
        return {name: _said(schema, name, value, None) for name, value in wanted.items()}
    return given


def _said(schema: type[RunConfig], name: str, value: Any, otherwise: Any) -> Any:
    """A value as `-p` takes it; of one that has keys, those that would be otherwise."""
    if value is None:
        return schema.word_of_none(name)
    if isinstance(value, dict) and isinstance(otherwise, dict):
        return {key: part for key, part in value.items() if key not in otherwise or otherwise[key] != part}
    return value


def next_command(config: RunConfig, name: str, preset: str) -> str | None:
    """The command that goes on from a run that is made: for a pretrain run the probe of all its layers, else None.

    Args:
        config: the run's.
        name: its directory's.
        preset: that it was made by.
    """
    if not isinstance(config, PretrainConfig):
        return None
    weights = checkpoint_of(name, config.runs)
    taps = backbone_header(weights).taps if weights.exists() else ARCHS[config.arch].taps
    # A task may have cut the backbone: `all` would ask for layers that its weights have not.
    given: dict[str, Any] = {"backbone": name, "layer": "all" if tuple(taps) == ARCHS[config.arch].taps else ",".join(taps)}
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

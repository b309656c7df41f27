"""One run by itself (`rotnet run`): its config from parameters and a preset, and the command that goes on from it."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.protocols import KIND, benchmark_of
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.backbone_config import NEWEST, UNTRAINED, BackboneConfig
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.stages.probe import ProbeConfig
from rotnet_lib.suites.suite import SuiteRun, preset_named
from rotnet_lib.yaml_reader import parse_yaml

SHORT_PRESET = "quick"
"""The preset that takes minutes."""

_LENGTH = ("epochs", "iterations", "train_size", "test_size", "image_size", "width")
"""Parameters that make a run long: left to the preset in the shorter line."""


def configure(notebook: str, parameters: Mapping[str, Any], preset: str | None) -> RunConfig:
    """The config of a run.

    Args:
        notebook: the stage's name.
        parameters: as the user gives them; they come before the preset's.
        preset: whose parameters to start from; None: the protocol's.

    Raises RotnetError for an unknown notebook or preset, and as `StageConfig.build`.
    """
    schema = STAGES[notebook].config
    if not preset:
        return schema.build(parameters)
    fields, values = schema.model_fields, dict(parameters)
    kind = {name: values.get(name, fields[name].default) for name in KIND if name in fields}
    # As told, the stage's own, or that of the backbone's run. The preset names the data where no run does.
    arch = values.get("arch") or fields["arch"].default
    if not arch:
        followed = schema.build(values).model_dump()
        arch = followed["arch"]
        if issubclass(schema, BackboneConfig):
            values["backbone"] = followed["backbone"]  # what is newest is looked up, and said, once
    dataset = values.get("dataset")
    said = preset_named(preset).parameters(
        SuiteRun(notebook=notebook, set=kind), arch, dataset if isinstance(dataset, str) else None
    )
    if parameters.get("backbone", NEWEST) not in (NEWEST, *UNTRAINED):
        said.pop("width", None)  # that of the run named
    return schema.build(said | values)


def next_command(config: RunConfig, name: str, preset: str | None) -> str | None:
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
    probe = configure(ProbeConfig.stage, given, preset).model_dump(mode="json")
    trained = config.model_dump(mode="json")
    given |= {name: trained[name] for name in ProbeConfig.followed if probe[name] != trained[name]}
    return command_line(ProbeConfig.stage, given, preset)


def shorter_command(notebook: str, parameters: Mapping[str, Any], preset: str | None) -> str | None:
    """The line for a run like one of the user's that takes minutes; None if theirs is of that preset already."""
    if preset == SHORT_PRESET:
        return None
    return command_line(notebook, {name: value for name, value in parameters.items() if name not in _LENGTH}, SHORT_PRESET)


def command_line(notebook: str, parameters: Mapping[str, Any], preset: str | None) -> str:
    """`rotnet run ...`, quoted for a shell."""
    words = ["rotnet", "run", notebook, *(["--preset", preset] if preset else [])]
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

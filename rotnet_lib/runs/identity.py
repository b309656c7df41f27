"""Whether the files of a run are that run's: its name ends in a hash of parameters and data, its result has a checksum."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import yaml
from pydantic import ValidationError

from rotnet_lib.runs.schema import RunResult

_VERSIONS = range(1, 10)
"""Versions of a stage that a result from before results had it may be of."""

_EXECUTION_BEFORE = ("runs", "workers", "max_damaged", "device", "threads", "compile", "gpus")
"""The execution parameters of all stages before results said which of theirs those are."""

_NEEDED = ("dataset", "seed", "arch", "width")
"""Parameters that every run has, and others look up."""

_YAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The loader in C is many times faster, and there are hundreds of runs to look at."""

_KEPT = 4096
"""Answers that are kept, by the content of the files: a run is asked for its state several times."""


def name_ending(stage: str, version: int, parameters: Mapping[str, Any], fingerprint: str) -> str:
    """The end of a run's name, ten hexadecimal digits: a hash of what decides its result.

    Args:
        stage: its name.
        version: the stage's.
        parameters: those that are hashed, plain JSON values.
        fingerprint: of the data.
    """
    hashed = json.dumps([stage, version, parameters, fingerprint], sort_keys=True)
    return hashlib.sha256(hashed.encode()).hexdigest()[:10]


def result_checksum(document: Mapping[str, Any]) -> str:
    """The checksum of a result, as `metrics.json` holds it, over all its other fields: 64 hexadecimal digits."""
    rest = {name: value for name, value in document.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


@lru_cache(_KEPT)
def result_in(content: bytes, name: str) -> RunResult | str:
    """The result in a `metrics.json`, if it is that of run `name`; else what is wrong: `is of another run, ...`.

    The name tells the parameters: it ends in their hash. The result is shared by all who ask; copy it before changing it.
    """
    try:
        result = RunResult.model_validate_json(content.decode())
        document = json.loads(content)
    except UnicodeDecodeError as error:
        return f"is damaged: it is no text in UTF-8 (byte {error.start})"
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "the file"
        return f"is damaged or from another version ({where}: {problem['msg']})"
    except (ValueError, RecursionError) as error:
        return f"is damaged: it is no JSON ({error})"
    if result.schema_version > 2 and None in (result.checksum, result.files, result.version, result.execution):
        return "is damaged: it has no checksum"
    if result.checksum is not None and result.checksum != result_checksum(document):
        return "is damaged: its content is not what the run wrote (by its checksum)"
    if result.run != name:
        return f"is of another run, {result.run} (was the folder renamed? Then give it that name back)"
    if version_of(name, result) is None:
        return "is of another run: the hash in the folder's name is not of these parameters and data"
    return result


@lru_cache(_KEPT)
def contradiction(content: bytes, name: str, parameters: bytes) -> str:
    """What is wrong with the `parameters.yaml` beside the `metrics.json` of run `name`; empty if nothing is.

    Args:
        content: of `metrics.json`, in which `result_in` finds the run's result.
        name: the run's.
        parameters: content of `parameters.yaml`.
    """
    result = result_in(content, name)
    assert isinstance(result, RunResult)
    values = parameters_in(parameters)
    if isinstance(values, str):
        return f"is damaged: {values}"
    names = {*values, *result.parameters}.difference(_execution(result))
    differ = [n for n in sorted(names) if n not in values or n not in result.parameters or values[n] != result.parameters[n]]
    return f"is of another run: it differs from the result in {', '.join(differ)}" if differ else ""


def parameters_in(content: bytes) -> dict[str, Any] | str:
    """The parameters in a `parameters.yaml`; else what is wrong: `it lacks arch`."""
    try:
        values = yaml.load(content.decode(), _YAML)
    except UnicodeDecodeError as error:
        return f"it is no text in UTF-8 (byte {error.start})"
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: of a date that does not exist
        return f"it is no YAML ({' '.join(str(error).split())})"
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        return "it holds no parameters"
    missing = [name for name in _NEEDED if name not in values]
    return f"it lacks {', '.join(missing)}" if missing else values


def version_of(name: str, result: RunResult) -> int | None:
    """The version of the stage by which a run with the result's parameters and data has that name; None: it has another."""
    left_out = {*_execution(result), *result.later}
    hashed = {parameter: value for parameter, value in result.parameters.items() if parameter not in left_out}
    versions = _VERSIONS if result.version is None else (result.version,)
    ending = name.rpartition("-")[2]
    named = (v for v in versions if name_ending(result.stage, v, hashed, result.data.fingerprint) == ending)
    return next(named, None)


def _execution(result: RunResult) -> tuple[str, ...]:
    """The parameters of a result that are no part of its run's name."""
    return _EXECUTION_BEFORE if result.execution is None else tuple(result.execution)

"""The register of stages. Each stage enters itself, beside its function."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from rotnet_lib.registry import Registry
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.directory import RunDirectory, RunResult


class StageResult(Protocol):
    """What a stage's function returns: the run's result in memory, and what the notebook draws."""

    @property
    def directory(self) -> RunDirectory:
        """The run's directory, locked until `save`."""

    @property
    def result(self) -> RunResult:
        """What `metrics.json` holds or will hold."""

    def save(self) -> None:
        """Mark the run as finished and release its lock. A notebook's last line."""


@dataclass(frozen=True)
class Stage:
    """A stage: the class of its parameters and the function that carries it out."""

    config: type[RunConfig]
    run: Callable[[Any], StageResult]


STAGES = Registry[Stage]("notebook")
"""Name of the notebook, without `.ipynb` -> its stage. Filled by importing `rotnet_lib.stages` and `rotnet_lib.voc`."""

Config = TypeVar("Config", bound=RunConfig)
Result = TypeVar("Result", bound=StageResult)


def stage(config: type[Config]) -> Callable[[Callable[[Config], Result]], Callable[[Config], Result]]:
    """Decorator: the function carries out the stage of this config and is entered under the config's `stage`."""

    def enter(function: Callable[[Config], Result]) -> Callable[[Config], Result]:
        STAGES.register(config.stage)(Stage(config, function))
        return function

    return enter

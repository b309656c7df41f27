"""The register of stages. Each stage enters itself, beside its function."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from rotnet_lib.registry import Registry
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.result import StageResult
from rotnet_lib.runs.unverified import noting


@dataclass(frozen=True)
class Stage:
    """A stage: its config class, and the function that runs it."""

    config: type[RunConfig]
    run: Callable[[Any], StageResult]


STAGES = Registry[Stage]("notebook")
"""Name of the notebook, without `.ipynb` -> its stage. Filled by importing `rotnet_lib.stages` and `rotnet_lib.voc`."""

Config = TypeVar("Config", bound=RunConfig)
Result = TypeVar("Result", bound=StageResult)


def stage(config: type[Config]) -> Callable[[Callable[[Config], Result]], Callable[[Config], Result]]:
    """Decorator that registers a function as the one that runs a config's stage, under the config's `stage`.

    What the function reads unverified (`runs.unverified`) is collected for its result.
    """

    def enter(function: Callable[[Config], Result]) -> Callable[[Config], Result]:
        @wraps(function)
        def run(config: Config) -> Result:
            with noting():
                return function(config)

        STAGES.register(config.stage)(Stage(config, run))
        return run

    return enter

"""A pretrain config that trains in a tenth of a second, and a run of it that tests share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.stages.train import Outcome


@pytest.fixture
def build(tiny: dict[str, Any]) -> Callable[..., PretrainConfig]:
    def config(**parameters: Any) -> PretrainConfig:
        return PretrainConfig.build(tiny | {"arch": "nin3"} | parameters)

    return config


@pytest.fixture(scope="module")
def _trained_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Outcome]]:
    """Where the runs of `once` lie, and those that were trained, by config."""
    return tmp_path_factory.mktemp("once"), {}


@pytest.fixture
def once(build: Callable[..., PretrainConfig], _trained_once: tuple[Path, dict[str, Outcome]]) -> Callable[..., Outcome]:
    """Trains a run that several tests of a file compare theirs with, once. Its files are not to be changed."""
    folder, known = _trained_once

    def run(**parameters: Any) -> Outcome:
        config = build(runs=str(folder), **parameters)
        key = config.model_dump_json()
        if key not in known:
            known[key] = pretrain(config)
        return known[key]

    return run

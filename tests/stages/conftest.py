"""A pretrain config that trains in a tenth of a second."""

from collections.abc import Callable
from typing import Any

import pytest

from rotnet_lib.stages.pretrain import PretrainConfig


@pytest.fixture
def build(tiny: dict[str, Any]) -> Callable[..., PretrainConfig]:
    def config(**parameters: Any) -> PretrainConfig:
        return PretrainConfig.build(tiny | {"arch": "nin3"} | parameters)

    return config

"""A trainer of toy tasks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rotnet_lib.data.loader import Loader
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.training.resume import ResumeState
from rotnet_lib.training.task import Task
from rotnet_lib.training.trainer import STUCK, StuckCheck, Trainer
from tests.training.toys import light_and_dark


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Trainer]:
    def trainer(
        task: Task,
        batch_size: int = 8,
        images: int = 32,
        tests: int = 20,
        after_epoch: Callable[[int], None] = lambda epoch: None,
        stuck: StuckCheck = STUCK,
        **parameters: Any,
    ) -> Trainer:
        config = PretrainConfig.build({"epochs": 3, "dataset": "shapes", "device": "cpu"} | parameters)
        loader = Loader(light_and_dark(images), batch_size, seed=config.seed, augment=config.augment)
        state = ResumeState(tmp_path / "resume.safetensors")
        return Trainer(task, loader, light_and_dark(tests, seed=1), config, state, torch.device("cpu"), after_epoch, stuck)

    return trainer

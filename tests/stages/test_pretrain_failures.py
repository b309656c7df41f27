"""Pretrain runs that fail: what is wrong is named."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rotnet_lib.data.loader import Loader
from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.directory import all_runs
from rotnet_lib.stages.pretrain import PretrainConfig, pretext_task, pretrain
from rotnet_lib.stages.train import load_data
from rotnet_lib.training.resume import ResumeState
from rotnet_lib.training.trainer import StuckCheck, Trainer


def test_a_rate_that_is_far_too_high_is_said(build: Callable[..., PretrainConfig]) -> None:
    with pytest.raises(RotnetError, match=r"the loss is (nan|inf) at epoch \d.*Lower lr"):
        pretrain(build(lr=1e30, epochs=3))
    assert [run.state for run in all_runs(Path("runs"))] != ["finished"]


def fit(config: PretrainConfig, stuck: StuckCheck) -> None:
    """Train the config's task in memory, with a check that judges early."""
    data = load_data(config)
    task, _ = pretext_task(config, data)
    loader = Loader(data.train, config.batch_size * task.batch_copies, seed=config.seed, augment=config.augment)
    Trainer(task, loader, data.test, config, ResumeState(Path("resume")), torch.device("cpu"), stuck=stuck).fit()


def test_rotation_that_is_not_learnt_is_said(build: Callable[..., PretrainConfig]) -> None:
    with pytest.raises(RotnetError, match=r"rotation_top1 is stuck at chance: .* after 3 epochs, guessing gives 25\.00 %"):
        fit(build(lr=0, epochs=9), StuckCheck(inputs=300, margin=12.0))  # 128 guesses vary by 4 points


def test_labels_that_are_not_learnt_are_said(build: Callable[..., PretrainConfig]) -> None:
    with pytest.raises(RotnetError, match=r"top1 is stuck at chance: .*guessing gives 10\.00 %"):
        fit(build(task="labels", lr=0, epochs=9), StuckCheck(inputs=90, margin=25.0))


def test_a_gpu_that_is_not_there_is_said(build: Callable[..., PretrainConfig], gpus: Callable[..., None]) -> None:
    gpus(0)
    with pytest.raises(RotnetError, match="torch sees no such GPU"):
        pretrain(build(device="cuda"))


def test_unknown_data_is_said_before_anything_is_written(build: Callable[..., PretrainConfig]) -> None:
    with pytest.raises(RotnetError, match="unknown dataset 'shape'; did you mean 'shapes'"):
        pretrain(build(dataset="shape"))
    assert not Path("runs").exists()

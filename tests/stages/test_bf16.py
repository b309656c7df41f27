"""Training under bf16, as on a GPU: the losses stay near those of fp32."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from rotnet_lib.data.dataset import Dataset, load_dataset
from rotnet_lib.data.loader import Loader, ordered_batches
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.models import CLASSIFIERS
from rotnet_lib.pretext import TASKS
from rotnet_lib.pretext.task import PretextTask
from rotnet_lib.stages.pretrain import PretrainConfig, pretext_task
from rotnet_lib.stages.probe import ProbeConfig
from rotnet_lib.stages.train_classifiers import classifier_task
from rotnet_lib.training.task import Task

pytestmark = pytest.mark.slow  # on a CPU bf16 is slower than fp32

SMALL = {"dataset": "shapes", "train_size": 160, "test_size": 10, "arch": "nin4", "width": 0.1}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset(DataSpec("shapes", train_size=160, test_size=10))


def losses(task: Task, data: Dataset, rate: float, *, bf16: bool) -> torch.Tensor:
    """Of ten steps of training."""
    loader = Loader(data.train, 16 * task.batch_copies, seed=0, augment="none", copies=task.copies)
    optimizer = torch.optim.SGD([p for p in task.module.parameters() if p.requires_grad], rate, momentum=0.9)
    task.module.train()
    found = []
    for batch in loader.epoch(0):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = task.step(batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.detach().float())
    return torch.stack(found[:10])


OPTIONS: dict[str, dict[str, Any]] = {"slow-features": {"margin": 10.0}}
"""Of tasks whose loss is of squares in the thousands by default."""
RATES = {"slow-features": 1e-5}
"""Where the loss is too steep for the rate that the others have: rounding alone would part the two within a few steps."""


def of_pretext(name: str, data: Dataset) -> Task:
    own = {"task": name, "arch": (*TASKS[name].archs, "nin4")[0], "task_options": OPTIONS.get(name, {})}
    return pretext_task(PretrainConfig.build(SMALL | own), data)[0]


def of_classifier(name: str, data: Dataset) -> Task:
    parameters: dict[str, Any] = SMALL | {"backbone": "random", "classifier": name, "layer": "conv1,conv2"}
    return classifier_task(ProbeConfig.build(parameters), data, freeze=False)[0]


def test_tests_and_examples_work_under_bf16_autocast(data: Dataset) -> None:
    for name in TASKS:
        task = of_pretext(name, data)
        assert isinstance(task, PretextTask)
        task.module.eval()
        batch = next(ordered_batches(data.test))
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            assert task.evaluate(batch).loss.isfinite(), name
            task.examples(batch)


Maker = Callable[[str, Dataset], Task]
MAKERS: dict[str, Maker] = {**dict.fromkeys(TASKS, of_pretext), **dict.fromkeys(CLASSIFIERS, of_classifier)}


@pytest.mark.parametrize("name", MAKERS)
def test_losses_under_bf16_are_near_those_of_fp32(name: str, data: Dataset) -> None:
    fp32, bf16 = (losses(MAKERS[name](name, data), data, RATES.get(name, 0.002), bf16=bf16) for bf16 in (False, True))
    assert bf16.isfinite().all()
    assert not torch.equal(fp32, bf16)  # it was bf16
    assert (bf16 - fp32).abs().max() < 0.1 * fp32.abs().max()
    assert (bf16[0] - fp32[0]).abs() < 0.02 * fp32[0].abs()

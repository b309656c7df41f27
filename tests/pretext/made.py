"""Small datasets of made images for tests of pretext tasks, and what their networks read."""

from typing import Any

import torch
from torch import nn

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Batch, Loader, ordered_batches
from rotnet_lib.data.split import Split
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.pretext import TASKS, make_task
from rotnet_lib.pretext.task import PretextTask, task_options
from rotnet_lib.seeds import seeded


def made_data(images: torch.Tensor) -> Dataset:
    """Images (N, S, S, 3) uint8 as a dataset of two classes."""
    split = Split(images, torch.arange(len(images)) % 2)
    return Dataset("made", "made", ("one", "two"), images.shape[1], "", (127.5,) * 3, (73.6,) * 3, split, split)


def random_data(side: int, count: int = 6) -> Dataset:
    rng = torch.Generator().manual_seed(0)
    return made_data(torch.randint(0, 256, (count, side, side, 3), generator=rng, dtype=torch.uint8))


def made_task(name: str, data: Dataset, arch: str = "nin3", **options: Any) -> Any:
    """A task on a narrow backbone, always the same."""
    with seeded(0):
        inputs = TASKS[name].inputs_of(task_options(name, options))
        backbone = make_backbone(arch, width=0.05, mean=data.mean, std=data.std, inputs=inputs)
        return make_task(name, backbone, data, options)


def batch_of(data: Dataset, size: int = 6) -> Batch:
    """A training batch, not augmented."""
    return next(Loader(data.train, size, seed=0, augment="none").epoch(0))


def read_by(module: nn.Module, task: PretextTask, batch: Batch) -> torch.Tensor:
    """What a module of a task's network gets in a training step."""
    seen: list[torch.Tensor] = []
    hook = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    task.step(batch)
    hook.remove()
    (found,) = seen
    return found


def shown_in_tests(task: PretextTask, data: Dataset, size: int) -> torch.Tensor:
    """All that a task's network gets of the test images, in batches of a size."""
    seen: list[torch.Tensor] = []
    task.module.eval()
    hook = task.module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    for batch in ordered_batches(data.test, size):
        task.evaluate(batch)
    hook.remove()
    return torch.cat(seen)

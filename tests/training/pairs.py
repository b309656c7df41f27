"""What two processes compute together, each its part, for `test_collectives`."""

import contextlib
import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Batch, Loader
from rotnet_lib.data.split import Split
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.pretext import TASKS, make_task
from rotnet_lib.pretext.task import task_options
from rotnet_lib.seeds import seeded
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.training import collectives
from rotnet_lib.training.image_pass import ImagePass
from rotnet_lib.training.resume import ResumeState
from rotnet_lib.training.trainer import Trainer
from tests.training.toys import Adversaries

CPU = torch.device("cpu")
NORMS = {
    "maps": (nn.BatchNorm2d(3), (8, 3, 5, 4)),
    "vectors": (nn.BatchNorm1d(6), (8, 6)),
    "vectors in parts of 5 and 4": (nn.BatchNorm1d(6), (9, 6)),
    "maps without affine": (nn.BatchNorm2d(3, affine=False, momentum=0.3), (8, 3, 2, 2)),
}
"""Batch norms, and the shape of a whole batch."""

_SMALLER: dict[str, dict[str, Any]] = {"jigsaw": {"permutations": 20}}
"""Options of tasks that are slow to make."""

TRAININGS: dict[str, tuple[str, dict[str, Any], int]] = {
    **{f"task {name}": (name, _SMALLER.get(name, {}) | dict(TASKS[name].same_in_processes), 20) for name in TASKS},
    "context encoder, an adversary": ("context-encoder", {"dropout": 0.0, "adversary": 0.1}, 20),
    "three batches of tests": ("rotation", {}, 260),
    "decoupling, sampled negatives": ("decoupling", {"dimension": 4, "negatives": 16}, 20),
    "decoupling, full softmax": ("decoupling", {"dimension": 4, "negatives": None}, 20),
}
"""Task, its options, test images: every task there is, and what else differs between processes.

Twenty test images are one batch, which one process has; the other tests none.
"""


def both(rank: int, folder: str) -> None:
    """Process `rank` of two: compute, and leave what was found in `folder`."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    found: dict[str, Any] = {
        "gathered": collectives.all_gather({"process": rank}),
        "norms": {name: normalise(name) for name in NORMS},
        "embeddings": of_all(),
        "rows": {count: every_row(count) for count in (300, 20)},
        "trained": {name: train(Path(folder) / f"resume-{rank}-{number}", name) for number, name in enumerate(TRAININGS)},
    }
    found["adversaries"] = [
        play(Path(folder) / f"play-{how}", interrupted=how == "interrupted") for how in ("whole", "interrupted")
    ]
    collectives.all_gather(None)  # both have trained
    found["files"] = {path.name for path in Path(folder).glob("resume*")}
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def normalise(name: str) -> dict[str, torch.Tensor]:
    """Two batches through a norm, this process's part of each, forward and back.

    Returns the output, the gradients and the running statistics after the second, and the output in evaluation mode.
    """
    rank, processes = collectives.rank_and_world_size()
    norm, shape = NORMS[name]
    module = nn.Sequential(copy.deepcopy(norm)).double()
    if processes > 1:
        collectives.synchronize_batch_norm(module, CPU)
    rng = torch.Generator().manual_seed(1)
    for _ in range(2):
        module.zero_grad()
        whole, slope = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))
        images = (3 * whole + 100).chunk(processes)[rank].requires_grad_()
        output = module(images)
        (output * slope.chunk(processes)[rank]).sum().backward()
    assert images.grad is not None
    gradients = {f"gradient.{n}": p.grad for n, p in module.named_parameters() if p.grad is not None}
    found = {"output": output, "gradient": images.grad, "evaluated": module.eval()(images)} | gradients
    return {key: value.detach() for key, value in (found | module.state_dict()).items()}


def of_all() -> tuple[torch.Tensor, torch.Tensor]:
    """The rows and indices of a batch of six, of which this process has its part; image 30 was left out as damaged."""
    rank, processes = collectives.rank_and_world_size()
    places = torch.arange(6).chunk(processes)[rank]
    places = places[places != 3]
    index = 10 * places
    batch = Batch(torch.zeros(len(places), 3, 8, 8), index, index, index, torch.Generator(), places, 6)
    return collectives.all_gather_rows(batch, torch.stack([places + 0.5, -1.0 * places], 1), index)


def train(resume: Path, name: str) -> tuple[list[dict[str, float]], dict[str, Any], dict[str, Any]]:
    """Training in float64, in which rounding does not grow: history, weights and memory bank, shares of right answers."""
    kind, options, tests = TRAININGS[name]
    train, test = random_split(40, 0), random_split(tests, 1)
    data = Dataset("random", "random", ("one", "two"), 16, "", (127.5,) * 3, (73.6,) * 3, train, test)
    config = PretrainConfig.build({"dataset": "shapes", "device": "cpu", "epochs": 2, "batch_size": 16})
    with seeded(collectives.rank_and_world_size()[0], "weights"):  # other weights in each process: the first one's count
        arch, inputs = (*TASKS[kind].archs, "nin3")[0], TASKS[kind].inputs_of(task_options(kind, options))
        backbone = make_backbone(arch, width=0.05, mean=data.mean, std=data.std, inputs=inputs)
        task = make_task(kind, backbone, data, options)
    task.module.double()
    loader = Loader(train, 16, seed=0, augment="pad-crop", share=collectives.rank_and_world_size())
    trainer = Trainer(task, loader, test, config, ResumeState(resume), CPU)
    history = trainer.fit()
    shares = {metric: asdict(share) for metric, share in trainer.gather_shares().items()}
    return history, task.module.state_dict() | dict(task.module.named_buffers()), shares


def every_row(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean colour of each of so many images: of 20, which are one batch, one process reads none."""
    return ImagePass(random_split(count, 0), nn.Identity()).gather(lambda batch: batch.images.float().mean(dim=(2, 3)))


def play(resume: Path, *, interrupted: bool) -> dict[str, torch.Tensor]:
    """What two players with an Adam each learn in four epochs, in one go or interrupted after two."""
    config = PretrainConfig.build({"dataset": "shapes", "device": "cpu", "epochs": 4, "batch_size": 16, "lr": 0.01})

    def trained(task: Adversaries) -> dict[str, torch.Tensor]:
        loader = Loader(random_split(40, 0), 16, seed=0, augment="none", share=collectives.rank_and_world_size())
        Trainer(task, loader, random_split(20, 1), config, ResumeState(resume), CPU).fit()
        return task.module.state_dict()

    if interrupted:
        with contextlib.suppress(KeyboardInterrupt):
            trained(Adversaries(stop=2))
        collectives.all_gather(None)  # the first process has written the state
    return trained(Adversaries())


def random_split(count: int, seed: int) -> Split:
    rng = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 16, 16, 3), generator=rng, dtype=torch.uint8)
    return Split(images, torch.arange(count) % 2)

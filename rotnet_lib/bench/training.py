"""How fast this machine trains, against what its matrix units can do."""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from rotnet_lib.bench.timing import matmul_rate, seconds_each
from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Batch, Loader, ordered_batches
from rotnet_lib.data.source import DATASETS
from rotnet_lib.data.split import Split
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.runs.provenance import device_name
from rotnet_lib.stages.pretrain import PretrainConfig, pretext_task
from rotnet_lib.temporary import temporary_folder
from rotnet_lib.training.devices import autocast, in_bf16, select_device
from rotnet_lib.training.resume import ResumeState
from rotnet_lib.training.task import Task
from rotnet_lib.training.trainer import Trainer

USUAL_TASK = "rotation"
"""The task that others are measured beside."""

_CPU_BATCH = 32
"""Images a step at most on a CPU, where a step of the protocol's batch may take a minute."""


@dataclass(frozen=True)
class TrainingRates:
    """What a task's training costs on random images in memory.

    Attributes:
        inputs: network inputs a step, rotated copies counted.
        images: images a step.
        step: seconds of a training step.
        load: seconds of a batch from the loader, which `step` includes.
        test: seconds of evaluating the images of one step.
        flops: of an input, forward and backward.
    """

    inputs: int
    images: int
    step: float
    load: float
    test: float
    flops: float


def report(seconds: float, *, arch: str, width: float, compile: bool, task: str = USUAL_TASK) -> str:
    """Measure pretext training on random images of the size the arch's protocol has.

    Args:
        seconds: how long training is measured, after its warm-up; loader and matmul get a quarter of that each.
        arch: of the backbone.
        width: factor on the backbone's channels.
        compile: through torch.compile.
        task: which is trained; another than rotation is shown beside that.

    Returns:
        Inputs a second, the share of the matmul rate that this is, and the loader's share of a step.

    Raises RotnetError for an unknown arch or task, and as the task does for images of that size.
    """
    lines: list[str] = []
    for name in dict.fromkeys((task, USUAL_TASK)):
        config = PretrainConfig.build({"arch": arch, "width": width, "compile": compile, "task": name})
        device = select_device(config)
        data = random_data(config, device)
        rates = measure(config, pretext_task(config, data)[0], data, seconds, device)
        if not lines:
            matmul = matmul_rate(seconds / 4, device)
            precision = "bf16" if in_bf16(device) else "fp32"
            lines.append(
                f"{device_name(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}; "
                f"{precision} matmul: {matmul / 1e12:.3f} TFLOP/s"
            )
        lines += _lines(config, data, rates, matmul)
    return "\n".join(lines)


def _lines(config: PretrainConfig, data: Dataset, rates: TrainingRates, matmul: float) -> list[str]:
    """What was measured of one task; `matmul` in FLOP/s."""
    rate, each = rates.inputs / rates.step, rates.inputs // rates.images
    return [
        f"{config.task} on {config.arch}, width {config.width:g}, {data.image_size} pixels, batch {rates.images}"
        f"{f' x {each}' if each > 1 else ''}{', compiled' if config.compile else ''}: {rate:,.0f} inputs/s, "
        f"{rates.images / rates.step:,.0f} images/s ({rates.step * 1e3:.1f} ms a step)",
        f"  arithmetic: {rates.flops / 1e9:.3f} GFLOP an input, forward and backward: {rate * rates.flops / 1e12:.3f} TFLOP/s, "
        f"{100 * rate * rates.flops / matmul:.0f} % of the matmul rate",
        f"  loader in memory (gather, crop, flip on the device): {rates.load * 1e3:.2f} ms, "
        f"{100 * rates.load / rates.step:.1f} % of a step",
    ]


def random_data(config: TrainingConfig, device: torch.device) -> Dataset:
    """A dataset of random pixels of the size and with as many classes as the config's has, a few batches long."""
    source = DATASETS[config.dataset.partition(":")[0]]
    size = config.image_size or source.usual_size
    side = round(size / config.crop_pct)
    count = 4 * config.batch_size if device.type != "cpu" else 4 * _CPU_BATCH
    classes = tuple(map(str, range(source.published.classes if source.published else 10)))
    rng = torch.Generator(device).manual_seed(0)
    images = torch.randint(0, 256, (count, side, side, 3), generator=rng, device=device, dtype=torch.uint8)
    split = Split(images, torch.arange(count, device=device) % len(classes), size)
    return Dataset("random", "random pixels", classes, size, "", (127.5,) * 3, (73.6,) * 3, split, split)


def measure(
    config: TrainingConfig, task: Task, data: Dataset, seconds: float, device: torch.device, *, channels_last: bool = True
) -> TrainingRates:
    """Time the training steps of a task, and its evaluation, for `seconds` and a quarter of them.

    `channels_last` is the memory format of the weights, as runs have it; of batches it is in any case.
    """
    task.module.to(device, memory_format=torch.channels_last if channels_last else torch.contiguous_format)  # type: ignore[call-overload]
    batch_size = config.batch_size if device.type != "cpu" else min(config.batch_size, _CPU_BATCH)
    loader = Loader(data.train, batch_size * task.batch_copies, seed=0, augment=config.augment, copies=task.copies)
    with temporary_folder(Path(tempfile.gettempdir())) as folder:
        trainer = Trainer(task, loader, data.test, config, ResumeState(folder / "resume"), device)
        batches = _endless(loader)  # no epoch is started: a task may want to look at more images than there are
        task.module.train()
        # Uncompiled: torch 2.11 never again compiles a function that it meets first under the counter. The stance costs
        # seconds, since it imports the compiler, so it is taken only where something is compiled.
        eager = torch.compiler.set_stance("force_eager") if config.compile else nullcontext()
        with eager, FlopCounterMode(display=False) as counter:
            inputs = trainer.step(next(batches), config.lr).inputs
        flops = counter.get_total_flops() / inputs
        step = seconds_each(lambda: trainer.step(next(batches), config.lr), seconds, device)
    load = seconds_each(lambda: next(batches), seconds / 4, device)
    task.module.eval()
    batch = next(ordered_batches(data.test, batch_size))

    @torch.inference_mode()
    def evaluate() -> None:
        with autocast(device):
            task.evaluate(batch)

    test = seconds_each(evaluate, seconds / 4, device)
    return TrainingRates(inputs, batch_size, step, load, test, flops)


def _endless(loader: Loader) -> Iterator[Batch]:
    return itertools.chain.from_iterable(map(loader.epoch, itertools.count()))

"""How fast this machine trains, against what its matrix units can do."""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from rotnet_lib.data.dataset import Dataset, Split
from rotnet_lib.data.loader import Batch, Loader
from rotnet_lib.models import make_backbone
from rotnet_lib.pretext import make_task
from rotnet_lib.provenance import device_name
from rotnet_lib.training.checkpoints import ResumeState
from rotnet_lib.training.devices import select_device
from rotnet_lib.training.pretrain import PretrainConfig
from rotnet_lib.training.trainer import Trainer

_CLASSES = tuple("0123456789")


def report(seconds: float, *, width: float, compile: bool) -> str:
    """Measure pretext training of the 4-block NIN, batch 128 x 4 rotations, on random 32 x 32 images.

    Args:
        seconds: how long training is measured, after its warm-up; loader and matmul get a quarter of that each.
        width: factor on the backbone's channels.
        compile: through torch.compile.

    Returns:
        Inputs (rotated images) a second, the share of the matmul rate that this is, and the loader's share of a step.
    """
    config = PretrainConfig.build({"width": width, "compile": compile})
    device = select_device(config)
    split = _random_split(50_000 if device.type == "cuda" else 2_048, device)
    data = Dataset("random", "random pixels", _CLASSES, 32, "", (127.5,) * 3, (73.6,) * 3, split, split)
    task = make_task(config.task, make_backbone(config.arch, width=width, mean=data.mean, std=data.std), data, {})
    task.module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    loader = Loader(split, config.batch_size, seed=0, augment=True)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(task, loader, split, config, ResumeState(Path(folder) / "resume"), device)
        batches = _endless(loader)
        with FlopCounterMode(display=False) as counter:
            inputs = trainer.step(next(batches), config.lr).inputs
        flops = counter.get_total_flops() / inputs
        step = _seconds_each(lambda: trainer.step(next(batches), config.lr), seconds, device)
    load = _seconds_each(lambda: next(batches), seconds / 4, device)
    matmul = _matmul_rate(seconds / 4, device)
    rate = inputs / step
    precision = "bf16" if device.type == "cuda" else "fp32"
    return "\n".join(
        (
            f"{device_name(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}",
            f"pretext training, {config.arch} width {width:g}, batch {config.batch_size} x 4{', compiled' if compile else ''}: "
            f"{rate:,.0f} rotated images/s ({step * 1e3:.1f} ms a step)",
            f"arithmetic: {flops / 1e9:.3f} GFLOP an image, forward and backward: {rate * flops / 1e12:.3f} TFLOP/s, "
            f"{100 * rate * flops / matmul:.0f} % of the {precision} matmul rate measured here ({matmul / 1e12:.3f} TFLOP/s)",
            f"loader (gather, crop, flip on the device): {load * 1e3:.2f} ms, {100 * load / step:.1f} % of a step",
        )
    )


def _random_split(count: int, device: torch.device) -> Split:
    rng = torch.Generator(device).manual_seed(0)
    images = torch.randint(0, 256, (count, 32, 32, 3), generator=rng, device=device, dtype=torch.uint8)
    return Split(images, torch.arange(count, device=device) % len(_CLASSES))


def _endless(loader: Loader) -> Iterator[Batch]:
    return itertools.chain.from_iterable(map(loader.epoch, itertools.count()))


def _matmul_rate(seconds: float, device: torch.device) -> float:
    """FLOP/s of a large square product of random matrices, in the precision that training multiplies in."""
    size, dtype = (8192, torch.bfloat16) if device.type == "cuda" else (2048, torch.float32)
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / _seconds_each(lambda: a @ b, seconds, device)


def _seconds_each(call: Callable[[], object], seconds: float, device: torch.device) -> float:
    """Mean seconds of a call, over as many as fit into `seconds`; the device is waited for at the ends only."""
    for _ in range(3):
        call()
    _wait(device)
    begin, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - begin < seconds:
        for _ in range(5 if device.type == "cuda" else 1):
            call()
            calls += 1
        if calls % 50 == 0:
            _wait(device)  # else the queue grows for longer than `seconds`
    _wait(device)
    return (time.perf_counter() - begin) / calls


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

"""What telling images apart costs: the memory bank of a whole training set, and the loss over it."""

import torch

from rotnet_lib.bench.timing import seconds_each
from rotnet_lib.bench.training import measure, random_data
from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Loader
from rotnet_lib.data.source import DATASETS
from rotnet_lib.pretext import Decoupling
from rotnet_lib.pretext.memory_bank import MemoryBank
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.runs.provenance import device_name
from rotnet_lib.stages.pretrain import PretrainConfig, pretext_task
from rotnet_lib.training.devices import select_device


def report(seconds: float, *, arch: str, width: float) -> str:
    """Measure a step of `decoupling` with its bank as large as the training set of the arch's protocol, and without L_n.

    Args:
        seconds: how long each kind of step is measured, after its warm-up; L_n alone gets a quarter of that.
        arch: of the backbone.
        width: factor on the backbone's channels.

    Returns:
        The bank's size, the time of L_n alone (forward, backward, update), and its share of a training step.
    """
    settings = {"arch": arch, "width": width, "task": "decoupling"}
    config = PretrainConfig.build(settings)
    device = select_device(config)
    data = random_data(config, device)
    published = DATASETS[config.dataset].published
    assert published is not None
    task = _with_bank(config, data, published.train)
    step = measure(config, task, data, seconds, device).step
    bank, options = task.module.bank, task.options
    alone = _loss_alone(config, task, data, seconds / 4, device)
    without = PretrainConfig.build(settings | {"task_options": {"lambda_n": 0}})
    plain = measure(without, pretext_task(without, data)[0], data, seconds, device)
    size = sum(buffer.numel() * buffer.element_size() for buffer in bank.buffers())
    lines = [
        f"{device_name(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        f"memory bank of {config.dataset}: {len(bank):,} x {options.dimension} numbers, {size / 2**20:.1f} MiB",
        f"L_n of {plain.images} images (NCE, {options.negatives} negatives each; forward, backward, update): "
        f"{alone * 1e3:.2f} ms, {100 * alone / step:.1f} % of a training step",
        f"a training step of decoupling, {arch} width {width:g}, batch {plain.images} x {plain.inputs // plain.images}: "
        f"{step * 1e3:.1f} ms with L_n, {plain.step * 1e3:.1f} ms without",
    ]
    if device.type == "cuda":
        lines.append(f"largest memory of the device in all this: {torch.cuda.max_memory_allocated(device) / 2**20:,.0f} MiB")
    return "\n".join(lines)


def _with_bank(config: PretrainConfig, data: Dataset, images: int) -> Decoupling:
    """The task with a bank of that many images, all of them seen."""
    task, _ = pretext_task(config, data)
    assert isinstance(task, Decoupling)
    bank = MemoryBank(images, task.options.dimension)
    bank.memory.copy_(torch.nn.functional.normalize(torch.randn_like(bank.memory), dim=1))
    bank.seen.fill_(True)
    task.module.bank = bank
    return task


def _loss_alone(config: TrainingConfig, task: Decoupling, data: Dataset, seconds: float, device: torch.device) -> float:
    """Seconds of L_n on the features of a batch like `measure`'s, forward, backward and update."""
    batch = next(Loader(data.train, len(data.train) // 4, seed=0, augment=config.augment).epoch(0))
    features = torch.randn(len(batch), task.module.project.in_features, device=device, requires_grad=True)

    def call() -> None:
        task.instance_loss(features, batch).backward()

    return seconds_each(call, seconds, device)

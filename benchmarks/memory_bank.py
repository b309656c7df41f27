"""Cost of instance discrimination: the memory bank of a whole training set, and the loss over it.

.venv/bin/python benchmarks/memory_bank.py --arch alexnet
"""

from collections.abc import Callable
from dataclasses import dataclass

import click
import torch

from rotnet_lib.bench.timing import seconds_each
from rotnet_lib.bench.training import TrainingRates, measure, random_data
from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Loader
from rotnet_lib.data.source import DATASETS
from rotnet_lib.pretext.decoupling import Decoupling
from rotnet_lib.pretext.parts.memory_bank import MemoryBank
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.runs.provenance import device_name
from rotnet_lib.stages.pretrain import PretrainConfig, pretext_task
from rotnet_lib.training.devices import select_device


@dataclass(frozen=True)
class BankRates:
    """Size of a memory bank, and the time of the training steps that use it.

    Attributes:
        device: name of the device.
        dataset: whose training set the bank is as large as.
        images: vectors in the bank.
        dimension: numbers in a vector.
        size: bytes of the bank.
        negatives: drawn for each image by the loss; None: the full softmax.
        batch: images in a training step.
        copies: rotated copies of each of them.
        loss: seconds of L_n alone: forward, backward and the update of the bank.
        step: seconds of a training step with L_n.
        plain: seconds of a training step without it.
        peak: bytes of the device's memory at most; None on a CPU.
    """

    device: str
    dataset: str
    images: int
    dimension: int
    size: int
    negatives: int | None
    batch: int
    copies: int
    loss: float
    step: float
    plain: float
    peak: int | None = None


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--arch", default="nin4", show_default=True, help="The backbone that is trained; its protocol says which dataset."
)
@click.option("--width", default=1.0, show_default=True, help="Factor on the backbone's channels.")
@click.option("--seconds", default=10.0, show_default=True, help="How long each kind of step is measured.")
def main(arch: str, width: float, seconds: float) -> None:
    """Time of L_n beside a training step of `decoupling`, with a bank as large as the training set of the arch's protocol."""
    click.echo(report(bank_rates(seconds, arch=arch, width=width), arch, width))


def report(rates: BankRates, arch: str, width: float) -> str:
    """The rates in sentences, with the share of L_n in a training step."""
    lines = [
        f"{rates.device}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        f"memory bank of {rates.dataset}: {rates.images:,} x {rates.dimension} numbers, {rates.size / 2**20:.1f} MiB",
        f"L_n of {rates.batch} images (NCE, {rates.negatives} negatives each; forward, backward, update): "
        f"{rates.loss * 1e3:.2f} ms, {100 * rates.loss / rates.step:.1f} % of a training step",
        f"a training step of decoupling, {arch} width {width:g}, batch {rates.batch} x {rates.copies}: "
        f"{rates.step * 1e3:.1f} ms with L_n, {rates.plain * 1e3:.1f} ms without",
    ]
    if rates.peak is not None:
        lines.append(f"largest memory of the device in all this: {rates.peak / 2**20:,.0f} MiB")
    return "\n".join(lines)


def bank_rates(seconds: float, *, arch: str, width: float, measure: Callable[..., TrainingRates] = measure) -> BankRates:
    """Measure a step of `decoupling` with its bank as large as the training set of the arch's protocol, and without L_n.

    Args:
        seconds: how long each kind of step is measured, after its warm-up; L_n alone gets a quarter of that.
        arch: of the backbone.
        width: factor on the backbone's channels.
        measure: takes the time of a training step; see `rotnet_lib.bench.training.measure`.
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
    return BankRates(
        device=device_name(device),
        dataset=config.dataset,
        images=len(bank),
        dimension=options.dimension,
        size=sum(buffer.numel() * buffer.element_size() for buffer in bank.buffers()),
        negatives=options.negatives,
        batch=plain.images,
        copies=plain.inputs // plain.images,
        loss=alone,
        step=step,
        plain=plain.step,
        peak=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    )


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


if __name__ == "__main__":
    main()

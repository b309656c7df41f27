"""What to run first on a machine with a GPU: whether it computes what the CPU does, how fast, and what bounds it. Minutes.

make rehearse-gpu
"""

import gc
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch

from rotnet_lib.bench.timing import matmul_rate
from rotnet_lib.bench.training import TrainingRates, measure, random_data
from rotnet_lib.runs.provenance import device_name
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.pretrain import PretrainConfig, pretext_task
from rotnet_lib.temporary import temporary_folder
from rotnet_lib.training.devices import select_device

TOLERANCE = 6.0
"""Percentage points that an accuracy may differ from the CPU's. Precision and kernels differ, and so the course of a training
does: of 1 000 test images the difference of two such accuracies has a standard deviation of up to 2.2.
"""

LEARNED = {
    "rotation": ("pretrain", "rotation_top1", {"arch": "nin3", "width": 0.25, "epochs": 3, "lr": 0.05}),
    "labels": ("pretrain", "top1", {"arch": "nin3", "width": 0.25, "epochs": 4, "lr": 0.05, "task": "labels"}),
    "probe": ("probe", "conv2_top1", {"backbone": "rotation", "layer": "conv2", "epochs": 3}),
    "finetune": ("finetune", "conv2_top1", {"backbone": "rotation", "layer": "conv2", "epochs": 3, "lr": 0.05}),
}
"""A tiny suite, trained on both: stage, metric, parameters. A backbone is that of an entry before."""

_DATA = {"dataset": "shapes", "train_size": 2000, "test_size": 1000, "batch_size": 32, "schedule": "one-cycle"}

_CPU_WIDTH = 0.125
"""Factor on the channels where there is no GPU: a CPU takes minutes for a step of a whole AlexNet."""


@dataclass(frozen=True)
class Variant:
    """A way to train that is measured.

    Attributes:
        arch: of the backbone, with the batch and the image size of its protocol.
        compiled: through torch.compile.
        channels_last: whether the weights are in that memory format; batches are.
        rates: what a step costs.
        peak: bytes of the device's memory at most; None where the device does not count.
    """

    arch: str
    compiled: bool
    channels_last: bool
    rates: TrainingRates
    peak: int | None

    @property
    def rate(self) -> float:
        """Rotated images a second."""
        return self.rates.inputs / self.rates.step

    def bound(self, matmul: float) -> str:
        """What bounds a step, by its share of the matmul rate (FLOP/s) and the loader's share of it."""
        if self.rates.load > 0.2 * self.rates.step:
            return "loader"
        return "arithmetic" if self.rate * self.rates.flops > 0.3 * matmul else "launches and memory"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seconds", default=4.0, show_default=True, help="How long each way to train is measured.")
@click.option(
    "--width", type=float, help=f"Factor on the backbones' channels, of the speeds.  [default: 1; without a GPU {_CPU_WIDTH:g}]"
)
def main(seconds: float, width: float | None) -> None:
    """Compare the device that `auto` takes with the CPU, and measure its speed, each way to train."""
    device = select_device(PretrainConfig.build({}))
    click.echo(f"{device_name(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    if device.type == "cpu":
        click.echo("torch sees no GPU (`rotnet doctor` tells more): what follows compares the CPU with itself.")
    width = width or (_CPU_WIDTH if device.type == "cpu" else 1.0)
    apart = list(compared())
    figures = [[name, f"{cpu:.2f}", f"{here:.2f}", f"{here - cpu:+.2f}"] for name, cpu, here in apart]
    for line in table(("accuracy, percent", "CPU", device.type, "apart"), figures):
        click.echo(line)
    matmul = matmul_rate(seconds / 4, device)
    click.echo(f"matmul: {matmul / 1e12:.2f} TFLOP/s; backbones of width {width:g}")
    head = ("arch", "compiled", "weights channels last", "rotated images/s", "loader", "of matmul", "memory", "bound by")
    for line in table(head, []):
        click.echo(line)
    for variant in variants(seconds, width, device):  # printed one by one: one that fails does not cost the others
        peak = "" if variant.peak is None else f"{variant.peak / 2**20:,.0f} MiB"
        share = f"{100 * variant.rate * variant.rates.flops / matmul:.0f} %"
        loader = f"{100 * variant.rates.load / variant.rates.step:.1f} %"
        way = (variant.arch, "yes" if variant.compiled else "no", "yes" if variant.channels_last else "no")
        click.echo(row([*way, f"{variant.rate:,.0f}", loader, share, peak, variant.bound(matmul)]))
    if far := [name for name, on_cpu, there in apart if abs(there - on_cpu) > TOLERANCE]:
        raise click.ClickException(f"further than {TOLERANCE:g} points from the CPU's figures: {', '.join(far)}.")
    click.echo("Send all of this back, with the commit: docs/results.md has a place for it under `Not measured yet`.")


def compared() -> Iterator[tuple[str, float, float]]:
    """Name, and the last accuracy in percent on the CPU and on the device that `auto` takes, of each entry of `LEARNED`."""
    with temporary_folder(Path(tempfile.gettempdir())) as folder:
        made: dict[tuple[str, str], str] = {}
        for name, (stage, metric, parameters) in LEARNED.items():
            figures = []
            for device in ("cpu", "auto"):
                given: dict[str, Any] = _DATA | parameters | {"device": device, "runs": str(folder / device)}
                if "backbone" in given:
                    given["backbone"] = made[given["backbone"], device]
                outcome = STAGES[stage].run(STAGES[stage].config.build(given))
                outcome.save()
                made[name, device] = outcome.directory.name
                figures.append(outcome.result.metrics[metric].last)
            yield name, figures[0], figures[1]


def variants(seconds: float, width: float, device: torch.device) -> Iterator[Variant]:
    """Each way to train, measured: NIN-4 and AlexNet, compiled and not, channels last and not."""
    for arch in ("nin4", "alexnet"):
        for compiled in (False, True) if device.type == "cuda" else (False,):
            for channels_last in (True, False):
                torch.compiler.reset()  # else AlexNet would be compiled for any size, after NIN
                gc.collect()  # a compiled module holds its memory until then
                config = PretrainConfig.build({"arch": arch, "width": width, "compile": compiled})
                data = random_data(config, device)
                task, _ = pretext_task(config, data)
                if device.type == "cuda":
                    torch.cuda.reset_peak_memory_stats(device)
                rates = measure(config, task, data, seconds, device, channels_last=channels_last)
                peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
                yield Variant(arch, compiled, channels_last, rates, peak)


def table(head: tuple[str, ...], rows: list[list[str]]) -> Iterator[str]:
    """Lines of a table in Markdown, as docs/results.md has them."""
    yield row(head)
    yield f"|{' --- |' * len(head)}"
    yield from map(row, rows)


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()

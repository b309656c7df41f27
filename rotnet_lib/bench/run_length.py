"""How long a run would take on this machine: measured, before it begins, where its schedule is large."""

import json
import subprocess
import sys

from rotnet_lib.data.source import DATASETS
from rotnet_lib.runs.config import RunConfig, TrainingConfig
from rotnet_lib.stages import STAGES
from rotnet_lib.voc.config import VocConfig

_WORTH_MEASURING = 6e7
"""Input pixels trained on, times the network's width, from which a run's speed is measured.

A rough bound, chosen so that the runs of the preset `quick` start at once and the paper's schedules are measured.
"""

_LONG = 10 / 60
"""Hours from which the user is told."""

_SECONDS = 1.0
"""How long training is measured."""


def is_large(config: RunConfig) -> bool:
    """Whether a run may well take more than ten minutes, judged by the numbers in its config and the size of its data alone."""
    width = getattr(config, "width", 1.0)
    if isinstance(config, VocConfig):
        return config.iterations * config.batch_size * config.side**2 * width > _WORTH_MEASURING
    if not isinstance(config, TrainingConfig) or not config.by_epochs:
        return False
    options = getattr(config, "task_options", {"angles": [0]})
    copies = len(options.get("angles", [0, 0]))  # a task without angles shows an image once or twice
    side = config.image_size or DATASETS[config.dataset.partition(":")[0]].usual_size
    return config.epochs * config.data.counts()[0] * copies * side**2 * width > _WORTH_MEASURING


def say(config: RunConfig) -> str | None:
    """A sentence on how long a run takes here, from its beginning to its end; None if that is less than ten minutes.

    The speed is measured by a process of its own, for a few seconds: a process that has used a GPU keeps some of its memory.
    """
    if not is_large(config):
        return None
    if isinstance(config, VocConfig):
        return (
            f"a long schedule: {config.iterations:,} iterations of {config.batch_size} images (what one takes is not measured "
            "here)."
        )
    assert isinstance(config, TrainingConfig)
    if config.gpus > 1:
        images = config.trained_images(config.data.counts()[0])
        return f"a long schedule: {config.epochs} epochs of {images:,} images on {config.gpus} processes (not measured here)."
    print("a long schedule: measuring for some seconds how fast this machine is ...", flush=True)
    command = [sys.executable, "-m", __name__, config.stage]
    measured = subprocess.run(command, input=config.model_dump_json(), capture_output=True, text=True)
    if measured.returncode:
        reason = (measured.stderr.strip().splitlines() or [f"exit code {measured.returncode}"])[-1]
        return f"how long this takes could not be measured: {reason}"
    hours, rate, device = json.loads(measured.stdout.splitlines()[-1])
    return sentence(config, hours, rate, device)


def sentence(config: TrainingConfig, hours: float, rate: float, device: str) -> str | None:
    """What `say` says.

    Args:
        config: the run's.
        hours: from beginning to end.
        rate: training images a second.
        device: its name.
    """
    if hours < _LONG:
        return None
    length = f"{hours:.1f} hours" if hours >= 1.5 else f"{60 * hours:.0f} minutes"
    read = "; reading its files is not counted" if config.stream else ""
    images = config.trained_images(config.data.counts()[0])
    return (
        f"about {length} on this machine ({device}): {config.epochs} epochs of {images:,} images "
        f"at {rate:,.0f} per second{read}."
    )


def main(stage: str) -> None:
    """Measure the run whose config stands on standard input; prints hours, training images a second and the device's name."""
    from rotnet_lib.bench.estimate import hours_of_run
    from rotnet_lib.runs.provenance import device_name
    from rotnet_lib.training.devices import select_device

    config = STAGES[stage].config.model_validate_json(sys.stdin.read())
    assert isinstance(config, TrainingConfig)
    device = select_device(config)
    hours, rate = hours_of_run(config, config.data.counts(), _SECONDS, device)
    print(json.dumps([hours, rate, device_name(device)]))


if __name__ == "__main__":
    main(sys.argv[1])

"""The result of a run: built from its figures, held in memory by a stage, saved by its notebook before anything is drawn."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rotnet_lib.lazy import torch
from rotnet_lib.runs import provenance
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.directory import RunDirectory, now
from rotnet_lib.runs.schema import DataRecord, MetricValue, RunResult, TrainingRecord
from rotnet_lib.runs.unverified import noted


@dataclass(frozen=True)
class StageResult:
    """What a stage's function returns. Stages add what their notebook draws.

    Attributes:
        directory: the run's directory. This process holds its lock until `save`; if several processes train, the one that
            started them holds it.
        result: what `metrics.json` holds or will hold.
    """

    directory: RunDirectory
    result: RunResult

    def save(self) -> None:
        """Finish the run. A stage's notebook calls it right behind the stage's function, before anything is drawn.

        Writes `metrics.json`, which marks the run as finished, if it does not exist yet; releases the lock; prints the
        headline.
        """
        if not self.directory.finished:
            self.directory.save(self.result)
        self.directory.close()
        print(": ".join(filter(None, [self.result.headline, str(self.directory.path)])))


def build_result(
    directory: RunDirectory,
    config: RunConfig,
    *,
    data: DataRecord,
    metrics: Mapping[str, MetricValue],
    by_target: Mapping[str, Mapping[str, float]],
    training: TrainingRecord | None,
    device: torch.device,
    begin: float,
    processes: int = 1,
    packages: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> RunResult:
    """The result of a run that ends now: its figures, with the config, the machine and the time that they took.

    Args:
        directory: the run's.
        config: the stage's.
        data: the images that the run saw.
        metrics: name -> figure.
        by_target: metric -> target's name -> percent.
        training: what was trained, and how fast; None if nothing was.
        device: where the run computed.
        begin: when the stage's function began, by `time.perf_counter`, in seconds.
        processes: how many trained together.
        notes: sentences that belong to the figures.
        packages: whose versions to record, beside the usual ones.
    """
    unknown = metrics.keys() - set(config.metric_names)
    assert not unknown, f"{type(config).__name__}.metric_names lacks {', '.join(sorted(unknown))}"
    return RunResult(
        run=directory.name,
        stage=config.stage,
        parameters=config.model_dump(mode="json"),
        protocol_differences=config.protocol_differences(),
        data=data,
        metrics=dict(metrics),
        by_target={metric: dict(percents) for metric, percents in by_target.items()},
        training=training,
        wall_seconds=time.perf_counter() - begin,
        peak_memory_mib=provenance.peak_memory_mib(),
        environment=provenance.environment(device, processes, packages),
        notes=list(notes),
        finished_at=now(),
        version=config.version,
        execution=[name for name in type(config).model_fields if config.role(name) == "execution"],
        later=config.later_parameters(),
        unverified=noted(),
    )

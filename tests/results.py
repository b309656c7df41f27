"""Results of runs that nothing was computed for, valid as those of finished runs are."""

import json
import re
from typing import Any

from rotnet_lib.report.fragments import script
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.directory import METRICS, REPORT, RunDirectory, directory_of
from rotnet_lib.runs.schema import DataRecord, MetricValue, RunResult
from rotnet_lib.suites.plan import PlannedRun


def made_up_result(directory: RunDirectory, config: RunConfig, fingerprint: str, **fields: Any) -> RunResult:
    """The result of a run that trained nothing.

    Args:
        directory: the run's.
        config: its config.
        fingerprint: of its data, the one that its name was made from.
        fields: in place of those here.
    """
    data = DataRecord(
        name=config.dataset,
        title="made up",
        fingerprint=fingerprint,
        classes=["a", "b"],
        image_size=32,
        train_images=40,
        test_images=20,
    )
    values: dict[str, Any] = {
        "run": directory.name,
        "stage": config.stage,
        "parameters": config.model_dump(mode="json"),
        "protocol_differences": config.protocol_differences(),
        "data": data,
        "metrics": {"top1": MetricValue(last=50.0, best=60.0, best_epoch=1)},
        "by_target": {"top1": {"a": 25.0, "b": 75.0}},
        "training": None,
        "wall_seconds": 2.0,
        "peak_memory_mib": 1,
        "environment": {},
        "finished_at": "2026-11-22 13:19:44 UTC",
        "version": config.version,
        "execution": [name for name in type(config).model_fields if config.role(name) == "execution"],
        "later": config.later_parameters(),
    }
    return RunResult.model_validate(values | fields)


def finish(directory: RunDirectory, config: RunConfig, fingerprint: str, **fields: Any) -> RunResult:
    """Write parameters, result and a page of a run into its directory; see `made_up_result`."""
    directory.open(config)
    result = made_up_result(directory, config, fingerprint, **fields)
    directory.save(result)
    directory.close()
    stand_in_page(directory)
    return result


def stand_in_page(directory: RunDirectory) -> None:
    """A page of a run that was made without its notebook, so that nobody draws one."""
    (directory.path / REPORT).write_text("<p>no notebook was run</p>")


def finished(config: RunConfig, fingerprint: str = "0123") -> RunDirectory:
    """The directory of a config's run, finished, on data with that fingerprint."""
    directory = directory_of(config, fingerprint)
    finish(directory, config, fingerprint)
    return directory


def finish_planned(run: PlannedRun) -> RunResult:
    """Finish a run of a plan that was made with the fingerprints of the data."""
    return finish(run.directory, run.config, run.config.fingerprint())


def forget_checksums(run: RunDirectory) -> None:
    """Make a finished run's result one of those that were written before results carried checksums."""
    path = run.path / METRICS
    document = json.loads(path.read_text())
    for field in ("version", "execution", "unverified", "files", "checksum"):
        del document[field]
    path.write_text(json.dumps(document | {"schema_version": 2}, indent=1))


def fetched(html: str) -> list[str]:
    """What a page would ask of others, and each script in it but the pages' own."""
    scripts = re.findall(r"<script\b(.*?)>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == html.count("<script")
    others = [f"<script{head}>" for head, text in scripts if head or text.strip() != script().strip()]
    return others + re.findall(r"<link\b|<iframe|@import|https?://|url\((?!data:)", html)

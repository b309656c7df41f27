"""A run for tests of run directories, and its result."""

from pathlib import Path
from typing import Any

from rotnet_lib.runs.directory import RunDirectory, directory_of
from rotnet_lib.runs.schema import RunResult
from rotnet_lib.stages.pretrain import PretrainConfig

CONFIG = PretrainConfig.build({"dataset": "shapes", "epochs": 1})
NAME = directory_of(CONFIG, "f").name


def result(**changes: Any) -> RunResult:
    values: dict[str, Any] = {
        "run": NAME,
        "stage": "pretrain",
        "parameters": CONFIG.model_dump(mode="json"),
        "protocol_differences": {"epochs": [100, 1]},
        "data": {
            "name": "shapes",
            "title": "shapes",
            "fingerprint": "f",
            "classes": ["a", "b"],
            "image_size": 32,
            "train_images": 40,
            "test_images": 20,
        },
        "metrics": {"top1": {"last": 50.0, "best": 60.0, "best_epoch": 1}},
        "by_target": {"top1": {"a": 25.0, "b": 75.0}},
        "training": {"epochs": 1, "inputs": 40, "seconds": 1.0, "inputs_per_second": 40.0, "parameters": 7},
        "wall_seconds": 2.0,
        "peak_memory_mib": 1,
        "environment": {},
        "finished_at": "now",
        "version": CONFIG.version,
        "execution": [name for name in PretrainConfig.model_fields if CONFIG.role(name) == "execution"],
        "later": CONFIG.later_parameters(),
    }
    return RunResult.model_validate(values | changes)


def open_run(path: Path, **options: Any) -> RunDirectory:
    directory = RunDirectory(path)
    directory.open(CONFIG, **options)
    return directory

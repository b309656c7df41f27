"""How long runs may take here, by finished runs like them: nothing is measured, and nothing is imported that takes seconds."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rotnet_lib.data.folds import Fold
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.errors import RotnetError
from rotnet_lib.paths import from_project
from rotnet_lib.runs.config import RunConfig, TrainingConfig
from rotnet_lib.runs.directory import finished_runs
from rotnet_lib.stages import STAGES
from rotnet_lib.suites.plan import CollectionPlan, Plan

_NO_MATTER = frozenset(
    (
        *("runs", "max_damaged", "seed", "backbone", "checkpoint", "checkpoints", "others", "compare", "pu_weights", "recipe"),
        *("half", "labels_per_class", "fold", "train_size", "test_size", "validate", "epochs"),
        *("lr", "schedule", "lr_milestones", "lr_decay", "momentum", "weight_decay"),
    )
)
"""Parameters that do not matter for how long a run takes for an image and an epoch."""


def duration(seconds: float) -> str:
    """A length of time for a sentence that says "about": `20 s`, `5 min`, `1.6 h`."""
    if seconds < 55:
        return f"{max(10, 10 * round(seconds / 10))} s"
    return f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{round(seconds / 60)} min"


def seconds_here(plan: Plan | CollectionPlan) -> dict[str, float]:
    """Name of a run -> the seconds that it may take here: those of a finished run like it, by epochs and training images."""
    rates: dict[str, float] = {}
    for run in finished_runs(from_project(plan.options.runs)):
        result = run.result()
        if result.stage in STAGES and (work := work_of(STAGES[result.stage].config, result.parameters)) is not None:
            rates.setdefault(kind_of(STAGES[result.stage].config, result.parameters), result.seconds / work)
    found = {}
    for planned in plan.runs:
        parameters = planned.config.model_dump(mode="json")
        rate = rates.get(kind_of(type(planned.config), parameters))
        if rate is not None and (work := work_of(type(planned.config), parameters)) is not None:
            found[planned.name] = rate * work
    return found


def kind_of(schema: type[RunConfig], parameters: Mapping[str, Any]) -> str:
    """What runs have in common that take the same time for an image and an epoch."""
    return json.dumps([schema.stage, *(parameters.get(name) for name in schema.model_fields if name not in _NO_MATTER)])


def work_of(schema: type[RunConfig], parameters: Mapping[str, Any]) -> float | None:
    """Epochs times the images of an epoch; of a run that trains otherwise 1; None where the number of images is not known."""
    if not issubclass(schema, TrainingConfig):
        return 1.0
    spec = DataSpec(**{field.name: parameters.get(field.name) for field in fields(DataSpec)})  # type: ignore[arg-type]
    try:
        images: float = spec.counts()[0]
    except RotnetError:  # only the data could say, and is not here
        return None
    if fold := parameters.get("fold"):
        images *= 1 - 1 / Fold.parse(fold).parts
    return float(parameters["epochs"] * images)

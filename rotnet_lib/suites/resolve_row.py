"""A run of a suite resolved: its row in the YAML, what the user says, what stands in for its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.protocols import usual_dataset
from rotnet_lib.runs.resolution import AUTO, BACKBONE, PROTOCOL, Resolved, Said
from rotnet_lib.stages import STAGES
from rotnet_lib.suites.overrides import Override
from rotnet_lib.suites.presets import preset_named
from rotnet_lib.suites.resolve import OwnCounts, resolve
from rotnet_lib.suites.suite import Suite

if TYPE_CHECKING:
    from rotnet_lib.suites.plan import Options, PlannedRun


def resolve_row(
    suite: Suite,
    key: str,
    made: Mapping[str, PlannedRun],
    seed: int,
    preset: str,
    options: Options,
    overrides: list[Override],
    count: OwnCounts,
) -> Resolved[RunConfig]:
    """The config of a suite's run, each of its values with its origin.

    Args:
        suite: the suite.
        key: the run's.
        made: the planned runs of the same seed that it may build on, by key.
        seed: the run's.
        preset: its name.
        options: what the user says.
        overrides: what the user's SET says.
        count: see `resolve`.

    Raises RotnetError as `resolve`, and for an override that would contradict the run it builds on.
    """
    run = suite.runs[key]
    schema = STAGES[run.notebook].config
    backbone = made.get(run.backbone or "")
    rows = run.parameters({other: planned.name for other, planned in made.items()})
    if run.backbone:
        rows["backbone"] = backbone.name if backbone else run.backbone
    # A dataset that the suite itself names is not the protocol's: the user's does not replace it, but the preset may.
    own = own_dataset(suite, key)
    replaced = options.dataset if own == usual_dataset(run.notebook, own_arch(suite, key)) else None
    stand_in = Said("")
    if rows.get("dataset") == own:
        if replaced and schema.takes(replaced):
            stand_in = Said("DATASET", {"dataset": replaced})
        elif own in (datasets := preset_named(preset).datasets):
            stand_in = Said(f"preset {preset}", {"dataset": datasets[own]})
    users: dict[str, Any] = {}
    for override in overrides:
        override.apply(key, run, users)
    followed = backbone.config.model_dump() if backbone else {}
    if backbone and followed.get("grey") and "grey" not in schema.model_fields:
        raise RotnetError(
            f"{key} shows colour, and {backbone.key}, which it builds on, would be trained on grey images. "
            f"[{backbone.origins['grey']}]"
        )
    if backbone and any(users.get(name, AUTO) not in (AUTO, BACKBONE, followed[name]) for name in ("arch", "width")):
        raise RotnetError(
            f"SET: {key} builds on {backbone.key}, so its arch and width are those: {followed['arch']}, {followed['width']:g}. "
            f"To change them, set {backbone.key}.arch or {backbone.key}.width."
        )
    decided = [Said("SEEDS", {"seed": seed}), Said("RUNS", {"runs": options.runs})]
    try:
        return resolve(
            run.notebook,
            [Said("SET", users), stand_in, *decided, Said(f"suite {suite.name}", rows)],
            preset=preset,
            dataset=replaced,
            arch=own_arch(suite, key),
            planned={other.name: other.config.model_dump() for other in made.values()},
            count=count,
        )
    except RotnetError as error:
        raise RotnetError(f"run '{key}' of the suite: {error}") from None


def own_dataset(suite: Suite, key: str) -> str:
    """What the suite measures a run on: a dataset that it names, that of the run it builds on, or the protocol's."""
    run = suite.runs[key]
    words = STAGES[run.notebook].config.words("dataset")
    said: str = run.set.get("dataset", AUTO)
    if said not in (AUTO, *words):
        return said
    if said != PROTOCOL and BACKBONE in words and run.backbone in suite.runs:
        return own_dataset(suite, run.backbone)
    return usual_dataset(run.notebook, own_arch(suite, key))


def own_arch(suite: Suite, key: str) -> str:
    """The arch that the suite means for a run. Its benchmark says which data and settings, whatever an override makes of it."""
    run = suite.runs[key]
    schema = STAGES[run.notebook].config
    words = schema.words("arch")
    said: str = run.set.get("arch", AUTO)
    if said not in (AUTO, *words):
        return said
    if run.backbone in suite.runs:
        return own_arch(suite, run.backbone)
    if PROTOCOL in words:
        protocols: str = schema.protocol_for({})["arch"]
        return protocols
    if words:
        raise RotnetError(f"suites/{suite.name}.yaml: run '{key}' builds on no run of the suite, so its arch must be given.")
    default: str = schema.model_fields["arch"].default
    return default

"""A run's parameters resolved: what is said, the backbone's run, the preset, the protocol; each value with its origin."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from rotnet_lib.errors import RotnetError, shown
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.protocols import benchmark_of, kind_of, usual_dataset
from rotnet_lib.runs.resolution import AUTO, NONE, PROTOCOL, Resolved, Said, naming
from rotnet_lib.stages import STAGES
from rotnet_lib.suites.methods import said_of_task
from rotnet_lib.suites.presets import Preset, load_presets, preset_named
from rotnet_lib.training.devices import gpu_name

Config = TypeVar("Config", bound=RunConfig)

OwnCounts = Callable[[type[RunConfig], str], tuple[int, int] | None]

_PRESET = "preset"


def own_counts(schema: type[RunConfig], dataset: str) -> tuple[int, int] | None:
    """See `RunConfig.own_counts`. It lists every file of an image folder."""
    return schema.own_counts(dataset)


def resolve(
    stage: str,
    said: Sequence[Said],
    *,
    preset: str | None = None,
    dataset: str | None = None,
    arch: str | None = None,
    planned: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    count: OwnCounts = own_counts,
) -> Resolved[RunConfig]:
    """The config of a run, each of its values with its origin. Suites, notebooks, command line and child processes use it.

    Args:
        stage: its name.
        said: what is asked for, the strongest first.
        preset: where neither that nor the backbone's run decides; None: the protocol does.
        dataset: in place of the protocol's dataset (`DATASET=`), if the stage takes it.
        arch: whose benchmark says which data and which of the preset's settings; None: the run's own.
        planned: parameters of runs that are not made yet, by name.
        count: how many images the user's own data has: `own_counts`, or what remembers its answers.

    Raises RotnetError for an unknown stage or preset, and as `StageConfig.resolve`.
    """
    schema = STAGES[stage].config
    found = preset_named(preset) if preset else Preset(description="")

    def asked(values: Mapping[str, Any]) -> list[Said]:
        meant = arch or values["arch"]
        if found.only:
            _check_benchmark(str(preset), found.only, meant)
        if "dataset" in values:
            stronger, weaker = said_of_task(values.get("task"), meant, preset)
            settings = found.parameters(stage, meant, kind_of(values), values["dataset"], values.get("backbone"))
            of_preset = Said(f"preset {preset}", _as_many_as_there_are(settings, schema, values["dataset"], count))
            return [*stronger, of_preset, *weaker]
        with naming("arch"):
            usual = usual_dataset(stage, meant)
        sources = {
            "DATASET": dataset if dataset and schema.takes(dataset) else None,
            f"preset {preset}": found.datasets.get(usual),
            f"{PROTOCOL}: {benchmark_of(meant)}": usual,  # the run's own arch may be of another benchmark
        }
        return [Said(origin, {"dataset": named}) for origin, named in sources.items() if named]

    return schema.resolve(said, preset=asked, planned=planned)


def _as_many_as_there_are(
    settings: Mapping[str, Any], schema: type[RunConfig], dataset: str, count: OwnCounts
) -> dict[str, Any]:
    """What a preset says, without sizes that exceed the user's own data, of which all images are taken then."""
    sizes = [name for name in ("train_size", "test_size") if name in settings]
    try:
        counts = count(schema, dataset) if sizes else None
    except RotnetError:  # where the data is opened, it is told
        counts = None
    there = dict(zip(("train_size", "test_size"), counts, strict=True)) if counts else {}
    too_large = {name for name, most in there.items() if isinstance(value := settings.get(name), int) and value > most}
    return {name: value for name, value in settings.items() if name not in too_large}


def _check_benchmark(preset: str, only: str, arch: str) -> None:
    """Raises RotnetError if a preset that is for one benchmark only is asked for on an arch of another."""
    with naming("arch"):
        benchmark = benchmark_of(arch)
    if benchmark != only:
        others = [name for name, other in load_presets().items() if other.only in (None, benchmark)]
        raise RotnetError(
            f"preset {preset}: it is for {only} alone, and {arch} follows the protocol of {benchmark}. "
            f"Presets for that: {', '.join(others)}."
        )


def from_notebook(schema: type[Config], namespace: Mapping[str, Any]) -> Config:
    """The config of a stage's notebook, called right after its parameters cell.

    Its `preset` is that of the parameters that are left at `auto`; `auto` itself is chosen as `make` does, and said.

    Args:
        schema: the stage's config.
        namespace: the notebook's globals; see `StageConfig.parameters_in`.

    Raises RotnetError as `resolve`.
    """
    values = schema.parameters_in(namespace, beside=[_PRESET])
    asked = values.pop(_PRESET, AUTO)
    preset, reason = choose_preset(asked)
    if preset != asked:
        print(f"preset {preset}: {reason}.\n  {preset_named(preset).description}")
    config = configure(schema.stage, values, preset, "notebook")
    assert isinstance(config, schema)
    return config


def configure(stage: str, parameters: Mapping[str, Any], preset: str, origin: str = "-p") -> RunConfig:
    """The config of a run by itself.

    Args:
        stage: its name.
        parameters: as the user gives them.
        preset: its name; `none`: the protocol alone.
        origin: of the parameters.

    Raises RotnetError as `resolve`.
    """
    return resolve(stage, [Said(origin, parameters)], preset=None if preset == NONE else preset).config


def choose_preset(asked: str | None, gpu: Callable[[], str | None] = gpu_name) -> tuple[str, str]:
    """The preset, and why: as asked, or `paper` where there is a GPU, else `quick`.

    Args:
        asked: its name; None or `auto`: none is.
        gpu: the name of this machine's GPU, or None.

    Raises RotnetError for what is no preset's name.
    """
    if asked is not None and not isinstance(asked, str):
        raise RotnetError(
            f"preset: the name of one is needed, not {shown(asked)}. Allowed: {', '.join(load_presets())}, {NONE}."
        )
    if asked and asked != AUTO:
        if asked != NONE:
            preset_named(asked)
        return asked, "as given"
    if name := gpu():
        return "paper", f"there is a GPU ({name}); the preset quick takes minutes instead"
    return "quick", "there is no GPU here; the preset paper asks for the published schedule all the same"

"""Self-supervised methods (`methods.yaml`): how tables name them, their task, and their values where a preset is not enough."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rotnet_lib.errors import RotnetError, unknown
from rotnet_lib.models import ARCHS
from rotnet_lib.pretext import TASKS
from rotnet_lib.pretext.task import task_options
from rotnet_lib.report.published import published_table
from rotnet_lib.runs.config import ImagesConfig
from rotnet_lib.runs.protocols import BENCHMARKS, benchmark_of
from rotnet_lib.runs.resolution import Said
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.backbone_config import UNTRAINED
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.suites.documents import METHODS, SUITES, parse, read_document
from rotnet_lib.suites.presets import load_presets

CORE, ALL = "core", "all"
"""Words of METHODS: the methods marked `core`, and all there are."""

_OTHERS = ("task", "arch", "width", "fold", "pu_weights", "labels_per_class", "compile", "gpus")
"""Parameters of pretraining that are no method's own. With those of the images they make the rows of a table comparable."""

OWN = tuple(name for name in PretrainConfig.model_fields if name not in ImagesConfig.model_fields and name not in _OTHERS)
"""Parameters of which a method may have values of its own."""

FOLDER = SUITES
"""Where `methods.yaml` is."""

Values = dict[str, Any]


class Method(BaseModel):
    """A method, as it stands in a table's rows.

    Its options and values act for every pretrain run of its task: in suites, by `rotnet run` and in notebooks.
    """

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, description="name and citation")
    label: str = Field(min_length=1, description="how a table names it that has no published row of it")
    labels: dict[str, str] = Field(default_factory=dict, description="published table -> how its rows there begin")
    core: bool = Field(False, description="whether it is trained where METHODS is not said")
    unnamed: bool = Field(False, description="whether `{method-}` in keys of runs is nothing for it: keys from before methods")
    task: str = Field(description="its pretext task")
    archs: dict[str, str] = Field(default_factory=dict, description="arch of a table's rows -> what it trains in its place")
    svm: int | None = Field(
        None, ge=1, description="side of the grid that maps are pooled to for an SVM, where its published figures are an SVM's"
    )
    options: dict[str, Values] = Field(default_factory=dict, description="benchmark -> the task's options, where not its own")
    needs: str = Field(min_length=1, description="what it asks of the data")
    presets: dict[str, dict[str, Values]] = Field(
        default_factory=dict, description="preset -> benchmark -> parameters of its pretraining"
    )
    deviations: dict[str, list[str]] = Field(
        default_factory=dict, description="benchmark, or `all` -> sentences: where it is not as its paper has it"
    )

    @field_validator("labels")
    @classmethod
    def _published(cls, labels: dict[str, str]) -> dict[str, str]:
        for table, label in labels.items():
            rows = published_table(table)
            if not any(row == label or row.startswith(f"{label} ") for row in rows):
                raise unknown(f"beginning of a row of {table}", label, rows)
        return labels

    @field_validator("task")
    @classmethod
    def _known_task(cls, task: str) -> str:
        TASKS[task]
        return task

    @field_validator("archs")
    @classmethod
    def _known_archs(cls, archs: dict[str, str]) -> dict[str, str]:
        for arch in (*archs, *archs.values()):
            ARCHS[arch]
        return archs

    @model_validator(mode="after")
    def _valid_values(self) -> Self:
        for benchmark, options in self.options.items():
            _check_benchmark(benchmark, "options")
            task_options(self.task, options)
        for benchmark in self.deviations:
            if benchmark not in (ALL, *BENCHMARKS):
                raise unknown("benchmark of deviations", benchmark, (ALL, *BENCHMARKS))
        for preset, by_benchmark in self.presets.items():
            if preset not in load_presets():
                raise unknown("preset", preset, load_presets())
            for benchmark, values in by_benchmark.items():
                _check_benchmark(benchmark, preset)
                for name in values:
                    if name not in OWN:
                        raise unknown(f"parameter of a method ({preset}, {benchmark})", name, OWN)
                options = values.get("task_options", {})
                if not isinstance(options, dict):
                    raise RotnetError(f"presets.{preset}.{benchmark}.task_options: options by name are needed.")
                task_options(self.task, self.options.get(benchmark, {}) | options)
        return self


def _check_benchmark(benchmark: str, where: str) -> None:
    if benchmark not in BENCHMARKS:
        raise unknown(f"benchmark of {where}", benchmark, BENCHMARKS)


def load_methods(folder: Path | None = None) -> dict[str, Method]:
    """Name -> method, in the file's order.

    Args:
        folder: where `methods.yaml` is; None: `FOLDER`.

    Raises RotnetError for an entry that is malformed, and for two of one task: its values could be either's.
    """
    return _load(folder or FOLDER)


@cache
def _load(folder: Path) -> dict[str, Method]:
    found: dict[str, Method] = {}
    by_task: dict[str, str] = {}
    for name, entry in read_document(METHODS, folder).items():
        if not re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", name) or name in (CORE, ALL):
            raise RotnetError(f"methods.yaml: '{name}' is no name: a-z, 0-9 and hyphens, and neither {CORE} nor {ALL}.")
        _check_free(name)
        method = parse(Method, entry, f"methods.yaml, {name}")
        if (other := by_task.setdefault(method.task, name)) != name:
            raise RotnetError(
                f"methods.yaml, {name}: task {method.task} is that of {other} already, and a task's values are one method's. "
                "Give it a task of its own, or make one of the two."
            )
        found[name] = method
    return found


def _check_free(name: str) -> None:
    """Raises RotnetError for a name that means something else where keys of runs stand: in SET, or as a backbone."""
    taken: dict[str, str] = {field: "a parameter" for stage in STAGES for field in STAGES[stage].config.model_fields}
    taken |= dict.fromkeys(STAGES, "a notebook") | dict.fromkeys(UNTRAINED, "an untrained backbone")
    if name in taken:
        raise RotnetError(
            f"methods.yaml: '{name}' is the name of {taken[name]}, and keys of runs are made of a method's: "
            "SET or a run's backbone could not tell the two. Rename the method."
        )


def words_of(words: str | None) -> list[str]:
    """The words of METHODS, as `asked_for` takes it."""
    return [word.strip() for word in (CORE if words is None else words).split(",")]


def asked_for(words: str | None) -> list[str]:
    """The methods that METHODS names, in the file's order.

    Args:
        words: names, `core` and `all` with commas between; None: METHODS is not said, which means `core`.

    Raises RotnetError for a word that is none of these.
    """
    methods = load_methods()
    named = words_of(words)
    for word in named:
        if len(parts := word.split()) > 1:
            raise RotnetError(f"METHODS: names are separated by commas, and '{word}' has none: {','.join(parts)}.")
        if word not in (CORE, ALL, *methods):
            raise unknown("method in METHODS,", word, (CORE, ALL, *methods))
    return [name for name, method in methods.items() if name in named or ALL in named or (CORE in named and method.core)]


def usual_options(task: str, arch: str) -> dict[str, Any]:
    """The options of a task under no preset, complete, as plain values: its method's for the arch's benchmark, and its own.

    Args:
        task: registered.
        arch: whose benchmark counts.
    """
    _, [*weaker] = said_of_task(task, arch, None)
    given = weaker[0].values["task_options"] if weaker else {}
    return task_options(task, given).model_dump(mode="json")


def said_of_task(task: str | None, arch: str, preset: str | None) -> tuple[list[Said], list[Said]]:
    """What the method of a task says of a pretrain run: what is stronger than the preset, and what is weaker.

    Args:
        task: the run's; None, or one that is no method's: nothing is said.
        arch: whose benchmark counts.
        preset: its name.
    """
    for name, method in load_methods().items():
        if method.task == task:
            benchmark = benchmark_of(arch)
            values: Mapping[str, Any] = method.presets.get(preset or "", {}).get(benchmark, {})
            own = {"task_options": method.options.get(benchmark, {})}
            return [Said(f"method {name}, preset {preset}", values)], [Said(f"method {name}", own)]
    return [], []

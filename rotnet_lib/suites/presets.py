"""Presets: ways to run every suite (`presets.yaml`)."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from rotnet_lib.data.source import DATASETS
from rotnet_lib.data.voc.sets import VOC_SETS
from rotnet_lib.errors import shown, unknown
from rotnet_lib.pretext import TASKS
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.protocols import BENCHMARKS, KIND, benchmark_of, general_first, recipes
from rotnet_lib.runs.resolution import AUTO, PROTOCOL
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.backbone_config import UNTRAINED
from rotnet_lib.stages.classifier_config import ClassifierConfig
from rotnet_lib.suites.documents import PRESETS, SUITES, parse, read_document

_NOT_PRESET = ("backbone", "arch", *KIND, "dataset", "layer")
"""Parameters that a preset cannot set; what data stands in for other data, its `datasets` say."""

_IN_PIXELS = ("image_size", "train_scales", "test_scale")
"""Parameters that suit the size of a dataset's images."""


class Preset(BaseModel):
    """A way to run every suite: parameters for all runs, for a notebook, or for a kind of run of it, by benchmark.

    `set` is keyed by benchmark, then by `all`, a notebook (`probe`), or a notebook and its task or classifier
    (`pretrain.labels`), and for a classifier its recipe (`probe.linear.decoupling`); the more special key wins, and what is
    said of an untrained backbone (`probe.random`) over all of them. What a notebook has no parameter for does not concern it.
    """

    model_config = ConfigDict(extra="forbid")

    data: str = Field("", description="what is measured on, where no dataset is asked for; empty: `description` says it")
    description: str
    voc_data: str = Field("", description="what a VOC task is measured on in place of PASCAL VOC; empty: that itself")
    datasets: dict[str, str] = Field(default_factory=dict, description="what stands in for a dataset of the protocol's")
    only: str | None = Field(None, description="the one benchmark that it is for; none: it is for all")
    set: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    sweeps: dict[str, list[Any]] = Field(default_factory=dict, description="values in place of the suites' own")

    @model_validator(mode="after")
    def _known_parameters(self) -> "Preset":
        for benchmark in (*filter(None, [self.only]), *self.set):
            if benchmark not in BENCHMARKS:
                raise ValueError(str(unknown("benchmark", benchmark, BENCHMARKS)))
        for dataset in self.datasets:
            if dataset not in (*DATASETS, *VOC_SETS):
                raise ValueError(str(unknown("dataset that another stands in for,", dataset, (*DATASETS, *VOC_SETS))))
        for benchmark, settings in self.set.items():
            for key, values in settings.items():
                _check_setting(benchmark, key, values)
        return self

    def described(self, dataset: str | None, *, voc: bool = False) -> str:
        """`drawn shapes that ship with the code, a narrow network, ...`: the data, and how it is run.

        Args:
            dataset: that is asked for in place of the preset's data; None: none is.
            voc: whether there are VOC tasks among what is run.
        """
        if not self.data:
            return self.description
        of_voc = dataset and dataset.partition(":")[0] in VOC_SETS  # on which nothing is pretrained
        images = f"{dataset} in place of {self.data}" if dataset and not of_voc else self.data
        transfer = (dataset if of_voc else self.voc_data) if voc else ""
        return ", ".join([images, *([f"and {transfer} in place of PASCAL VOC"] if transfer else []), self.description])

    def parameters(self, stage: str, arch: str, kind: str, dataset: str, backbone: str | None = None) -> dict[str, Any]:
        """What this preset says to a run, by parameter.

        Args:
            stage: its name.
            arch: its backbone's.
            kind: see `kind_of`.
            dataset: its images. The preset's sizes in pixels are for data that it puts in for other data, and else left out.
            backbone: that it builds on, if it does.
        """
        settings = self.set.get(benchmark_of(arch), {})
        merged: dict[str, Any] = {}
        untrained = [f"{stage}.{backbone}"] if backbone in UNTRAINED else []
        for key in ("all", *general_first(".".join(filter(None, (stage, kind)))), *untrained):
            merged |= settings.get(key, {})
        if dataset not in self.datasets.values():
            for name in _IN_PIXELS:
                merged.pop(name, None)
        known = STAGES[stage].config.model_fields
        return {name: value for name, value in merged.items() if name in known}


def _check_setting(benchmark: str, key: str, values: Mapping[str, Any]) -> None:
    notebook, kind, recipe = (*key.split(".", 2), "", "")[:3]
    if kind:
        kinds = _kinds(STAGES[notebook].config)
        if kind not in kinds:
            raise ValueError(str(unknown(f"task, classifier or untrained backbone of '{key}'", kind, kinds)))
    known = recipes(notebook).get((benchmark, kind), [])
    if recipe and recipe not in known:
        raise ValueError(str(unknown(f"recipe of '{key}'", recipe, known)))
    stages = list(STAGES) if key == "all" else [notebook]
    allowed = {name: None for stage in stages for name in STAGES[stage].config.model_fields}
    for name in values:
        if name not in allowed:
            raise ValueError(str(unknown(f"parameter under '{key}'", name, allowed)))
        if name in _NOT_PRESET:
            raise ValueError(f"'{key}': {name} says which run it is. A preset says how to make it")
        having = [STAGES[stage].config for stage in stages if name in STAGES[stage].config.model_fields]
        problems = [_problem(schema, name, values[name]) for schema in having]
        if all(problems):
            raise ValueError(f"'{key}': {name}: {problems[0]}, not {shown(values[name])}")


def _problem(schema: type[RunConfig], name: str, value: Any) -> str:
    """Why a parameter of a stage cannot have a value, by its type and its bounds; empty if it can."""
    words = (AUTO, *schema.words(name), *([PROTOCOL] if schema.role(name) == "protocol" else []))
    if value in words:
        return ""
    try:
        _type_of(schema, name).validate_python(value)
    except ValidationError as error:
        return str(error.errors()[0]["msg"])
    return ""


@cache
def _type_of(schema: type[RunConfig], name: str) -> TypeAdapter[Any]:
    return TypeAdapter(schema.model_fields[name].rebuild_annotation())


def _kinds(schema: type[RunConfig]) -> tuple[str, ...]:
    """The kinds of run of a stage that a preset may speak of: its tasks or classifiers, and the untrained backbones."""
    fields = schema.model_fields
    classifiers = schema.classifiers if issubclass(schema, ClassifierConfig) else ()
    return (*(TASKS if "task" in fields else ()), *classifiers, *(UNTRAINED if "backbone" in fields else ()))


def load_presets(folder: Path = SUITES) -> dict[str, Preset]:
    """Name -> preset. Raises RotnetError as `preset_named`, for the first that is malformed."""
    return {name: preset_named(name, folder) for name in read_document(PRESETS, folder)}


def preset_named(name: str, folder: Path = SUITES) -> Preset:
    """The preset of that name. Raises RotnetError if there is none, or it is malformed; what the others are does not matter."""
    presets = read_document(PRESETS, folder)
    if name not in presets:
        raise unknown("preset", name, presets)
    return parse(Preset, presets[name], f"presets.yaml, {name}")

"""Parameters of the stages: as a caller of the API gives them, as papermill does, as the command line does."""

import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import yaml
from papermill.translators import PythonTranslator

from campaigns.inputs.kinds.made import TINY, make_run, run_of_seed
from campaigns.inputs.kinds.same import comes_back
from campaigns.inputs.mutations import ODD_NUMBERS, ODD_TEXT, change_text
from campaigns.inputs.trial import Input, Kind
from campaigns.inputs.values import near_value, odd_value, quoted, shown
from rotnet_lib.paths import NOTEBOOKS
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.directory import directory_of
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.backbone_config import NEWEST
from rotnet_lib.suites.resolve import configure, from_notebook
from rotnet_lib.voc.stages import classify, detect, segment  # noqa: F401  # enters their stages
from rotnet_lib.yaml_reader import parse_yaml

_TRAINED = {name: TINY[name] for name in ("device", "threads")} | {
    "epochs": 3,
    "batch_size": 16,
    "lr": 0.1,
    "augment": "pad-crop",
}
_VOC = {
    "backbone": "random",
    "arch": "alexnet",
    "dataset": "scenes:64",
    "train_size": 8,
    "test_size": 4,
    "width": 0.25,
    "device": "cpu",
}
_ON_RUN = {"backbone": "RUN", "layer": ["conv1", "conv2"], "train_size": 40}
_GOOD: Mapping[str, Mapping[str, Any]] = {
    "pretrain": TINY
    | {"task_options": {"angles": [0, 90, 180, 270]}, "lr_milestones": [0.5], "lr_decay": 0.2, "checkpoints": [0.5]},
    "probe": _TRAINED | _ON_RUN | {"classifier": "conv", "views": "flipped", "labels_per_class": 2},
    "finetune": _TRAINED | _ON_RUN | {"layer": "conv2"},
    "knn": _ON_RUN | {"neighbours": 20, "temperature": 0.1, "labels_per_class": 4},
    "inspect": {"backbone": "RUN", "images": [0, 1, 2], "power": 2, "shown": 4},
    "pu_weights": {"backbone": "RUN", "shown": 6},
    "voc_classification": _VOC | {"iterations": 10, "image_size": 96, "crops": 2, "trained": "all"},
    "voc_detection": _VOC | {"engine": "torchvision", "train_scales": [64, 96], "test_scale": 96, "rois": 8},
    "voc_segmentation": _VOC | {"iterations": 10, "image_size": 64, "scales": [0.8, 1.2]},
}
"""Stage -> parameters that it takes. `RUN` stands for the run that the trial's folder holds."""

_PARTNERS = (
    "RUN",
    "runs/RUN",
    "runs/RUN/",
    "runs/RUN/model.safetensors",
    "newest",
    "random",
    "random-rescaled",
    "RUM",
    "runs",
    "",
)
"""For parameters that name a run."""

_NAME_RUNS = ("backbone", "compare", "pu_weights", "others")


class _StageParameters(Kind):
    """Parameters of one stage, `Input.value[0]`, of which one or two (`Input.value[2]`) are odd: `Input.value[1]`."""

    right = (
        "a config that has each value that was given (see `same.comes_back`), gives itself when it is built from what it was "
        "written as, and names a run"
    )

    def prepare(self, folder: Path) -> None:
        make_run(folder)
        for stage, values in _GOOD.items():
            STAGES[stage].config.build(_filled(values, folder))

    def unchanged(self, folder: Path, good: Path) -> Input:
        return Input(folder, good, value=("pretrain", _filled(_GOOD["pretrain"], folder)))

    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        stage = rng.choice(sorted(_GOOD))
        odd = dict(self.odd_parameter(stage, rng) for _ in range(rng.choice((1, 1, 1, 2))))
        values = dict(_GOOD[stage]) | odd
        culprits = {str(name) or "''" for name in odd}.union(*map(_mentioned, _filled(odd, folder).items()))
        what = ", ".join(f"{name!a}: {shown(value)}" for name, value in odd.items())
        return Input(folder, good, f"{stage}: {what}", tuple(sorted(culprits - {""})), (stage, _filled(values, folder)))

    def odd_parameter(self, stage: str, rng: random.Random) -> tuple[Any, Any]:
        """A name and a value, at least one of them odd."""
        fields = STAGES[stage].config.model_fields
        name = rng.choice(sorted(fields))
        value = _GOOD[stage].get(name, fields[name].default)
        if rng.random() < 0.08:
            return rng.choice((name + "s", name[:-1], name.upper(), "x", "epoch", *self.odd_names())), odd_value(rng)
        if name in _NAME_RUNS and rng.random() < 0.7:
            return name, rng.choice((rng.choice(_PARTNERS), [rng.choice(_PARTNERS)]))
        return name, rng.choice((near_value(value, rng), odd_value(rng), odd_value(rng, objects=True)))

    def odd_names(self) -> tuple[Any, ...]:
        return ()

    def problem(self, given: Input, found: Any) -> str | None:
        stage, values = given.value
        return config_problem(STAGES[stage].config, values, *found)


def named(config: RunConfig) -> tuple[RunConfig, str]:
    """A config, and the name of its run."""
    return config, directory_of(config, config.fingerprint()).name


def config_problem(schema: type[RunConfig], given: Mapping[str, Any], config: RunConfig, name: str) -> str | None:
    """What is wrong with the config made of parameters; see `right` above."""
    values = config.model_dump(mode="json")
    for parameter, value in given.items():
        if parameter == "backbone" and isinstance(value, str) and value == NEWEST:
            continue  # the run that is newest is named
        if not comes_back(value, values[parameter]):
            return f"{parameter} is {values[parameter]!r}, given was {shown(value)}"
    written = yaml.safe_load(yaml.safe_dump(values))
    if written != values or schema.build(written) != config:
        return "it is another when it is built from what it was written as"
    return None if 0 < len(name.encode()) <= 255 and "/" not in name else f"no name of a run: {name}"


def _filled(values: Mapping[str, Any], folder: Path) -> dict[Any, Any]:
    """The parameters with the name of the folder's run in the place of RUN."""
    run = run_of_seed(folder, 0).name

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("RUN", run)
        return [fill(entry) for entry in value] if isinstance(value, list) and value and value[0] in _PARTNERS else value

    return {name: fill(value) for name, value in values.items()}


def _mentioned(parameter: tuple[Any, Any]) -> set[str]:
    """What an error may name in place of the parameter: its value, or what follows from it."""
    name, value = parameter
    return {*quoted(value), *_CONSEQUENCES.get(name if isinstance(name, str) else "", ())}


_CONSEQUENCES: Mapping[str, tuple[str, ...]] = {
    "dataset": ("ROTNET_DATA", "image_size"),  # where the data would be; a size that it has not
    "runs": ("backbone", "compare"),  # the runs named are not in that folder
}


class ApiParameters(_StageParameters):
    name = "parameters"

    def odd_names(self) -> tuple[Any, ...]:
        return (None, 5, ("a",), b"epochs", "", "\ud800")

    def read(self, given: Input) -> Any:
        stage, values = given.value
        return named(STAGES[stage].config.build(values))


class PapermillParameters(_StageParameters):
    """A notebook's parameters cell, and behind it the cell that papermill writes."""

    name = "papermill"

    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        while True:
            given = super().change(folder, good, rng)
            try:  # what papermill cannot write, or Python not read, never comes to the library
                _namespace(*given.value)
            except Exception:
                continue
            return given

    def read(self, given: Input) -> Any:
        stage, values = given.value
        return named(from_notebook(STAGES[stage].config, _namespace(stage, values | {"preset": "none"})))

    def problem(self, given: Input, found: Any) -> str | None:
        stage, values = given.value
        written = _namespace(stage, values)  # some objects become text
        return config_problem(STAGES[stage].config, {name: written[name] for name in values}, *found)


def _namespace(stage: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """A notebook's globals behind its parameters and those that papermill writes."""
    namespace: dict[str, Any] = {"__name__": "__main__", "In": [""], "Out": {}}
    exec(_parameters_cell(stage), namespace)
    exec(PythonTranslator.codify(dict(values)), namespace)
    return namespace


@cache
def _parameters_cell(stage: str) -> str:
    document = nbformat.read(NOTEBOOKS / f"{stage}.ipynb", as_version=4)
    [source] = [cell.source for cell in document.cells if "parameters" in cell.metadata.get("tags", [])]
    return str(source)


class CommandLineParameters(_StageParameters):
    """`rotnet run STAGE -p NAME VALUE`, the values YAML as text."""

    name = "command-line"
    right = f"{_StageParameters.right}; a value is what YAML reads in the text"

    def unchanged(self, folder: Path, good: Path) -> Input:
        texts = {name: _yaml(value) for name, value in _GOOD["pretrain"].items()}
        return Input(folder, good, value=("pretrain", _filled(texts, folder), None))

    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        stage = rng.choice(sorted(_GOOD))
        texts = {name: _yaml(value) for name, value in _GOOD[stage].items()}
        name, value = self.odd_parameter(stage, rng)
        text = rng.choice(
            (
                _text(value),
                rng.choice(ODD_NUMBERS),
                rng.choice(ODD_TEXT),
                change_text(_text(value) or "x", rng)[0].decode("utf-8", "surrogateescape"),
            )
        )
        texts[name] = text.replace("\0", "")  # which no command line can hold
        preset = rng.choice(("none", "none", "quick", "short"))
        texts = _filled(texts, folder)
        culprits = {str(name), *_mentioned((name, text)), *_mentioned((name, _read(texts[name])))} - {""}
        return Input(
            folder,
            good,
            f"{stage} --preset {preset} -p {name!a} {shown(text)}",
            tuple(sorted(culprits)),
            (stage, texts, preset),
        )

    def read(self, given: Input) -> Any:
        stage, texts, preset = given.value
        values = {name: parse_yaml(text, f"the value of {name} behind -p") for name, text in texts.items()}
        return named(configure(stage, values, preset))

    def problem(self, given: Input, found: Any) -> str | None:
        stage, texts, _ = given.value
        return config_problem(STAGES[stage].config, {name: yaml.safe_load(text) for name, text in texts.items()}, *found)


def _read(text: str) -> Any:
    """What YAML reads in a text; the text itself where it is none."""
    try:
        return yaml.safe_load(text)
    except Exception:  # PyYAML's own code on odd texts
        return text


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n...\n").strip()


def _text(value: Any) -> str:
    """A value as YAML; of what YAML cannot hold, how Python shows it."""
    try:
        return _yaml(value)
    except Exception:  # PyYAML's own representer on any object
        return shown(value)

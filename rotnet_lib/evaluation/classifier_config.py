"""What the probe and fine-tune stages share: a backbone, a layer, a classifier."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from rotnet_lib.config import EXPERIMENT, Fraction, TrainingConfig
from rotnet_lib.data.dataset import Dataset
from rotnet_lib.errors import RotnetError, unknown
from rotnet_lib.models import ARCHS, CLASSIFIERS, Backbone, make_backbone
from rotnet_lib.paths import from_project
from rotnet_lib.runs import MODEL, RunDirectory, all_runs
from rotnet_lib.seeds import seeded
from rotnet_lib.training.checkpoints import load_backbone

RANDOM, NEWEST = "random", "newest"

_SCHEDULES: dict[str, dict[str, Any]] = {
    "linear": {"epochs": 50, "lr_milestones": (0.4, 0.8, 0.9)},
    "nonlinear": {"epochs": 50, "lr_milestones": (0.4, 0.8, 0.9)},
    "conv": {"epochs": 100, "lr_milestones": (0.35, 0.7, 0.85)},
}
"""docs/protocol.md, "CIFAR-10": x0.2 after 20, 40, 45 of 50 epochs, or after 35, 70, 85 of 100. It has no linear probe on NIN;
that one takes the non-linear probe's schedule."""


class ClassifierConfig(TrainingConfig):
    """Parameters of a classifier on a backbone. Those left at None follow the backbone's run, or the protocol.

    Built by `build` (or `from_notebook`), which fills them in: the effective config has no None of that kind left.
    """

    # None in a notebook, filled by `build`: a config that exists holds the value, hence the types.
    dataset: str = Field(None, description="None: that of the backbone's run")  # type: ignore[assignment]
    epochs: int = Field(None, ge=1, description="None: the protocol's for the classifier")  # type: ignore[assignment]
    lr_milestones: tuple[Fraction, ...] = Field(
        None,  # type: ignore[arg-type]
        description="fractions of the run after which the rate falls; None: the protocol's for the classifier",
    )

    backbone: str = Field(
        NEWEST,
        description="name or path of a run; newest: the newest finished pretext run that fits; random: untrained",
        json_schema_extra=EXPERIMENT,
    )
    arch: str = Field(  # type: ignore[assignment]
        None, description="None: that of the backbone's run; needed if random", json_schema_extra=EXPERIMENT
    )
    width: float = Field(  # type: ignore[assignment]
        None, gt=0, le=4, description="factor on the backbone's channels; None: that of the backbone's run, 1 if random"
    )
    layer: tuple[str, ...] = Field(
        ("conv2",), min_length=1, description="a layer, several (conv1,conv2) or all", json_schema_extra=EXPERIMENT
    )
    classifier: str = Field("nonlinear", description="linear, nonlinear or conv", json_schema_extra=EXPERIMENT)

    @classmethod
    def build(cls, parameters: Mapping[str, Any]) -> Self:
        cls.check_names(parameters)
        values = {name: value for name, value in parameters.items() if value is not None}
        values = _follow_backbone(values, cls)
        classifier = str(values.get("classifier", cls.model_fields["classifier"].default))
        return super().build(_SCHEDULES.get(classifier, {}) | values)

    def protocol(self) -> dict[str, Any]:
        asked = super().protocol() | {"dataset": "cifar10", "width": 1.0}
        return asked | {name: list(v) if isinstance(v, tuple) else v for name, v in _SCHEDULES[self.classifier].items()}

    @field_validator("layer", mode="before")
    @classmethod
    def _listed(cls, layer: Any) -> Any:
        return _split(layer)

    @field_validator("classifier")
    @classmethod
    def _known_classifier(cls, classifier: str) -> str:
        CLASSIFIERS[classifier]
        return classifier

    @model_validator(mode="after")
    def _layers_of_arch(self) -> Self:
        backbone = _sample(self.arch)
        for layer in self.layer:
            if self.layer != ("all",):
                backbone.check_layer(layer)
        if len(set(self.layer)) != len(self.layer):
            raise ValueError(f"layer: one of {', '.join(self.layer)} stands twice")
        return self

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers named, `all` spelled out."""
        return _sample(self.arch).taps if self.layer == ("all",) else self.layer

    def make_backbone(self, data: Dataset) -> Backbone:
        """The backbone: loaded, or freshly initialised.

        Raises RotnetError if the checkpoint is missing, damaged or of another arch or width.
        """
        if self.backbone == RANDOM:
            with seeded(self.seed, "weights"):
                return make_backbone(self.arch, width=self.width, mean=data.mean, std=data.std)
        path = checkpoint_of(self.backbone, self.runs)
        backbone = load_backbone(path)
        if (backbone.arch, backbone.width) != (self.arch, self.width):
            raise RotnetError(
                f"{path} holds a {backbone.arch} of width {backbone.width:g}, but arch={self.arch} width={self.width:g} "
                "was asked for. Leave arch and width out to follow the backbone."
            )
        return backbone


def checkpoint_of(backbone: str, runs: str) -> Path:
    """The weights' file of a run given by directory name, path of the directory, or path of the file itself."""
    path = from_project(runs) / backbone
    if not path.exists():
        path = from_project(backbone)
    return path / MODEL if path.is_dir() else path


def _split(layer: Any) -> Any:
    return tuple(part.strip() for part in layer.split(",")) if isinstance(layer, str) else layer


def _sample(arch: str) -> Backbone:
    """A tiny backbone of that arch, to ask it for its taps."""
    return make_backbone(arch, width=0.01, mean=(0,) * 3, std=(1,) * 3)


def _follow_backbone(values: dict[str, Any], cls: type[ClassifierConfig]) -> dict[str, Any]:
    """Fill what the parameters leave to the backbone's run; a random backbone has none to follow."""
    # Names first: a wrong one must not be answered with what the folder of runs lacks.
    for name, allowed in (("arch", ARCHS), ("classifier", CLASSIFIERS)):
        if name in values and values[name] not in allowed:
            raise unknown(name, str(values[name]), allowed)
    runs = values.get("runs", "runs")
    backbone = str(values.get("backbone", NEWEST))
    if from_project(backbone).parent == from_project(runs):
        values = values | {"backbone": from_project(backbone).name}  # one run, one spelling
    if backbone == RANDOM:
        missing = [name for name in ("arch", "dataset") if name not in values]
        if missing:
            raise RotnetError(
                f"{cls.stage}: backbone 'random' follows no run, so {' and '.join(missing)} must be given. "
                f"Archs: {', '.join(ARCHS)}."
            )
        return {"width": 1.0} | values
    if backbone == NEWEST:
        values = values | {"backbone": _newest(values, runs, cls).name}
    elif all(name in values for name in ("arch", "width", "dataset")):
        return values  # nothing to ask it: a suite names runs that do not exist yet
    checkpoint = checkpoint_of(values["backbone"], runs)
    if not checkpoint.parent.is_dir() or checkpoint.parent == from_project("."):
        raise unknown("backbone", backbone, (NEWEST, RANDOM, *(run.name for run in all_runs(from_project(runs)))))
    upstream = RunDirectory(checkpoint.parent).parameters()
    followed = {name: upstream[name] for name in ("arch", "width") if name not in values}
    if "dataset" not in values:
        # The sizes belong to the dataset: with another one the upstream's would mean nothing.
        for name in ("dataset", "image_size", "train_size", "test_size"):
            if name not in values and upstream[name] is not None:
                followed[name] = upstream[name]
    return values | followed


def _newest(values: dict[str, Any], runs: str, cls: type[ClassifierConfig]) -> RunDirectory:
    """The newest finished pretrain run, of a pretext task, whose arch has the layers asked for."""
    layers = _split(values.get("layer", ("conv2",)))
    taps = {tap: None for arch in ARCHS for tap in _sample(arch).taps}  # in order, each once
    for layer in layers:
        if layer != "all" and layer not in taps:
            raise unknown("layer", layer, (*taps, "all"))
    finished = [run for run in all_runs(from_project(runs)) if run.finished]
    for run in finished:
        try:
            parameters = run.parameters()
        except RotnetError as error:
            print(f"passed over: {error}")
            continue
        if parameters.get("task", "labels") == "labels":  # neither supervised runs nor other stages are pretext runs
            continue
        if any(parameters[name] != values[name] for name in ("arch", "width", "dataset") if name in values):
            continue
        if all(layer == "all" or layer in _sample(parameters["arch"]).taps for layer in layers):
            print(f"backbone: {run.name} (the newest pretext run that fits)")
            return run
    wanted = ", ".join(f"{name}={values[name]}" for name in ("arch", "width", "dataset") if name in values)
    raise RotnetError(
        f"{cls.stage}: no finished pretext run in '{runs}' has layer {', '.join(layers)}{' and ' + wanted if wanted else ''} "
        f"({len(finished)} finished runs looked at). Make one: `rotnet run pretrain --preset quick` (minutes on a CPU), or "
        "name one: -p backbone RUN, or take an untrained one: -p backbone random -p arch nin4 -p dataset shapes."
    )

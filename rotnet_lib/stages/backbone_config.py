"""What the stages that read a backbone share: which one, and what its run says about the rest."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from pydantic import Field, model_validator

from rotnet_lib.data.source import Statistics
from rotnet_lib.errors import RotnetError, unknown
from rotnet_lib.models import ARCHS
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.rescaling import rescale_by_data
from rotnet_lib.paths import from_project
from rotnet_lib.runs.config import EXPERIMENT, Fraction, RunConfig
from rotnet_lib.runs.directory import PARAMETERS, RunDirectory, all_runs, checkpoint_name, checkpoint_of, own_name
from rotnet_lib.seeds import generator, seeded
from rotnet_lib.training.checkpoints import backbone_header, load_backbone
from rotnet_lib.training.schedules import epochs_after

RANDOM, RESCALED, NEWEST = "random", "random-rescaled", "newest"
UNTRAINED = (RANDOM, RESCALED)

_RESCALING_IMAGES = 256
"""Training images that a random backbone is rescaled by: some 10^5 responses a channel even where maps are small."""


class BackboneConfig(RunConfig):
    """A backbone. Parameters left at None follow the backbone's run.

    Built by `build` (or `from_notebook`), which fills them in: the effective config has no None of that kind left.
    """

    takes_random: ClassVar[bool] = True
    """Whether an untrained backbone makes sense."""
    followed: ClassVar[tuple[str, ...]] = ()
    """Parameters about the data that follow the backbone's run, where no other dataset is asked for."""

    # None in a notebook, filled by `build`: a config that exists holds the value, hence the types.
    backbone: str = Field(
        NEWEST,
        description="run or path; newest: the newest pretext run that fits; random: untrained; random-rescaled: by data",
        json_schema_extra=EXPERIMENT,
    )
    checkpoint: Fraction | None = Field(
        None,
        description="the backbone as it was after this fraction of its epochs, such as 0.2; None: at their end",
        json_schema_extra=EXPERIMENT,
    )
    arch: str = Field(  # type: ignore[assignment]
        None, description="None: that of the backbone's run; needed if random", json_schema_extra=EXPERIMENT
    )
    width: float = Field(  # type: ignore[assignment]
        None, gt=0, le=4, description="factor on the backbone's channels; None: that of the backbone's run, 1 if random"
    )

    @classmethod
    def build(cls, parameters: Mapping[str, Any]) -> Self:
        cls.check_names(parameters)
        values = {name: value for name, value in parameters.items() if value is not None}
        return super().build(_follow_backbone(values, cls))

    def protocol(self) -> dict[str, Any]:
        return super().protocol() | {"width": 1.0}

    @classmethod
    def fits(cls, parameters: Mapping[str, Any]) -> bool:
        """Whether `newest` may mean the run of these parameters: neither supervised runs nor other stages are pretext runs."""
        return parameters.get("task", "labels") != "labels"

    @classmethod
    def needs(cls, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        """The layers that a backbone must have for these parameters."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _checkpoint_of_run(self) -> Self:
        if self.checkpoint and self.backbone in UNTRAINED:
            raise ValueError("checkpoint: a random backbone has no epochs; leave it out")
        return self

    def open_backbone(self, statistics: Statistics, images: Callable[[int, torch.Generator], torch.Tensor]) -> Backbone:
        """The backbone: loaded, or freshly initialised.

        Args:
            statistics: of the images that a fresh one will see.
            images: (how many, generator) -> that many of the training images, (N, 3, S, S) uint8, drawn at random: what a
                `random-rescaled` one is rescaled by.

        Raises RotnetError if the checkpoint is missing, damaged or of another arch or width.
        """
        if self.backbone in UNTRAINED:
            mean, std = statistics
            with seeded(self.seed, "weights"):
                backbone = make_backbone(self.arch, width=self.width, mean=mean, std=std)
            if self.backbone == RESCALED:
                places = generator(torch.device("cpu"), self.seed, "rescaling")
                rescale_by_data(backbone, images(_RESCALING_IMAGES, places))
            return backbone
        path = self.weights_file()
        backbone = load_backbone(path)
        if (backbone.arch, backbone.width) != (self.arch, self.width):
            raise RotnetError(
                f"{path} holds a {backbone.arch} of width {backbone.width:g}, but arch={self.arch} width={self.width:g} "
                "was asked for. Leave arch and width out to follow the backbone."
            )
        return backbone

    def weights_file(self) -> Path:
        """The file of the backbone's weights. Raises RotnetError if its run did not keep those of `checkpoint`."""
        path = checkpoint_of(self.backbone, self.runs)
        if self.checkpoint is None:
            return path
        made = RunDirectory(path.parent).parameters()
        epoch = epochs_after(self.checkpoint, made["epochs"])
        kept = path.parent / checkpoint_name(epoch)
        if epoch < made["epochs"] and not kept.exists():
            shares = ", ".join(f"{share:g}" for share in made.get("checkpoints", [])) or "none"
            raise RotnetError(
                f"checkpoint: {path.parent} did not keep its weights after {self.checkpoint:g} of its epochs. Kept: {shares}."
            )
        return kept if epoch < made["epochs"] else path


def _follow_backbone(values: dict[str, Any], cls: type[BackboneConfig]) -> dict[str, Any]:
    """Fill what the parameters leave to the backbone's run; a random backbone has none to follow."""
    if "arch" in values:
        ARCHS[values["arch"]]  # first: a wrong name must not be answered with what the folder of runs lacks
    runs = values.get("runs", "runs")
    backbone = own_name(str(values.get("backbone", NEWEST)), runs)
    values = values | {"backbone": backbone}
    if backbone in UNTRAINED:
        missing = [name for name in ("arch", *_own_data(cls)) if name not in values]
        if missing:
            raise RotnetError(
                f"{cls.stage}: backbone '{backbone}' follows no run, so {' and '.join(missing)} must be given. "
                f"Archs: {', '.join(ARCHS)}."
            )
        return {"width": 1.0, **_colour(cls)} | values
    if backbone == NEWEST:
        values = values | {"backbone": _newest(values, runs, cls).name}
    checkpoint = checkpoint_of(values["backbone"], runs)
    told = all(name in values for name in ("arch", "width", *_own_data(cls)))
    if told and (not _colour(cls) or "grey" in values or not (checkpoint.parent / PARAMETERS).exists()):
        return _colour(cls) | values  # nothing to ask it: a suite names runs that do not exist yet
    if checkpoint.is_file() and not (checkpoint.parent / PARAMETERS).exists():
        return _follow_file(checkpoint, values, cls)
    if not checkpoint.parent.is_dir() or checkpoint.parent == from_project("."):
        raise unknown("backbone", backbone, (NEWEST, *UNTRAINED, *(run.name for run in all_runs(from_project(runs)))))
    upstream = RunDirectory(checkpoint.parent).parameters()
    followed = {"arch": upstream["arch"], "width": upstream["width"]}
    if _colour(cls):
        followed["grey"] = upstream.get("grey", False)
    if "dataset" not in values:
        # The sizes belong to the dataset: with another one the upstream's would mean nothing.
        for name in cls.followed:
            if name not in values and upstream.get(name) is not None:
                followed[name] = upstream[name]
    return followed | values


def _own_data(cls: type[BackboneConfig]) -> tuple[str, ...]:
    """The parameter that names the data, where it follows the backbone's run."""
    return ("dataset",) if "dataset" in cls.followed else ()


def _colour(cls: type[BackboneConfig]) -> dict[str, Any]:
    """Whether the images are grey, as far as a stage has a say in it, where no run says so."""
    return {"grey": False} if "grey" in cls.model_fields else {}


def _follow_file(path: Path, values: dict[str, Any], cls: type[BackboneConfig]) -> dict[str, Any]:
    """Fill what the parameters leave to a file of weights without a run beside it, such as imported ones."""
    header = backbone_header(path)
    if "dataset" not in values and _own_data(cls):
        raise RotnetError(
            f"{cls.stage}: {path} has no {PARAMETERS} beside it that says what it was trained on, so dataset must be given: "
            "-p dataset cifar10."
        )
    return {"arch": header["arch"], "width": header["width"], **_colour(cls)} | values


def _newest(values: dict[str, Any], runs: str, cls: type[BackboneConfig]) -> RunDirectory:
    """The newest finished pretrain run, of a pretext task, whose arch has the layers asked for."""
    layers = cls.needs(values)
    taps = {tap: None for arch in ARCHS for tap in ARCHS[arch].taps}  # in order, each once
    for layer in layers:
        if layer != "all" and layer not in taps:
            raise unknown("layer", layer, (*taps, "all"))
    asked = {name: values[name] for name in ("arch", "width", *_own_data(cls)) if name in values}
    finished = [run for run in all_runs(from_project(runs)) if run.finished]
    for run in finished:
        try:
            parameters = run.parameters()
        except RotnetError as error:
            print(f"passed over: {error}")
            continue
        if not cls.fits(parameters):
            continue
        if any(parameters[name] != value for name, value in asked.items()):
            continue
        if _has(parameters["arch"], layers):
            print(f"backbone: {run.name} (the newest pretext run that fits)")
            return run
    said = ", ".join(f"{name}={value}" for name, value in asked.items())
    wanted = " and ".join(filter(None, [f"layer {', '.join(layers)}" if layers else "", said]))
    arch = values.get("arch") or next((arch for arch in ("nin4", *ARCHS) if _has(arch, layers)), "nin4")
    data = " -p dataset shapes" if _own_data(cls) else ""
    untrained = f", or take an untrained one: -p backbone random -p arch {arch}{data}" if cls.takes_random else ""
    raise RotnetError(
        f"{cls.stage}: no finished pretext run in '{runs}' has {wanted or 'what it takes'} ({len(finished)} finished runs "
        f"looked at). Make one: `rotnet run pretrain --preset quick -p arch {arch}` (minutes on a CPU), or name one: "
        f"-p backbone RUN{untrained}."
    )


def _has(arch: str, layers: tuple[str, ...]) -> bool:
    """Whether an arch has the layers, of which `all` is no layer's name."""
    return all(layer == "all" or layer in ARCHS[arch].taps for layer in layers)

"""Parameters of the stages that read a backbone: which one, its layers, and what follows the backbone's own run."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from rotnet_lib.data.spec import DataSpec
from rotnet_lib.errors import RotnetError, shown, unknown
from rotnet_lib.lazy import torch
from rotnet_lib.models import ARCHS
from rotnet_lib.paths import from_project
from rotnet_lib.runs.config import Fraction, ImagesConfig, RunConfig
from rotnet_lib.runs.directory import (
    METRICS,
    MODEL,
    PARAMETERS,
    RunDirectory,
    all_runs,
    checkpoint_name,
    checkpoint_of,
    finished_runs,
    own_name,
)
from rotnet_lib.runs.resolution import BACKBONE, END, PROTOCOL, Upstream, WrongValue, naming
from rotnet_lib.runs.stage_config import EXPERIMENT, taking
from rotnet_lib.seeds import generator, seeded
from rotnet_lib.training.headers import backbone_header
from rotnet_lib.training.schedules import epochs_after

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.source import Statistics
    from rotnet_lib.models.backbone import Backbone

RANDOM, RESCALED, NEWEST = "random", "random-rescaled", "newest"
UNTRAINED = (RANDOM, RESCALED)

_OF_DATA = frozenset(field.name for field in fields(DataSpec))
OF_IMAGES = _OF_DATA - {"dataset", "grey", "validate"}
"""Parameters that mean something for one dataset alone."""

_SHOWN = 5
"""How many of the runs that `newest` did not choose are named."""

_RESCALING_IMAGES = 256
"""How many training images rescale a random backbone: about 10^5 responses a channel even where maps are small."""


def layer_names(layer: Any) -> Any:
    """`"conv1, conv2"` or a list -> the names as a tuple; `all` stays one name. Raises RotnetError for a list of others."""
    if not isinstance(layer, list | tuple):
        return tuple(part.strip() for part in str(layer).split(","))
    for name in layer:
        if not isinstance(name, str):
            raise WrongValue("layer", f"layer: {shown(name)} is no name of a layer. Write conv1,conv2 or [conv1, conv2].")
    return layer


def all_spelled_out(layers: tuple[str, ...], arch: str) -> tuple[str, ...]:
    """The layers of an arch that are meant: all its taps for `("all",)`."""
    return ARCHS[arch].taps if layers == ("all",) else layers


def _layers_of_arch(layers: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    if layers != ("all",) and "arch" in info.data:  # otherwise arch is wrong itself, and reported
        arch = ARCHS[info.data["arch"]]
        with naming("layer"):
            for layer in layers:
                arch.check_layer(layer)
    if len(set(layers)) != len(layers):
        raise ValueError(f"one of {', '.join(layers)} occurs twice")
    return layers


Layers = Annotated[tuple[str, ...], BeforeValidator(layer_names), AfterValidator(_layers_of_arch)]
"""A field of layers of the config's `arch`, a field before it: distinct taps, or `("all",)`."""


class BackboneConfig(RunConfig):
    """A backbone: that of a run, which some parameters follow, or an untrained one."""

    takes_random: ClassVar[bool] = True
    """Whether an untrained backbone makes sense."""

    backbone: str = Field(
        NEWEST,
        description="run or path; newest: the newest pretext run that fits; random, random-rescaled (by data)",
        json_schema_extra=EXPERIMENT,
    )
    checkpoint: Fraction | None = Field(
        description="weights after this fraction of the backbone's epochs, such as 0.2",
        json_schema_extra=EXPERIMENT | taking(END),
    )
    arch: str = Field(
        description="architecture of the backbone; required if random", json_schema_extra=EXPERIMENT | taking(BACKBONE)
    )
    width: float = Field(
        gt=0, le=4, description="factor on the backbone's channels", json_schema_extra=taking(BACKBONE, PROTOCOL)
    )

    @classmethod
    def find_upstream(cls, given: dict[str, Any], planned: Mapping[str, Mapping[str, Any]]) -> Upstream | None:
        return _find_upstream(given, planned, cls)

    @classmethod
    def follows(cls, name: str, values: Mapping[str, Any], upstream: Upstream) -> bool:
        if name not in upstream.parameters:
            return False
        # What is seen of the images belongs to the dataset: that of the upstream run means nothing for another one.
        own = name in OF_IMAGES and values.get("dataset") != upstream.parameters.get("dataset")
        return not own

    @classmethod
    def protocol_for(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        return {"width": 1.0} | super().protocol_for(values)

    @classmethod
    def undecided(cls, name: str, values: Mapping[str, Any]) -> str:
        return (
            f"{cls.stage}: backbone '{values['backbone']}' follows no run, so {name} must be given. Archs: {', '.join(ARCHS)}."
        )

    @classmethod
    def fits(cls, parameters: Mapping[str, Any]) -> bool:
        """Whether `newest` may mean a run with these parameters: a pretext run, no supervised one and no other stage's."""
        return parameters.get("task", "labels") != "labels"

    @classmethod
    def needs(cls, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        """The layers that a backbone's arch must have for these parameters; `all` stands for all that it has."""
        raise NotImplementedError

    @classmethod
    def loads(cls, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        """The layers that its weights must have: those it needs, unless the stage can do without."""
        return cls.needs(parameters)

    @model_validator(mode="after")
    def _checkpoint_of_run(self) -> Self:
        if self.checkpoint and self.backbone in UNTRAINED:
            raise ValueError("checkpoint: a random backbone has no epochs; leave it out")
        return self

    def open_backbone(self, statistics: Statistics, images: Callable[[int, torch.Generator], torch.Tensor]) -> Backbone:
        """The backbone, loaded or freshly initialised.

        Args:
            statistics: of the images that it will see, for a fresh one.
            images: (N, generator) -> N training images drawn at random, (N, 3, S, S) uint8, to rescale a `random-rescaled` one.

        Raises RotnetError if the checkpoint is missing, damaged, of another arch or width, or lacks a layer (`loads`).
        """
        from rotnet_lib.models.backbone import make_backbone
        from rotnet_lib.models.rescaling import rescale_by_data
        from rotnet_lib.training.checkpoints import load_backbone

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
        self._check_layers(path, backbone.taps)
        return backbone

    def check_weights(self) -> None:
        """Raises RotnetError if the backbone's weights are missing, damaged or lack a layer (`loads`). They are not loaded."""
        if self.backbone not in UNTRAINED:
            path = self.weights_file()
            self._check_layers(path, backbone_header(path).taps)

    def _check_layers(self, path: Path, taps: Sequence[str]) -> None:
        lacking = [layer for layer in all_spelled_out(self.loads(self.model_dump()), self.arch) if layer not in taps]
        if lacking:
            raise RotnetError(
                f"{self.stage}: the weights in {path} end at {taps[-1]}, and have no {', '.join(lacking)}. Layers there: "
                f"{', '.join(taps)}. Use those, or take another backbone."
            )

    def weights_file(self) -> Path:
        """The file with the backbone's weights. Raises RotnetError if its run did not keep those of `checkpoint`."""
        path = checkpoint_of(self.backbone, self.runs)
        if self.checkpoint is None:
            return path
        made = RunDirectory(path.parent).parameters()
        if "epochs" not in made:
            raise RotnetError(
                f"checkpoint: {path.parent.name} was not trained by epochs, so no weights were kept on the way. Leave "
                "checkpoint out, or name a pretrain run."
            )
        epoch = epochs_after(self.checkpoint, made["epochs"])
        kept = path.parent / checkpoint_name(epoch)
        if epoch < made["epochs"] and not kept.exists():
            shares = ", ".join(f"{share:g}" for share in made.get("checkpoints", [])) or "none"
            raise RotnetError(
                f"checkpoint: {path.parent} did not keep its weights after {self.checkpoint:g} of its epochs. Kept: {shares}."
            )
        return kept if epoch < made["epochs"] else path


class ImageBackboneConfig(BackboneConfig, ImagesConfig):
    """A backbone, and images like those it was trained on unless others are asked for."""

    @classmethod
    @cache
    def words(cls, field: str) -> tuple[str, ...]:
        usual = super().words(field)
        return (BACKBONE, *(usual or (PROTOCOL,))) if field in _OF_DATA else usual

    @classmethod
    def protocol_for(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        return {"grey": False} | super().protocol_for(values)

    def make_backbone(self, data: Dataset) -> Backbone:
        """The backbone for a dataset; see `open_backbone`."""

        def some(count: int, places: torch.Generator) -> torch.Tensor:
            chosen = torch.randperm(len(data.train), generator=places)[:count].to(data.train.index_device)
            from rotnet_lib.data.split import Request  # torch, which takes seconds to import

            with closing(data.train.cut(iter([Request(chosen)]))) as cuts:
                return next(cuts).images.permute(0, 3, 1, 2)

        return self.open_backbone((data.mean, data.std), some)


def _find_upstream(
    given: dict[str, Any], planned: Mapping[str, Mapping[str, Any]], cls: type[BackboneConfig]
) -> Upstream | None:
    """See `StageConfig.find_upstream`. Raises RotnetError if there is no such run."""
    if "arch" in given and given["arch"] not in cls.words("arch"):
        with naming("arch"):
            ARCHS[given["arch"]]  # first: a typo here must not be reported as a run that is missing
    runs = given.get("runs", RunConfig.model_fields["runs"].default)
    if isinstance(given.get("backbone"), list | tuple | dict):
        raise RotnetError(f"{cls.stage}: backbone: the name or path of one run is needed, not {shown(given['backbone'])}.")
    backbone = own_name(str(given.get("backbone", NEWEST)), str(runs))
    given["backbone"] = backbone
    if backbone in UNTRAINED:
        return None
    if backbone in planned:
        return Upstream(backbone, planned[backbone])
    if backbone == NEWEST:
        backbone = given["backbone"] = _newest(given, runs, cls).name
    checkpoint = checkpoint_of(backbone, runs)
    run = RunDirectory(checkpoint.parent)
    if (run.path / PARAMETERS).exists():
        return Upstream(backbone, run.parameters())
    if checkpoint.is_file():
        header = backbone_header(checkpoint)
        return Upstream(backbone, {"arch": header.arch, "width": header.width})
    if all(given.get(name, BACKBONE) not in (BACKBONE, *cls.words(name)) for name in ("arch", "width")):
        return None  # nothing to look up: the run may come to exist
    untrained = UNTRAINED if cls.takes_random else ()
    usable = (run.name for run in all_runs(from_project(runs)) if _has_backbone(run))
    raise unknown("backbone", backbone, (NEWEST, *untrained, *usable))


def _has_backbone(run: RunDirectory) -> bool:
    """Whether a run's weights are a backbone's: one that trained nothing has none, and one on VOC those of another network."""
    try:
        return (run.path / MODEL).is_file() and bool(backbone_header(run.path / MODEL))
    except RotnetError:
        return False


def _newest(values: dict[str, Any], runs: str, cls: type[BackboneConfig]) -> RunDirectory:
    """The newest finished pretext run that has the layers and the parameters asked for. Raises RotnetError if there is none."""
    layers, loaded = cls.needs(values), cls.loads(values)
    taps = {tap: None for arch in ARCHS for tap in ARCHS[arch].taps}  # in order, each once
    for layer in layers:
        if layer != "all" and layer not in taps:
            raise WrongValue("layer", str(unknown("layer", layer, (*taps, "all"))))
    if values.get("arch", BACKBONE) not in cls.words("arch"):
        with naming("layer"):
            for layer in layers:
                if layer != "all":
                    ARCHS[values["arch"]].check_layer(layer)  # first: no run has it
    data = ("dataset",) if cls.words("dataset")[:1] == (BACKBONE,) else ()
    asked = {name: values[name] for name in ("arch", "width", *data) if values.get(name, BACKBONE) not in (BACKBONE, PROTOCOL)}
    said = ", ".join(f"{name}={value}" for name, value in asked.items())
    named = ", ".join(layer for layer in layers if layer != "all")  # which every run has
    validate = values.get("validate")
    held = validate if isinstance(validate, float) else 0.0  # what is no share is reported with the other values
    least = f"validate={held:g} or more" if held else ""
    wanted = " and ".join(filter(None, [f"layer {named}" if named else "", said, least]))
    finished = finished_runs(from_project(runs))
    fitting: list[RunDirectory] = []
    for run in finished:
        parameters = run.parameters()
        if not cls.fits(parameters):
            continue
        if any(parameters[name] != value for name, value in asked.items()):
            continue
        if (parameters.get("validate") or 0) < held:
            continue
        if _has(parameters["arch"], layers) and _weights_have(run, all_spelled_out(loaded, parameters["arch"])):
            fitting.append(run)
    if fitting:
        print(_choice(fitting, wanted))
        return fitting[0]
    arch = values.get("arch") or next((arch for arch in ("nin4", *ARCHS) if _has(arch, layers)), "nin4")
    also = "".join(f" -p {name} {shlex.quote(str(value))}" for name, value in asked.items() if name != "arch") + (
        f" -p validate {held:g}" if held else ""
    )
    on = f"{also} -p dataset shapes" if data and "dataset" not in asked else also
    untrained = f", or take an untrained one: -p backbone random -p arch {arch}{on}" if cls.takes_random else ""
    raise RotnetError(
        f"{cls.stage}: no finished pretext run in '{runs}' has {wanted or 'what it takes'} ({len(finished)} finished runs "
        f"looked at). Make one: `rotnet run pretrain --preset quick -p arch {arch}{also}` (minutes on a CPU), or name one: "
        f"-p backbone RUN{untrained}."
    )


def _choice(fitting: list[RunDirectory], wanted: str) -> str:
    """What `newest` chose of the runs that fit, the newest first, why, and what else there was."""
    chosen, *others = fitting
    finished = datetime.fromtimestamp((chosen.path / METRICS).stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M UTC")
    having = f" with {wanted}" if wanted else ""
    if held := chosen.parameters().get("validate"):
        finished += f"; trained with validate={held:g}, so that the figures here are of held-out training images"
    if not others:
        return f"backbone: {chosen.name} (the only finished pretext run{having}; finished {finished})"
    rest = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return (
        f"backbone: {chosen.name} (the newest of {len(fitting)} pretext runs{having}, finished {finished}; the others: "
        f"{', '.join(run.name for run in others[:_SHOWN])}{rest}. -p backbone RUN names one)"
    )


def _has(arch: str, layers: tuple[str, ...]) -> bool:
    """Whether an arch has these layers; every arch has `all`."""
    return all(layer == "all" or layer in ARCHS[arch].taps for layer in layers)


def _weights_have(run: RunDirectory, layers: tuple[str, ...]) -> bool:
    """Whether a finished run's weights have these layers of its arch. Damaged ones are named on stdout and have none.

    Of a run without weights, which were deleted, that is not known: it is told when they are opened.
    """
    weights = run.path / MODEL
    if not weights.exists():
        return True
    try:
        header = backbone_header(weights)
    except RotnetError as error:
        print(f"passed over: {error}")
        return False
    return all(layer in header.taps for layer in layers)

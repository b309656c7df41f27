"""A file of pooled features, for NumPy (`rotnet features`)."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rotnet_lib.data.voc.source import VOC_SETS
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import replacing
from rotnet_lib.paths import short_name
from rotnet_lib.runs.directory import MODEL, PARAMETERS, RunDirectory, checkpoint_of
from rotnet_lib.stages.backbone_config import NEWEST, OF_IMAGES, UNTRAINED
from rotnet_lib.stages.features import FeaturesConfig, features_of_splits

SUFFIX = ".npz"


def write_features(parameters: Mapping[str, Any], out: Path | None) -> str:
    """Compute the features of a run's layers on both splits of its dataset and write them, atomically.

    The file holds, of each layer and split, `train_conv3` and `test_conv3`, (n, C) float32; `train_labels` and `test_labels`,
    (n,) int64; `train_places` and `test_places`, (n,) int64, the images' places in their split (those that cannot be read are
    left out); `classes`, (classes,) text; and `parameters`, JSON text: how all of it was made.

    Args:
        parameters: of `FeaturesConfig`. What they do not say is as in the backbone's run; of another dataset all is taken. A
            run that looked at an untrained backbone stands for that one, made as there.
        out: the file; None: `<run>-<layers>.npz` in the working directory.

    Returns:
        What was written, in lines for the user.

    Raises:
        RotnetError: a parameter is wrong, the run has no weights, or the file is there already. This is found before anything
            is computed. And as `load_dataset` and `features_of_splits` do.
        StorageError: the system refuses to write.
    """
    asked = dict(parameters)
    run = _run_of(asked)
    untrained = None if run is None else _untrained(run)
    if run is not None and untrained is None:
        _check_run(run)
    config = FeaturesConfig.build(asked if untrained is None else followed(untrained, asked))
    config.check_weights()
    path = _checked_path(out or Path(_usual_name(config, config.backbone if run is None or not untrained else run.name)))

    import numpy as np  # from here on it takes seconds

    from rotnet_lib.stages.train import load_data
    from rotnet_lib.training.devices import select_device

    device = select_device(config)
    data = load_data(config)
    found = features_of_splits(config, data, device)
    arrays: dict[str, np.ndarray] = {}
    for split, features in {"train": found.train, "test": found.test}.items():
        arrays |= {f"{split}_{layer}": tensor.cpu().numpy() for layer, tensor in features.layers.items()}
        arrays |= {f"{split}_labels": features.labels.cpu().numpy(), f"{split}_places": features.places.cpu().numpy()}
    said = {"parameters": config.model_dump(mode="json"), "fingerprint": data.fingerprint, "layers": list(found.layers)}
    with replacing(path) as temporary:
        np.savez(temporary, **arrays, classes=np.array(data.classes), parameters=np.array(json.dumps(said)))  # type: ignore[arg-type]
    lines = [
        f"{path}: {path.stat().st_size / 1e6:.1f} MB, features of {_whose(config)}, averaged over each map, on {data.title} "
        f"({data.image_size} pixels)" + ("; test_*: training images that are held out" if data.validation else ""),
        *(f"  {name} {array.shape} {array.dtype}" for name, array in arrays.items()),
        f'load it: d = numpy.load("{path}"); d["train_{found.layers[0]}"], d["train_labels"]',
    ]
    return "\n".join(lines)


def _run_of(parameters: Mapping[str, Any]) -> RunDirectory | None:
    """The run that is named as backbone; None if it is no run, or does not exist: then the config says so."""
    backbone, runs = parameters.get("backbone"), str(parameters.get("runs", "runs"))
    if not isinstance(backbone, str) or not backbone or backbone in (NEWEST, *UNTRAINED):
        return None
    file = checkpoint_of(backbone, runs)
    run = RunDirectory(file.parent)
    return run if file.name == MODEL and (run.path / PARAMETERS).exists() else None


def _untrained(run: RunDirectory) -> dict[str, Any] | None:
    """The parameters of a run that trained nothing and looked at an untrained backbone; None of another run."""
    made = run.parameters()
    known = made.get("backbone") in UNTRAINED and run.finished and not _of_voc(made)
    return made if known and not (run.path / MODEL).exists() else None


def followed(made: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, and of all else that features depend on what a run has that looked at an untrained backbone."""
    own = {name for name in FeaturesConfig.model_fields if name in made and FeaturesConfig.role(name) != "execution"}
    if given.get("dataset", made["dataset"]) != made["dataset"]:
        own -= OF_IMAGES  # they mean something for the run's dataset alone
    return {**{name: made[name] for name in own if made[name] is not None}, **given, "backbone": made["backbone"]}


def _of_voc(made: Mapping[str, Any]) -> bool:
    return str(made.get("dataset")).partition(":")[0] in VOC_SETS


def _check_run(run: RunDirectory) -> None:
    """Raises RotnetError if a run has no weights of a backbone (yet)."""
    made = run.parameters()
    base = made.get("backbone")
    named = f"{base} -p arch {made.get('arch')} -p width {made.get('width')} -p seed {made.get('seed')}"
    instead = f"{named} --dataset NAME" if base in UNTRAINED and _of_voc(made) else named if base in UNTRAINED else base
    if _of_voc(made):
        raise RotnetError(
            f"run {run.name} is one on VOC: its weights are those of another network. Name the backbone that it was made of: "
            f"{instead}"
        )
    if (run.path / MODEL).exists():
        return
    if not run.finished:
        run.check()
        raise RotnetError(f"run {run.name} is not finished ({run.state}): it has no weights yet. Run it again: it goes on.")
    if base:
        raise RotnetError(f"run {run.name} trained nothing and has no weights. Name what it looked at: {instead}")


def _checked_path(path: Path) -> Path:
    """Raises RotnetError if the file is there already, or cannot be there, or does not end as NumPy's archives do."""
    if path.is_dir():
        raise RotnetError(f"{path} is a folder. Name a file in it: --out {path / f'features{SUFFIX}'}.")
    if path.suffix != SUFFIX:
        raise RotnetError(f"{path}: features are written as NumPy's archive. Let its name end with {SUFFIX}.")
    for parent in path.parents:
        if parent.is_dir():
            break
        if os.path.lexists(parent):
            raise RotnetError(f"{path}: {parent} is a file, no folder. Name another file by --out.")
    if not path.parent.is_dir():
        raise RotnetError(f"{path}: there is no folder {path.parent}. Make it (mkdir -p), or name another file by --out.")
    if os.path.lexists(path):
        raise RotnetError(f"{path} is there already; delete it or name another file by --out.")
    return path


def _whose(config: FeaturesConfig) -> str:
    return f"{config.backbone} (seed {config.seed})" if config.backbone in UNTRAINED else config.backbone


def _usual_name(config: FeaturesConfig, backbone: str) -> str:
    whose = Path(backbone).name.removesuffix(".safetensors")
    return short_name("-".join([whose, *config.layer, *([f"at-{config.checkpoint:g}"] if config.checkpoint else [])]), SUFFIX)

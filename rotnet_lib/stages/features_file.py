"""A file of pooled features, for NumPy (`rotnet features`)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import replacing
from rotnet_lib.paths import short_name
from rotnet_lib.runs.directory import PARAMETERS, RunDirectory, checkpoint_of
from rotnet_lib.stages.backbone_config import UNTRAINED
from rotnet_lib.stages.features import FeaturesConfig, features_of_splits

SUFFIX = ".npz"


def write_features(parameters: Mapping[str, Any], out: Path | None) -> str:
    """Compute the features of a run's layers on both splits of its dataset and write them, atomically.

    The file holds, of each layer and split, `train_conv3` and `test_conv3`, (n, C) float32; `train_labels` and `test_labels`,
    (n,) int64; `train_places` and `test_places`, (n,) int64, the images' places in their split (those that cannot be read are
    left out); `classes`, (classes,) text; and `parameters`, JSON text: how all of it was made.

    Args:
        parameters: of `FeaturesConfig`. What they do not say is as in the backbone's run; of another dataset all is taken.
        out: the file; None: `<run>-<layers>.npz` in the working directory.

    Returns:
        What was written, in lines for the user.

    Raises:
        RotnetError: a parameter is wrong, the run has no weights, or the file is there already. This is found before anything
            is computed. And as `load_dataset` and `features_of_splits` do.
        StorageError: the system refuses to write.
    """
    config = FeaturesConfig.build(parameters)
    _check_weights(config)
    path = _checked_path(out or Path(_usual_name(config)))

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
        f"{path}: {path.stat().st_size / 1e6:.1f} MB, features of {config.backbone}, averaged over each map, on {data.title} "
        f"({data.image_size} pixels)" + ("; test_*: training images that are held out" if data.validation else ""),
        *(f"  {name} {array.shape} {array.dtype}" for name, array in arrays.items()),
        f'load it: d = numpy.load("{path}"); d["train_{found.layers[0]}"], d["train_labels"]',
    ]
    return "\n".join(lines)


def _check_weights(config: FeaturesConfig) -> None:
    """Raises RotnetError if the backbone's run has no weights (yet), or as `BackboneConfig.check_weights`."""
    if config.backbone not in UNTRAINED:
        weights = checkpoint_of(config.backbone, config.runs)
        run = RunDirectory(weights.parent)
        if not weights.exists() and (run.path / PARAMETERS).exists():
            if not run.finished:
                run.check()
                raise RotnetError(
                    f"run {run.name} is not finished ({run.state}): it has no weights yet. Run it again: it goes on."
                )
            if base := run.parameters().get("backbone"):
                instead = f"{base} -p arch {run.parameters()['arch']}" if base in UNTRAINED else base
                raise RotnetError(f"run {run.name} trained nothing and has no weights. Name what it looked at: {instead}")
    config.check_weights()


def _checked_path(path: Path) -> Path:
    """Raises RotnetError if the file is there already, or does not end as NumPy's archives do."""
    if path.suffix != SUFFIX:
        raise RotnetError(f"{path}: features are written as NumPy's archive. Let its name end with {SUFFIX}.")
    if path.exists():
        raise RotnetError(f"{path} is there already; delete it or name another file by --out.")
    return path


def _usual_name(config: FeaturesConfig) -> str:
    whose = Path(config.backbone).name.removesuffix(".safetensors")
    return short_name("-".join([whose, *config.layer, *([f"at-{config.checkpoint:g}"] if config.checkpoint else [])]), SUFFIX)

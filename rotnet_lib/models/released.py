"""The checkpoints that RotNet's authors released (github.com/gidariss/FeatureLearningRotNet), as networks of this library."""

import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rotnet_lib.errors import RotnetError, unknown
from rotnet_lib.files import check_is_file
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.models.network import Network

CLASSES = 4
"""Rotations by 0, 90, 180 and 270 degrees. Their 90 is a transpose and then an upside-down flip, which turns counter-clockwise:
label k is k * 90 degrees there as here."""

_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class _Released:
    layers: Mapping[str, str]
    """Layer with weights of our network -> the same layer of theirs."""
    image_size: int
    mean: Sequence[float]
    std: Sequence[float]


def _alexnet_layers() -> dict[str, str]:
    # Their blocks: conv1, pool1, conv2, pool2, conv3, conv4, conv5, pool5, fully connected, classifier. A pool is a block of
    # its own there and opens the next block here. fc6 reads the map flattened channel by channel, (256, 6, 6), on both sides.
    layers = {}
    for tap, block, pool in (("conv1", 0, 0), ("conv2", 2, 1), ("conv3", 4, 1), ("conv4", 5, 0), ("conv5", 6, 0)):
        for position in (0, 1):  # convolution, batch norm
            layers[f"backbone.blocks.{tap}.{pool + position}"] = f"_feature_blocks.{block}.{position}"
    layers["backbone.blocks.fc6.2"] = "_feature_blocks.8.1"
    layers["backbone.blocks.fc6.3"] = "_feature_blocks.8.2"
    layers["backbone.blocks.fc7.1"] = "_feature_blocks.8.4"
    layers["backbone.blocks.fc7.2"] = "_feature_blocks.8.5"
    layers["head.2"] = "_feature_blocks.9.0"
    return layers


def _nin4_layers() -> dict[str, str]:
    # Their NIN can have an average pool behind block 3, which would not show in the file: a pool has no weights. Their
    # CIFAR10_RotNet_NIN4blocks config turns it off (use_avg_on_conv3 = False), so that the released net is as ours.
    layers = {}
    for block in (1, 2, 3, 4):
        for conv in (1, 2, 3):
            theirs = f"_feature_blocks.{block - 1}.Block{block}_ConvB{conv}.layers"
            layers[f"backbone.blocks.conv{block}.{3 * conv - 3}"] = f"{theirs}.Conv"
            layers[f"backbone.blocks.conv{block}.{3 * conv - 2}"] = f"{theirs}.BatchNorm"
    layers["head.2"] = "_feature_blocks.4.Classifier"
    return layers


_RELEASED = {
    "alexnet": _Released(_alexnet_layers(), 224, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "nin4": _Released(_nin4_layers(), 32, (125.3, 123.0, 113.9), (63.0, 62.1, 66.7)),
}


def released_network(path: Path, arch: str) -> Network:
    """The network in a checkpoint of the authors' code: `{"epoch": int, "network": state_dict}`, written by torch.save.

    Every tensor of the file is used once and none may be missing, but for the batch counters of batch norm, which files from
    before torch 0.4.1 lack: they start at 0. The statistics of the images that the net was trained on are not in the file;
    they are those of the authors' loader.

    Args:
        path: the file. It is a pickle, which could run code when opened; only torch's weights-only loader reads it.
        arch: `alexnet` or `nin4`.

    Returns:
        The network in evaluation mode, its head with the 4 answers of `CLASSES`.

    Raises RotnetError naming all that does not fit.
    """
    if arch not in _RELEASED:
        raise unknown("arch of a released checkpoint", arch, _RELEASED)
    tensors = _read(path)
    released = _RELEASED[arch]
    _check_arch(tensors, arch, path)
    backbone = make_backbone(arch, width=1.0, mean=released.mean, std=released.std)
    network = Network(backbone, CLASSES, released.image_size)
    expected = network.state_dict()
    names = {}
    for ours in expected:
        layer, _, part = ours.rpartition(".")
        if layer in released.layers:  # the others are the image statistics
            names[ours] = f"{released.layers[layer]}.{part}"
    converted = {ours: tensors[theirs] for ours, theirs in names.items() if theirs in tensors}
    problems = [
        *(f"missing {theirs}" for theirs in names.values() if theirs not in tensors and not theirs.endswith(_COUNTER)),
        *(f"unexpected {theirs}" for theirs in sorted(set(tensors) - set(names.values()))),
        *(
            f"{names[ours]} is {tuple(tensor.shape)}, expected {tuple(expected[ours].shape)}"
            for ours, tensor in converted.items()
            if tensor.shape != expected[ours].shape
        ),
    ]
    if problems:
        raise RotnetError(f"{path} is not {arch} as the authors released it: {'; '.join(problems)}.")
    network.load_state_dict(expected | converted, strict=True)
    return network.eval()


def _check_arch(tensors: Mapping[str, torch.Tensor], arch: str, path: Path) -> None:
    """Raises RotnetError if the file's layers are those of another arch."""
    layers = {name.rpartition(".")[0] for name in tensors}
    common = {name: len(layers & set(released.layers.values())) for name, released in _RELEASED.items()}
    likely = max(common, key=lambda name: common[name])
    if common[likely] > common[arch]:
        raise RotnetError(f"{path} is not {arch}: by the names of its layers it looks like {likely}. Try --arch {likely}.")


def _read(path: Path) -> dict[str, torch.Tensor]:
    """The state dict of one of their checkpoints, on the CPU, without the prefix that DataParallel puts before its keys."""
    try:
        check_is_file(path, "Name the file that the authors' code wrote.")
    except OSError as error:
        raise RotnetError(f"no checkpoint {path}: {(error.strerror or str(error)).lower()}.") from None
    try:
        document = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise RotnetError(_refusal(path, str(error))) from None
    except MemoryError:
        raise  # the file may be good
    except Exception as error:  # whatever a damaged file makes the loader stumble over: struct.error, AssertionError, ...
        raise RotnetError(_unreadable(path, f"{type(error).__name__}: {error}")) from None
    network = document.get("network") if isinstance(document, dict) else None
    if not isinstance(network, dict):
        found = ", ".join(map(str, document)) if isinstance(document, dict) else f"a {type(document).__name__}"
        raise RotnetError(
            f"{path} is no checkpoint of the authors' code: that is a dictionary whose 'network' is a state dict; this holds "
            f"{found or 'nothing'}. The file wanted is named like model_net_epoch50; beside it lies the optimiser's."
        )
    return _without_prefix({str(name): _tensor(value, name, path) for name, value in network.items()})


def _tensor(value: Any, name: str, path: Path) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        raise RotnetError(f"{path}: {name} is of type {type(value).__name__}, expected a tensor.")
    kind = torch.int64 if name.endswith(_COUNTER) else torch.float32
    if value.layout != torch.strided or value.dtype != kind or value.device.type != "cpu":
        raise RotnetError(
            f"{path}: {name} is of {value.dtype}, {value.layout}, on {value.device}; expected: dense {kind}, on cpu."
        )
    return value


def _without_prefix(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    prefix = "module."
    if not all(name.startswith(prefix) for name in tensors):
        return tensors
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def _refusal(path: Path, message: str) -> str:
    """What the weights-only loader found in a file that it would not open, and what to do."""
    culprit = re.search(r"GLOBAL (\S+) was not an allowed|whose module (\S+) is blocked", message)
    if culprit is None:
        return _unreadable(path, "it is no pickle of plain tensors")
    name = culprit[1] or culprit[2]
    return (
        f"{path} is refused: it holds {name} beside tensors, and opening such a pickle can run any code. If you trust where it "
        'comes from, open it somewhere it can do no harm and write the tensors alone: torch.save({"epoch": n, "network": '
        "{name: tensor, ...}}, file). Then import that file."
    )


def _unreadable(path: Path, reason: str) -> str:
    return (
        f"{path} cannot be read as a torch checkpoint ({reason}). Is the download whole, and its .tar.gz unpacked? The file "
        "wanted is named like model_net_epoch50."
    )

"""Weights and resume states as safetensors: no pickle, strict, atomic."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save_file
from torch import nn

from rotnet_lib.errors import RotnetError, unknown
from rotnet_lib.files import replacing
from rotnet_lib.models import ARCHS
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.network import Network

_FORMAT = "rotnet-1"


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors with a JSON header, atomically."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        save_file(plain, temporary, metadata={"format": _FORMAT, "header": json.dumps(header)})


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors and the header of a file written by `save_tensors`.

    Raises RotnetError if the file is missing, damaged, or of another origin.
    """
    return _read(path, lambda name: True)


def _read(path: Path, wanted: Callable[[str], bool]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    if not path.is_file():
        raise RotnetError(f"no checkpoint {path}: no such file. Finish its run, or delete its folder and run again.")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys() if wanted(name)}  # noqa: SIM118 (not a dictionary)
    except (safetensors.SafetensorError, OSError) as error:
        raise RotnetError(f"damaged checkpoint {path}: {error}. Delete it and make its run again.") from None
    if metadata.get("format") != _FORMAT:
        found = metadata.get("format", "none")
        raise RotnetError(f"foreign checkpoint {path}: its format is '{found}', not '{_FORMAT}' (written by this library).")
    return tensors, json.loads(metadata["header"])


def save_backbone(path: Path, module: nn.Module, backbone: Backbone) -> None:
    """Write a trained module whose backbone others will build on; its keys begin with `backbone.`."""
    header = {"arch": backbone.arch, "width": backbone.width, "taps": backbone.taps}
    save_tensors(path, module.state_dict(), header)


def load_backbone(path: Path) -> Backbone:
    """The backbone in a file written by `save_backbone`, strictly: every weight there and none over.

    Raises RotnetError saying what is wrong with which file.
    """
    tensors, header = load_tensors(path)
    _check_arch(header, path)
    backbone = make_backbone(header["arch"], width=header["width"], mean=(0,) * 3, std=(1,) * 3)
    if tuple(header["taps"]) != backbone.taps:
        backbone.cut_after(header["taps"][-1])
    prefix = "backbone."
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    load_strictly(backbone.state_dict(), own, path)
    return backbone


def backbone_header(path: Path) -> dict[str, Any]:
    """What a file written by `save_backbone` says of its backbone: `arch`, `width`, `taps`. The weights are not read.

    Raises RotnetError as `load_backbone` does, but for the weights.
    """
    _, header = _read(path, lambda name: False)
    _check_arch(header, path)
    return header


def _check_arch(header: Mapping[str, Any], path: Path) -> None:
    if "arch" not in header:
        raise RotnetError(f"foreign checkpoint {path}: it holds no backbone (its header has no arch).")
    if header["arch"] not in ARCHS:
        raise RotnetError(f"foreign checkpoint {path}: {unknown('arch', header['arch'], ARCHS)}")


def load_network(path: Path, image_size: int) -> Network:
    """The backbone and the head in a file written by `save_backbone`: a pretrained run's whole network, in evaluation mode.

    Args:
        path: the file.
        image_size: side of the images it will be given, in pixels.

    Raises RotnetError as `load_backbone` does, and if the file holds no such head (a probe's does not).
    """
    backbone = load_backbone(path)
    tensors, _ = load_tensors(path)
    prefix = "head."
    head = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    if not head:
        raise RotnetError(f"{path} holds no head beside its backbone: name a pretrain run's weights.")
    classes, features = next(tensor.shape for tensor in head.values() if tensor.dim() == 2)
    if features > (channels := backbone.shape(backbone.taps[-1], image_size)[0]):
        raise RotnetError(f"checkpoint {path} does not fit the model: its head reads {features} channels of {channels}.")
    network = Network(backbone, classes, image_size, features)
    load_strictly(network.head.state_dict(), head, path)
    return network.eval()


@torch.no_grad()
def load_strictly(expected: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Copy tensors into a module's own, `expected`.

    Raises RotnetError naming the first missing, unexpected or misshapen one.
    """
    missing = [name for name in expected if name not in tensors]
    surplus = [name for name in tensors if name not in expected]
    odd = [name for name in expected if name in tensors and expected[name].shape != tensors[name].shape]
    if missing or surplus or odd:
        problems = [
            *(f"missing {name}" for name in missing[:1]),
            *(f"unexpected {name}" for name in surplus[:1]),
            *(f"{name} is {tuple(tensors[name].shape)}, expected {tuple(expected[name].shape)}" for name in odd[:1]),
        ]
        count = len(missing) + len(surplus) + len(odd)
        raise RotnetError(f"checkpoint {path} does not fit the model: {'; '.join(problems)} ({count} mismatches in all).")
    for name, tensor in tensors.items():
        expected[name].copy_(tensor)


class ResumeState:
    """What a run goes on from: module, momentum, history. Of the module also what its weights leave out (a memory bank).

    The batch order and augmentation of an epoch are functions of (seed, epoch), those of an iteration of (seed, iteration),
    so no generator state is kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, module: nn.Module, optimizer: torch.optim.Optimizer, history: list[dict[str, float]]) -> None:
        """Write the state after the last row of `history`."""
        tensors = {f"module.{name}": tensor for name, tensor in _everything(module).items()}
        for position, parameter in enumerate(_trained(optimizer)):
            momentum = optimizer.state[parameter].get("momentum_buffer")
            if momentum is not None:
                tensors[f"momentum.{position}"] = momentum
        save_tensors(self.path, tensors, {"history": history})

    def load(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> list[dict[str, float]]:
        """Restore module and momentum; returns the history so far, empty if there is nothing to go on from."""
        if not self.path.exists():
            return []
        tensors, header = load_tensors(self.path)
        weights = {n.removeprefix("module."): t for n, t in tensors.items() if n.startswith("module.")}
        load_strictly(_everything(module), weights, self.path)
        for position, parameter in enumerate(_trained(optimizer)):
            momentum = tensors.get(f"momentum.{position}")
            if momentum is not None:
                optimizer.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(momentum)
        history: list[dict[str, float]] = header["history"]
        return history


def _everything(module: nn.Module) -> dict[str, torch.Tensor]:
    """The state dictionary, and the buffers that are no part of it."""
    return module.state_dict() | dict(module.named_buffers())


def _trained(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """The parameters of all groups, in order."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]

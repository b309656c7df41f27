"""Files of tensors and of weights, as safetensors: no pickle, strict, atomic, with a checksum and the name of their run."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import replacing
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.network import Network
from rotnet_lib.runs.unverified import called, note, noted, noting
from rotnet_lib.training.headers import FORMAT, OF_RUN, UNVERIFIED, check_format, check_run, header_in, of_backbone, opened


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any], *, run: str | None = None) -> None:
    """Write tensors with a JSON header, atomically, and a checksum over both.

    Args:
        path: the file.
        tensors: by name.
        header: plain JSON values.
        run: the name of the run whose file it is. A file in a run's directory is read only as that run's.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"format": FORMAT, "run": run or "", "header": json.dumps(header)}
    metadata["checksum"] = _checksum(plain, metadata)
    with replacing(path) as temporary:
        save_file(plain, temporary, metadata=metadata)


def copy_renamed(path: Path, target: Path, run: str, replaced: Mapping[str, str]) -> None:
    """Write the file of a run as that of the same run under another name.

    A file from before files carried a checksum gets none: nobody knows whether it is what was written.

    Args:
        path: in the directory of the run.
        target: in its directory of the other name.
        run: the other name.
        replaced: texts in the header, and what stands for each instead.

    Raises RotnetError as `load_tensors`.
    """
    with noting():
        tensors, header = load_tensors(path)
        verified = not noted()
    text = json.dumps(header)
    for old, new in replaced.items():
        text = text.replace(json.dumps(old), json.dumps(new))
    if verified:
        save_tensors(target, tensors, json.loads(text), run=run)
    else:
        with replacing(target) as temporary:
            save_file(tensors, temporary, metadata={"format": UNVERIFIED, "header": text})


def load_tensors(path: Path, *, remedy: str = OF_RUN) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors and the header of a file written by `save_tensors`.

    A file from before files carried a checksum is read and noted as unverified (`runs.unverified`).

    Args:
        path: the file.
        remedy: the last sentence of an error.

    Raises:
        RotnetError: the file is missing, damaged, or of another origin; it lies in a run's directory and is another run's; or
            that run is damaged.
    """
    with opened(path, "pt", remedy) as file:
        metadata = file.metadata() or {}
        names = list(file.keys())
        tensors = {name: file.get_tensor(name) for name in names}
    check_format(path, metadata, remedy)
    if metadata["format"] == FORMAT:
        if metadata["checksum"] != _checksum(tensors, metadata):
            raise RotnetError(f"damaged checkpoint {path}: its content is not what was written (by its checksum). {remedy}")
    elif tensors:
        note(called(path))
    check_run(path, metadata, remedy)
    return tensors, header_in(path, metadata, remedy)


def _checksum(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 over the tensors (name, dtype, shape, content), the header and the run's name."""
    digest = hashlib.sha256(json.dumps([metadata["run"], metadata["header"]]).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


TRAINED = "trained."
"""What names of tensors begin with that a task changed for others to build on (`Task.finish`), as they were trained."""


def save_backbone(
    path: Path,
    module: nn.Module,
    backbone: Backbone,
    *,
    run: str | None = None,
    trained: Mapping[str, torch.Tensor] = MappingProxyType({}),
) -> None:
    """Write a trained module whose backbone others will build on; its keys begin with `backbone.`.

    Args:
        path: the file.
        module: what was trained, as others build on it.
        backbone: in the module.
        run: as `save_tensors`.
        trained: what the task changed for others, as it was trained, by name in the module.
    """
    header = {"arch": backbone.arch, "width": backbone.width, "taps": backbone.taps, "inputs": backbone.inputs}
    if backbone.kept_stride:
        header["stride"] = backbone.kept_stride
    as_trained = {f"{TRAINED}{name}": tensor for name, tensor in trained.items()}
    save_tensors(path, module.state_dict() | as_trained, header, run=run)


def load_backbone(path: Path) -> Backbone:
    """The backbone in a file written by `save_backbone`, strictly: every weight there and none over.

    Raises RotnetError saying what is wrong with which file.
    """
    return _backbone_in(*load_tensors(path), path)


def _backbone_in(tensors: Mapping[str, torch.Tensor], found: Mapping[str, Any], path: Path) -> Backbone:
    header = of_backbone(found, path)
    backbone = make_backbone(header.arch, width=header.width, mean=(0,) * 3, std=(1,) * 3, inputs=header.inputs)
    if header.stride:
        backbone.keep_stem_stride(header.stride)
    if tuple(header.taps) != backbone.taps:
        backbone.cut_after(header.taps[-1])
    load_strictly(backbone.state_dict(), of_prefix(tensors, "backbone."), path)
    return backbone


def of_prefix(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors whose name begins with the prefix, by the rest of their name."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def load_network(path: Path, image_size: int) -> Network:
    """The backbone and the head in a file written by `save_backbone`: a pretrained run's whole network, in evaluation mode.

    Args:
        path: the file.
        image_size: side of the images it will be given, in pixels.

    Raises RotnetError as `load_backbone` does, and if the file holds no such head (a probe's does not).
    """
    tensors, header = load_tensors(path)
    backbone = _backbone_in(tensors, header, path)
    head = of_prefix(tensors, "head.")
    if not head:
        raise RotnetError(f"{path} holds no head beside its backbone: name a pretrain run's weights.")
    classes, features = next((tensor.shape for tensor in head.values() if tensor.dim() == 2), (0, 0))
    if not classes or not features:
        raise RotnetError(f"checkpoint {path} does not fit the model: its head has no matrix of weights.")
    if features > (channels := backbone.shape(backbone.taps[-1], image_size)[0]):
        raise RotnetError(f"checkpoint {path} does not fit the model: its head reads {features} channels of {channels}.")
    network = Network(backbone, classes, image_size, features)
    load_strictly(network.head.state_dict(), head, path)
    return network.eval()


@torch.no_grad()
def load_strictly(
    expected: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor], path: Path, remedy: str = ""
) -> None:
    """Copy tensors into a module's own, `expected`.

    Raises RotnetError naming the first one that is missing, unexpected, or of another shape or type.
    """
    missing = [name for name in expected if name not in tensors]
    surplus = [name for name in tensors if name not in expected]
    both = [name for name in expected if name in tensors]
    odd = [name for name in both if expected[name].shape != tensors[name].shape]
    cast = [name for name in both if expected[name].dtype != tensors[name].dtype]
    if missing or surplus or odd or cast:
        problems = [
            *(f"missing {name}" for name in missing[:1]),
            *(f"unexpected {name}" for name in surplus[:1]),
            *(f"{name} is {tuple(tensors[name].shape)}, expected {tuple(expected[name].shape)}" for name in odd[:1]),
            *(f"{name} is of type {tensors[name].dtype}, expected {expected[name].dtype}" for name in cast[:1]),
        ]
        count = len(missing) + len(surplus) + len({*odd, *cast})
        raise RotnetError(
            f"checkpoint {path} does not fit the model: {'; '.join(problems)} ({count} mismatches in all). {remedy}".rstrip()
        )
    for name, tensor in tensors.items():
        expected[name].copy_(tensor)

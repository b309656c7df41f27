"""What a file of tensors says of itself: its run, and of a backbone what it is. Planning reads it, so no torch is needed."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import safetensors
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rotnet_lib.errors import RotnetError, unknown
from rotnet_lib.files import check_is_file
from rotnet_lib.models import ARCHS, INPUTS
from rotnet_lib.models.inputs import RGB
from rotnet_lib.runs.directory import run_of

FORMAT = "rotnet-2"
UNVERIFIED = "rotnet-1"
"""The format of files from before they carried a checksum and their run's name."""

OF_RUN = "Delete it and make its run again."
"""What to do with a file that is damaged or of another run."""


class BackboneHeader(BaseModel):
    """What a checkpoint says of its backbone; see `Backbone`.

    Attributes:
        arch: the arch's name, a known one.
        width: factor on the channels.
        taps: of its layers, from the image up: the first ones of the arch's, all or as many as are left of a cut one.
        inputs: its kind of input. Files from before there were several do not name it.
        stride: of its first convolution, in pixels, where it keeps another than the arch's; None: the arch's.
    """

    model_config = ConfigDict(strict=True)

    arch: str
    width: float = Field(gt=0, le=4, allow_inf_nan=False)
    taps: list[str] = Field(min_length=1)
    inputs: str = RGB
    stride: int | None = Field(None, gt=0)


@contextmanager
def opened(path: Path, framework: Literal["np", "pt"], remedy: str) -> Iterator[Any]:
    """A file in the format of safetensors, open for reading.

    Args:
        path: the file.
        framework: whose tensors it gives.
        remedy: the last sentence of an error.

    Raises RotnetError if the file is missing, or damaged as far as it is read.
    """
    try:
        check_is_file(path, remedy)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RotnetError(f"no checkpoint {path}: {reason}. Finish its run, or delete its folder and run again.") from None
    try:
        with safetensors.safe_open(path, framework=framework) as file:
            yield file
    except (safetensors.SafetensorError, OSError) as error:
        raise RotnetError(f"damaged checkpoint {path}: {error}. {remedy}") from None


def check_format(path: Path, metadata: Mapping[str, str], remedy: str) -> None:
    """Raises RotnetError if a file's metadata are not of this library, or lack what those of its format have."""
    found = metadata.get("format")
    if found not in (FORMAT, UNVERIFIED):
        raise RotnetError(
            f"foreign checkpoint {path}: its format is '{found or 'none'}', not '{FORMAT}' (written by this library)."
        )
    if found == FORMAT and not {"run", "header", "checksum"} <= metadata.keys():
        raise RotnetError(f"damaged checkpoint {path}: it lacks its run, its header or its checksum. {remedy}")


def check_run(path: Path, metadata: Mapping[str, str], remedy: str) -> None:
    """Raises RotnetError if a file in a run's directory carries another name, or the run is damaged."""
    run, name = run_of(path), metadata.get("run")
    if run is None:
        return
    run.check()
    if name is not None and name != run.name:
        whose = f"of run {name}" if name else "of no run"
        raise RotnetError(f"foreign checkpoint {path}: it is {whose}, and its folder is that of run {run.name}. {remedy}")


def header_in(path: Path, metadata: Mapping[str, str], remedy: str) -> dict[str, Any]:
    """The header in a file's metadata. Raises RotnetError if it is missing or no JSON object."""
    try:
        header = json.loads(metadata["header"])
    except (KeyError, ValueError, RecursionError) as error:
        raise RotnetError(f"damaged checkpoint {path}: its header is missing or no JSON ({error}). {remedy}") from None
    if not isinstance(header, dict):
        raise RotnetError(f"damaged checkpoint {path}: its header is a {type(header).__name__}. {remedy}")
    return header


def backbone_header(path: Path) -> BackboneHeader:
    """What a file written by `save_backbone` says of its backbone. The weights are not read.

    Raises RotnetError as `load_backbone` does, but for the weights.
    """
    with opened(path, "np", OF_RUN) as file:
        metadata = file.metadata() or {}
    check_format(path, metadata, OF_RUN)
    check_run(path, metadata, OF_RUN)
    return of_backbone(header_in(path, metadata, OF_RUN), path)


def of_backbone(header: Mapping[str, Any], path: Path) -> BackboneHeader:
    """The header of a backbone's checkpoint, checked. Raises RotnetError saying what is wrong with which file."""
    if "arch" not in header:
        raise RotnetError(f"foreign checkpoint {path}: it holds no backbone (its header has no arch).")
    try:
        known = {name: header[name] for name in BackboneHeader.model_fields if name in header}
        found = BackboneHeader.model_validate(known)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise RotnetError(f"damaged checkpoint {path}: in its header, {where}: {problem['msg']}. {OF_RUN}") from None
    if found.arch not in ARCHS:
        raise RotnetError(f"foreign checkpoint {path}: {unknown('arch', found.arch, ARCHS)}")
    if found.inputs not in INPUTS:
        raise RotnetError(
            f"foreign checkpoint {path}: {unknown(INPUTS.kind, found.inputs, INPUTS)} A version of this library that knows it "
            "reads the file."
        )
    taps = ARCHS[found.arch].taps
    if tuple(found.taps) != taps[: len(found.taps)]:
        raise RotnetError(
            f"damaged checkpoint {path}: its header names the layers {', '.join(found.taps)}; those of {found.arch} are "
            f"{', '.join(taps)}. {OF_RUN}"
        )
    return found

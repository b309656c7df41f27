"""Files of tensors that somebody has changed, or that are from before files carried checksums."""

from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch


def metadata_of(path: Path) -> dict[str, str]:
    with safetensors.safe_open(path, framework="pt") as file:
        metadata: dict[str, str] = file.metadata()
        return metadata


def from_before(path: Path) -> None:
    """Make a file one of those that were written before files carried checksums."""
    tensors = safetensors.torch.load_file(path)
    safetensors.torch.save_file(tensors, path, {"format": "rotnet-1", "header": metadata_of(path)["header"]})


def tampered(path: Path, header: Any = None, **metadata: str | None) -> None:
    """Rewrite a file from before, where no checksum says so, with other metadata."""
    from_before(path)
    tensors = safetensors.torch.load_file(path)
    new = metadata_of(path) | ({} if header is None else {"header": header}) | metadata
    safetensors.torch.save_file(tensors, path, {name: value for name, value in new.items() if value is not None})

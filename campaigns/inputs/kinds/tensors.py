"""Files of tensors: a backbone's weights, resume states, positive-unlabelled weights."""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import torch

from campaigns.inputs.kinds.files import FileKind
from campaigns.inputs.kinds.made import TINY, make_run, run_of_seed
from campaigns.inputs.trial import Input
from campaigns.inputs.values import alike
from rotnet_lib.pretext.parts.pu import Plausibility
from rotnet_lib.runs.directory import MODEL, PU, RESUME, directory_of
from rotnet_lib.runs.unverified import noted, noting
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.training.checkpoints import load_backbone
from rotnet_lib.training.resume import ResumeState

_OLD = "rotnet-1"
"""The format of files from before files carried a checksum; see `right`."""

_REWRITTEN = 0.4
"""Share of trials in which the file is a whole one of other content."""

_RIGHT = (
    "tensors and header as in the good file, bit for bit; of a file whose header says that it is from before checksums, "
    "those that are in the file, and the file noted as unverified"
)


class TensorFile(FileKind):
    """A file of tensors in a run's directory, in a folder beside another run's."""

    right = _RIGHT

    def change_file(self, path: Path, donors: list[bytes], rng: random.Random) -> str:
        return rewrite(path, rng) if rng.random() < _REWRITTEN else super().change_file(path, donors, rng)

    def donors(self, folder: Path) -> Iterable[Path]:
        return sorted(path for path in folder.rglob("*.safetensors") if path != self.file(folder))

    def problem(self, given: Input, found: Any) -> str | None:
        tensors, unverified = found
        path = self.file(given.folder)
        with safetensors.safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
        if metadata.get("format") == _OLD:
            if not unverified:
                return "a file without a checksum was used and not noted"
            return _difference(tensors, self._in_file(path))
        return _difference(tensors, self._in_file(self.file(given.good)))

    def _in_file(self, path: Path) -> dict[str, np.ndarray]:
        """The tensors that `read` gives, taken from the file by safetensors alone."""
        return safetensors.numpy.load_file(path)


def _difference(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> str | None:
    for name, array in found.items():
        if name not in expected:
            return f"a tensor {name} that is not in the file"
        other = expected[name]
        if array.dtype != other.dtype or array.shape != other.shape or array.tobytes() != other.tobytes():
            return f"another tensor {name}"
    return None


def rewrite(path: Path, rng: random.Random) -> str:
    """Write a whole file of other content: a tensor or an entry of the metadata is another, missing, added."""
    tensors = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, "numpy") as file:
        metadata = dict(file.metadata() or {})
    name, entry = rng.choice(sorted(tensors)), rng.choice(sorted(metadata))
    array = tensors[name]
    numbers = array.size > 0
    way = rng.choice(
        ("value", "nan", "type", "shape", "missing", "added", "renamed", "metadata", "no metadata", "no checksum", "old")
    )
    if way in ("value", "nan") and numbers:
        flat = array.reshape(-1).copy()
        flat[rng.randrange(flat.size)] = np.nan if way == "nan" and array.dtype.kind == "f" else rng.choice((0, 1, 7))
        tensors[name] = flat.reshape(array.shape)
    elif way == "type":
        tensors[name] = array.astype(rng.choice((np.float64, np.float16, np.int64, np.uint8)))
    elif way == "shape":
        tensors[name] = np.ascontiguousarray(
            rng.choice((array[None], array.reshape(-1), array.T, array[:0] if array.ndim else array[None]))
        )
    elif way == "missing":
        del tensors[name]
    elif way == "added":
        tensors[f"{name}x"] = array
    elif way == "renamed":
        tensors[f"x{name}"] = tensors.pop(name)
    elif way == "metadata":
        metadata[entry] = rng.choice(("", "x", "{}", "[]", "null", "{", metadata[entry][:-1], metadata[entry] + " ", "\x1b"))
    elif way == "no metadata":
        metadata.clear()
    elif way == "no checksum":
        metadata.pop("checksum", None)
    elif way == "old":
        metadata = {"format": _OLD, "header": metadata.get("header", "{}")}
        if numbers and rng.random() < 0.5:
            tensors[name] = array[::-1].copy() if array.ndim else np.asarray(array + 1)
    safetensors.numpy.save_file(tensors, path, metadata)
    return f"a file of other content: {way} ({entry if way == 'metadata' else name})"


class Weights(TensorFile):
    name = "weights"

    def prepare(self, folder: Path) -> None:
        make_run(folder)
        make_run(folder, seed=1)

    def file(self, folder: Path) -> Path:
        return run_of_seed(folder, 0).path / MODEL

    def read(self, given: Input) -> Any:
        with noting():
            backbone = load_backbone(self.file(given.folder))
            unverified = noted()
        return {f"backbone.{name}": tensor.numpy() for name, tensor in backbone.state_dict().items()}, unverified


class Resume(TensorFile):
    name = "resume"
    right = f"{_RIGHT}; the history is the good one"

    def prepare(self, folder: Path) -> None:
        config = PretrainConfig.build(TINY | {"epochs": 5, "runs": str(folder / "runs")})
        for seed in (0, 1):
            directory = directory_of(config.model_copy(update={"seed": seed}), config.fingerprint())
            directory.open(config)
            module, optimizer = _module(seed)
            for _ in range(2):
                module(torch.ones(4, 6)).square().mean().backward()
                optimizer.step()
            history = [{"epoch": float(epoch), "train_loss": 1.0 / epoch} for epoch in (1, 2)]
            ResumeState(directory.path / RESUME, directory.name).save(module, [optimizer], history)

    def file(self, folder: Path) -> Path:
        return run_of_seed(folder, 0).path / RESUME

    def read(self, given: Input) -> Any:
        path = self.file(given.folder)
        module, optimizer = _module(0)
        with noting():
            history = ResumeState(path, path.parent.name).load(module, [optimizer], columns=("epoch", "train_loss"), end=5)
            unverified = noted()
        tensors = {f"module.{name}": tensor.numpy() for name, tensor in module.state_dict().items()}
        for place, parameter in enumerate(module.parameters()):
            if "momentum_buffer" in optimizer.state[parameter]:
                tensors[f"optimizer.0.{place}.momentum_buffer"] = optimizer.state[parameter]["momentum_buffer"].numpy()
        return tensors, unverified, history

    def problem(self, given: Input, found: Any) -> str | None:
        tensors, unverified, history = found
        if not self.file(given.folder).exists():
            return None if not history else "a history, and the state is gone"
        if not alike(history, [{"epoch": epoch, "train_loss": 1.0 / epoch} for epoch in (1.0, 2.0)]) and not unverified:
            return f"the history {history}"
        return super().problem(given, (tensors, unverified))


def _module(seed: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    module = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 2))
    return module, torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)


class PuWeightsFile(TensorFile):
    name = "pu-weights"

    def prepare(self, folder: Path) -> None:
        for seed in (0, 1):
            run = make_run(folder, seed=seed)
            p = torch.rand(12, 4, generator=torch.Generator().manual_seed(seed))
            Plausibility(p, (0.0, 90.0, 180.0, 270.0), {"dataset": "shapes", "fingerprint": "f"}).save(run.path / PU, run.name)

    def file(self, folder: Path) -> Path:
        return run_of_seed(folder, 0).path / PU

    def read(self, given: Input) -> Any:
        with noting():
            found = Plausibility.load(self.file(given.folder))
            unverified = noted()
        return {"p": found.p.numpy()}, unverified

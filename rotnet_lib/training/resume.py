"""What a run goes on from: a file of tensors that holds module, optimisers and history."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.unverified import note, noted
from rotnet_lib.training.checkpoints import load_strictly, load_tensors, of_prefix, save_tensors
from rotnet_lib.training.optimizers import trained

_REMEDY = "Delete it: the run starts again."
"""What to do with a file that is damaged or of another run."""

_ROWS = TypeAdapter(list[dict[str, float]], config=ConfigDict(strict=True))


class ResumeState:
    """What a run goes on from: module, optimisers, history. Of the module also what its weights leave out (a memory bank).

    The batch order and augmentation of an epoch are functions of (seed, epoch), those of an iteration of (seed, iteration),
    so no generator state is kept.

    Args:
        path: the file.
        run: the name of the run; None outside a run's directory.
    """

    def __init__(self, path: Path, run: str | None = None) -> None:
        self.path = path
        self.run = run

    def save(self, module: nn.Module, optimizers: Sequence[torch.optim.Optimizer], history: list[dict[str, float]]) -> None:
        """Write the state after the last row of `history`, with what the run has read unverified so far."""
        tensors = {f"module.{name}": tensor for name, tensor in _everything(module).items()}
        for number, optimizer in enumerate(optimizers):
            for position, parameter in enumerate(trained(optimizer)):
                for name, value in optimizer.state[parameter].items():
                    if value is not None:
                        tensors[f"optimizer.{number}.{position}.{name}"] = value
        save_tensors(self.path, tensors, {"history": history, "unverified": noted()}, run=self.run)

    def load(
        self,
        module: nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        *,
        columns: Sequence[str] = (),
        end: int | None = None,
    ) -> list[dict[str, float]]:
        """Restore module and optimisers; returns the history so far, empty if there is nothing to go on from.

        Args:
            module, optimizers: those that `save` was given.
            columns: what each row of the history must have, first its number (an epoch, an iteration).
            end: the run's last number; None: any.

        Raises:
            RotnetError: the state is damaged, of another run, of a longer one, or does not fit the module.
        """
        if not self.path.exists():
            return []
        tensors, header = load_tensors(self.path, remedy=_REMEDY)
        history = self._history(header, columns, end)
        load_strictly(_everything(module), of_prefix(tensors, "module."), self.path, _REMEDY)
        self._load_optimizers(optimizers, of_prefix(tensors, "optimizer.") | _of_one_sgd(tensors))
        for file in map(str, header.get("unverified") or ()):
            note(file)
        return history

    def _load_optimizers(self, optimizers: Sequence[torch.optim.Optimizer], tensors: Mapping[str, torch.Tensor]) -> None:
        expected: dict[str, torch.Tensor] = {}
        for number, optimizer in enumerate(optimizers):
            state = optimizer.state_dict()
            for position, parameter in enumerate(trained(optimizer)):
                prefix = f"{number}.{position}."
                for name, saved in of_prefix(tensors, prefix).items():
                    is_number = name == "step" or (saved.dim() == 0 and parameter.dim() > 0)
                    made = torch.empty_like(saved if is_number else parameter)  # in the parameter's memory format
                    expected[f"{prefix}{name}"] = state["state"].setdefault(position, {})[name] = made
            load_strictly(expected, {n: t for n, t in tensors.items() if n in expected}, self.path, _REMEDY)
            optimizer.load_state_dict(state)
        load_strictly(expected, tensors, self.path, _REMEDY)

    def _history(self, header: Mapping[str, Any], columns: Sequence[str], end: int | None) -> list[dict[str, float]]:
        history: list[dict[str, float]] = header.get("history")  # type: ignore[assignment]
        try:
            _ROWS.validate_python(history)  # the rows stay as they are: whole numbers stay whole
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, ("history", *problem["loc"])))
            raise RotnetError(f"damaged checkpoint {self.path}: in its header, {where}: {problem['msg']}. {_REMEDY}") from None
        for number, row in enumerate(history, 1):
            if lacking := [column for column in columns if not math.isfinite(row.get(column, math.nan))]:
                raise RotnetError(f"damaged checkpoint {self.path}: row {number} of its history lacks {lacking[0]}. {_REMEDY}")
        if history and columns and end is not None and history[-1][columns[0]] > end:
            raise RotnetError(
                f"checkpoint {self.path} is of a longer run: it is at {columns[0]} {history[-1][columns[0]]:g}, and this run "
                f"ends at {end}. {_REMEDY}"
            )
        return history


def _everything(module: nn.Module) -> dict[str, torch.Tensor]:
    """The state dictionary, and the buffers that are no part of it."""
    return module.state_dict() | dict(module.named_buffers())


def _of_one_sgd(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The momentum of a state from before states named their optimisers, when there was one."""
    return {f"0.{position}.momentum_buffer": tensor for position, tensor in of_prefix(tensors, "momentum.").items()}

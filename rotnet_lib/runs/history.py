"""The table of a run's training: a row an epoch, or every fiftieth of the iterations."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import read_text
from rotnet_lib.runs.directory import HISTORY, RunDirectory
from rotnet_lib.runs.schema import TrainingRecord

if TYPE_CHECKING:
    import pandas as pd


def history_of(run: RunDirectory) -> pd.DataFrame:
    """The history of a finished run, checked against its result; numbers only, columns as its stage says.

    Raises RotnetError if the run is not finished or is damaged, or its history is.
    """
    run.check_files([HISTORY])
    return read_history(run.path / HISTORY, run.result().training)


def read_history(path: Path, training: TrainingRecord | None) -> pd.DataFrame:
    """The table in a `history.csv`.

    Args:
        path: the file.
        training: what its run trained, which tells where the table ends; None: anywhere.

    Raises RotnetError if the file is missing or holds another table.
    """
    import pandas as pd

    again = f"Delete {path.parent} and run again."
    try:
        text = read_text(path, again)
        table = pd.read_csv(io.StringIO(text))
    except FileNotFoundError:
        raise RotnetError(f"{path} is missing, and its run is finished. {again}") from None
    except ValueError as error:
        raise RotnetError(f"{path} is damaged: it is no table ({str(error).strip()}). {again}") from None
    names = text.partition("\n")[0].split(",")
    if repeated := [name for name in names if names.count(name) > 1]:  # pandas would give the second another name
        raise RotnetError(f"{path} is damaged: its column {repeated[0]} occurs twice. {again}")
    number = "epoch" if training is None or training.epochs is not None else "iteration"
    if number not in table:
        raise RotnetError(f"{path} is damaged: it has no column {number}. {again}")
    if not table.empty and (wrong := [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]):
        raise RotnetError(f"{path} is damaged: its column {wrong[0]} holds other things than numbers. {again}")
    if not table[number].is_monotonic_increasing or table[number].isna().any():
        raise RotnetError(f"{path} is damaged: its column {number} does not rise. {again}")
    end = None if training is None else training.epochs if training.epochs is not None else training.iterations
    last = 0 if table.empty else table[number].iloc[-1]
    if table.empty or (end is not None and last != end):
        raise RotnetError(f"{path} is damaged: it ends at {number} {last}, its run at {end}. {again}")
    return table

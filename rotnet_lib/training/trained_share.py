"""How far a run is that is being trained, or was interrupted: what status, index and estimates read, without torch."""

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.directory import RESUME, RunDirectory
from rotnet_lib.training.headers import header_in, opened


def trained_share(run: RunDirectory, length: int) -> float | None:
    """How much of its training a run has behind it, by its resume state, in [0, 1]; None where there is none to be read.

    Args:
        run: the run's directory.
        length: its epochs, or its iterations.
    """
    try:
        with opened(run.path / RESUME, "np", "") as file:
            history = header_in(run.path / RESUME, file.metadata() or {}, "")["history"]
        row = history[-1]
        return min(1.0, float(row["epoch" if "epoch" in row else "iteration"]) / length)
    except (RotnetError, LookupError, TypeError, ValueError):  # another process writes it: who asks looks again
        return None

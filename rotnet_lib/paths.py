"""Where things are, seen from wherever the process was started."""

from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
"""The notebooks, beside the package in its checkout."""


def from_project(path: str | Path) -> Path:
    """A path as given if absolute, else below the working directory.

    JupyterLab starts a notebook's kernel in the notebook's own folder; from there, relative paths count from the
    checkout, so that the same parameters mean the same folders as under papermill.
    """
    here = Path.cwd()
    return (here.parent if here == NOTEBOOKS else here) / Path(path).expanduser()

"""The runs that a run builds on, and those that they build on."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rotnet_lib.runs.directory import PARAMETERS, RunDirectory, checkpoint_of

UPSTREAM = ("backbone", "pu_weights", "others", "compare")
"""Parameters that name other runs."""


class Ancestor(NamedTuple):
    """A run that another builds on.

    Attributes:
        name: as the other run names it.
        parameters: its own.
        fingerprint: of its data; None if it is not finished.
    """

    name: str
    parameters: Mapping[str, Any]
    fingerprint: str | None


def ancestors(parameters: Mapping[str, Any], runs: str, planned: Mapping[str, Mapping[str, Any]]) -> Iterator[Ancestor]:
    """The runs that a run with these parameters builds on, directly or through others, each once.

    Weights that lie in no run's directory have none, nor have runs that are neither planned nor there.

    Args:
        parameters: by name.
        runs: the folder of runs.
        planned: parameters of runs that are not made yet, by name.

    Raises RotnetError if one of them is damaged.
    """
    seen: set[str] = set()
    waiting = list(upstream_names(parameters))
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        if name in planned:
            found = Ancestor(name, planned[name], None)
        else:
            directory = RunDirectory(checkpoint_of(name, runs).parent)
            if not (directory.path / PARAMETERS).is_file():
                continue
            fingerprint = directory.result().data.fingerprint if directory.finished else None
            found = Ancestor(name, directory.parameters(), fingerprint)
        yield found
        waiting += upstream_names(found.parameters)


def upstream_names(parameters: Mapping[str, Any]) -> Iterator[str]:
    """The names of the runs that a run with these parameters builds on directly, as it names them."""
    for key in UPSTREAM:
        value = parameters.get(key)
        yield from (name for name in (value if isinstance(value, list | tuple) else [value]) if isinstance(name, str))

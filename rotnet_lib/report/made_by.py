"""The command that makes a run, for its page."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class MadeBy(NamedTuple):
    """How a run is asked for.

    Attributes:
        command: `rotnet run ...`, quoted for a shell.
        given: the parameters in it: those that preset and protocol do not decide.
    """

    command: str
    given: Mapping[str, Any]

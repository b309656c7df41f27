"""Whether a parameter's value is the one that was given."""

import math
import os
from pathlib import Path
from typing import Any

from campaigns.inputs.values import alike

_TRUE = {"true": True, "t": True, "yes": True, "y": True, "on": True, "1": True}
_FALSE = {"false": False, "f": False, "no": False, "n": False, "off": False, "0": False}
_WORDS = _TRUE | _FALSE
"""Texts that pydantic reads as true or false."""


def comes_back(given: Any, found: Any) -> bool:
    """Whether `found`, a plain value of a config, is what a user means by `given`.

    None leaves a parameter to the protocol or the backbone's run, so that any value is right. Else it is the same value: a
    number may be given as a text or of another numeric type, a name as a number, a list as a tuple, an array or words with
    commas between, a single entry without its list, a path as a path or as the name of the folder that it ends in. Of a
    dictionary the keys that were given count; others are filled in.
    """
    if given is None:
        return True
    given = _plain(given)
    if isinstance(found, bool):
        return given is found or (isinstance(given, str) and _WORDS.get(given.lower()) is found) or _is_number(given, found)
    if isinstance(found, int | float):
        return _is_number(given, found)
    if isinstance(found, str):
        return str(given) == found or (isinstance(given, str) and Path(given).name == found)
    if isinstance(found, list):
        if isinstance(given, str):
            given = [word.strip() for word in given.split(",")]
        entries = given if isinstance(given, list) else [given]
        return len(entries) == len(found) and all(map(comes_back, entries, found))
    if isinstance(found, dict):
        return isinstance(given, dict) and all(key in found and comes_back(given[key], found[key]) for key in given)
    return alike(given, found)


def _is_number(given: Any, found: float) -> bool:
    try:
        number = float(given) if isinstance(given, str | int | float) and not isinstance(given, bool) else math.nan
    except (ValueError, OverflowError):
        return False
    return number == float(found)


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, set | frozenset | range | tuple):
        return list(value)
    return value.tolist() if hasattr(value, "tolist") else value

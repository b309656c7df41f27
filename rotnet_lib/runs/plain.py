"""The gate for parameters: whatever a notebook, a YAML or a caller of the API gives becomes plain values, or is refused.

What comes behind, the configs' own code included, need not ask whether a text can be written or a number counted.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from rotnet_lib.errors import RotnetError, shown

_LARGEST = 2**64
"""Integers are smaller: no parameter counts so far, and larger ones overflow in other places."""

_MOST_ENTRIES = 10_000
"""Values in one parameter, nested ones counted. YAML's anchors make billions of a few bytes."""

_DEEPEST = 20
"""Levels of lists and dictionaries. One that holds itself has no end."""

_LONGEST_TEXT = 4096
"""Characters: as long as a path may be."""


def plain_values(where: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as plain values: None, bool, int, float, text, and lists and dictionaries of these.

    Numbers and arrays of numpy and torch become Python's, paths become text, ranges lists. Sets have no order, and
    are refused.

    Args:
        where: whose parameters they are, for the message.
        parameters: by name; the names are known to be text.

    Raises RotnetError for any other object, for an integer far too large, for text that cannot be written
    to a file (a lone surrogate), for a dictionary with keys that are no text, and for what has no end.
    """
    return {name: _Reader(f"{where}: {name}").plain(value) for name, value in parameters.items()}


class _Reader:
    """Reads one parameter."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._entries = 0

    def plain(self, value: Any, depth: int = 0) -> Any:
        self._entries += 1
        if self._entries > _MOST_ENTRIES:
            raise RotnetError(f"{self._where}: more than {_MOST_ENTRIES:,} values. Is an anchor (&, *) used many times over?")
        if depth > _DEEPEST:
            raise RotnetError(f"{self._where}: lists or dictionaries nested deeper than {_DEEPEST}. Does one hold itself?")
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int):
            return self._integer(value)
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str):
                    raise RotnetError(f"{self._where}: the key {shown(key)} is no text. Put it into quotes.")
            return {self._text(key): self.plain(entry, depth + 1) for key, entry in value.items()}
        if isinstance(value, list | tuple | range):
            entries = [self.plain(entry, depth + 1) for entry in value]
            return tuple(entries) if isinstance(value, tuple) else entries
        if isinstance(value, os.PathLike) and isinstance(path := os.fspath(value), str):
            return self._text(path)
        if type(value).__module__.partition(".")[0] in ("numpy", "torch") and hasattr(value, "tolist"):
            return self.plain(value.tolist(), depth + 1)
        raise RotnetError(
            f"{self._where}: a value of type {type(value).__name__} is none that a run can be described by. "
            "Allowed: None, true or false, numbers, text, and lists and dictionaries of these."
        )

    def _text(self, value: str) -> str:
        if len(value) > _LONGEST_TEXT:
            raise RotnetError(f"{self._where}: a text of {len(value):,} characters; at most {_LONGEST_TEXT:,} are allowed.")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise RotnetError(
                f"{self._where}: {shown(value)} holds a character that cannot be written ({error.object[error.start]!r}, half "
                "of a pair, or a byte of a file name that is no UTF-8). Rename it."
            ) from None
        return value

    def _integer(self, value: int) -> int:
        if not -_LARGEST < value < _LARGEST:
            raise RotnetError(f"{self._where}: {shown(value)} is too large: at most 2^64 - 1.")
        return value


def check_no_bool(schema: type[BaseModel], values: Any, where: str) -> None:
    """Raises RotnetError for true or false where a field takes numbers: pydantic reads them as 1 and 0.

    `epochs: on` in YAML would be one epoch.

    Args:
        schema: the model whose fields the values are for.
        values: by field; others are not looked at, nor is what is no dictionary.
        where: what the message puts before a field's name.
    """
    for name, value in values.items() if isinstance(values, Mapping) else ():
        if name in schema.model_fields and _holds_bool(value) and _takes_numbers_alone(schema.model_fields[name].annotation):
            raise RotnetError(f"{where}{name}: a number is needed, not {shown(value)} (YAML reads yes, no, on and off so too).")


def _holds_bool(value: Any) -> bool:
    return any(map(_holds_bool, value)) if isinstance(value, list | tuple) else isinstance(value, bool)


def _takes_numbers_alone(annotation: Any) -> bool:
    kinds = set(_kinds(annotation))
    return bool(kinds & {int, float}) and not kinds & {bool, str, Any}


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is made of: int and NoneType of `tuple[int, ...] | None`; of a literal, its values'."""
    parts = get_args(annotation)
    for part in parts:
        yield from _kinds(part)
    if not parts:
        yield annotation if isinstance(annotation, type) or annotation is Any else type(annotation)

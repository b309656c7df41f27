"""The published figures, as data."""

from functools import cache
from importlib import resources
from typing import Any

import yaml

from rotnet_lib.errors import unknown


@cache
def _document() -> dict[str, Any]:
    text = (resources.files("rotnet_lib.report") / "published.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def published_rows(table: str) -> dict[str, Any]:
    """Row label -> published figures of a table, in percent: a number, a list by column, or a dictionary by layer.

    Raises RotnetError for an unknown table.
    """
    tables = [name for name, entry in _document().items() if isinstance(entry, dict) and "rows" in entry]
    if table not in tables:
        raise unknown("published table", table, tables)
    rows: dict[str, Any] = _document()[table]["rows"]
    return rows


def source(key: str) -> str:
    """The citation of a source of figures."""
    return str(_document()["sources"][key])

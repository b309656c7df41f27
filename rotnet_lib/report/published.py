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


def published_table(name: str) -> dict[str, dict[str, float | None]]:
    """Row label -> column -> published figure, in percent; None where the source gives none.

    A table of one figure a row has one column, named as its metric.

    Raises RotnetError for an unknown table.
    """
    tables = [key for key, entry in _document().items() if isinstance(entry, dict) and "rows" in entry]
    if name not in tables:
        raise unknown("published table", name, tables)
    table = _document()[name]
    rows = {}
    for label, figures in table["rows"].items():
        if isinstance(figures, dict):
            rows[label] = dict(figures)
        elif isinstance(figures, list):
            rows[label] = dict(zip(table["columns"], figures or [None] * len(table["columns"]), strict=True))
        else:
            rows[label] = {table["metric"]: figures}
    return rows


def source(key: str) -> str:
    """The citation of a source of figures."""
    return str(_document()["sources"][key])

"""The published figures, as data."""

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from rotnet_lib.errors import RotnetError, shown, unknown
from rotnet_lib.report.citations import Citation
from rotnet_lib.runs.plain import plain_values
from rotnet_lib.yaml_reader import read_yaml

PUBLISHED = Path(__file__).parent / "published.yaml"

Figure = float | None
"""In the unit of its metric, as a rule percent; None where the source gives none."""


class _Table(BaseModel):
    """A table of the file: a row is one figure, figures by column, or a list of them in the order of `columns`."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    metric: str | None = None
    columns: list[str] | None = None
    rows: dict[str, dict[str, Figure] | list[Figure] | Figure]


@cache
def _document(file: Path) -> dict[str, Any]:
    return plain_values(file.name, read_yaml(file, file.name))


def published_table(name: str, file: Path = PUBLISHED) -> dict[str, dict[str, Figure]]:
    """Row label -> column -> published figure, in its metric's unit; None where the source gives none.

    A table of one figure a row has one column, named as its metric.

    Raises RotnetError for an unknown table, or for one that is malformed in the file.
    """
    tables = [key for key, entry in _document(file).items() if isinstance(entry, dict) and "rows" in entry]
    if name not in tables:
        raise unknown("published table", name, tables)
    where = f"{file.name}: {name}"
    try:
        table = _Table.model_validate(_document(file)[name])
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise RotnetError(
            f"{where}.{place}: {problem['msg']}, not {shown(problem['input'])}. A table has metric, columns and rows; a row "
            "is a figure, figures by column, or a list of one a column."
        ) from None
    return {label: _by_column(figures, table, f"{where}, row '{label}'") for label, figures in table.rows.items()}


def _by_column(figures: dict[str, Figure] | list[Figure] | Figure, table: _Table, where: str) -> dict[str, Figure]:
    if isinstance(figures, dict):
        return figures
    if isinstance(figures, list):
        columns = table.columns or []
        if figures and len(figures) != len(columns):
            raise RotnetError(f"{where}: {len(figures)} figures for {len(columns)} columns. Give one a column, or none at all.")
        return dict(zip(columns, figures or [None] * len(columns), strict=True))
    if table.metric is None:
        raise RotnetError(f"{where}: a single figure, and the table names no metric. Add `metric: top1`, say.")
    return {table.metric: figures}


def source(key: str, file: Path = PUBLISHED) -> Citation:
    """The paper that figures are from. Raises RotnetError for an unknown one, or one that is malformed in the file."""
    sources = _document(file).get("sources")
    if not isinstance(sources, dict):
        raise RotnetError(f"{file.name}: sources: a citation by name is expected, not {shown(sources)}.")
    if key not in sources:
        raise unknown("source of published figures", key, sources)
    try:
        return Citation.model_validate(sources[key])
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, ("sources", key, *problem["loc"])))
        raise RotnetError(
            f"{file.name}: {place}: {problem['msg']}, not {shown(problem['input'])}. "
            "A citation has authors, title, venue and year."
        ) from None

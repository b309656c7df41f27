"""The parameters cell of a stage's notebook, written from its config (`make format`)."""

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic_core import to_jsonable_python

from rotnet_lib.data.spec import DataSpec
from rotnet_lib.paths import NOTEBOOKS
from rotnet_lib.runs.resolution import AUTO
from rotnet_lib.runs.stage_config import StageConfig
from rotnet_lib.stages import STAGES
from rotnet_lib.suites.presets import load_presets

_FIRST_LINE = "# auto: the backbone's run decides, else the preset, else the published protocol"
_HEADINGS = ("the experiment", "the data", "the training", "the method", "the machine")
"""The third is of stages that train, the fourth of others."""
_OF_DATA = frozenset(field.name for field in fields(DataSpec)) - {"grey"} | {"max_damaged"}

_CHANGED = (
    "task",
    "backbone",
    "arch",
    "layer",
    "classifier",
    "dataset",
    "train_size",
    "epochs",
    "iterations",
    "lr",
    "batch_size",
)
"""What people change, which comes first below its heading."""

_PRESET = f'preset: str = "auto"  # {", ".join(load_presets())}; none: the protocol alone; auto: as make chooses'


def parameter_cell(schema: type[StageConfig]) -> str:
    """The source of the cell: a line a parameter, under headings; what people change comes first."""
    lines = []
    for heading in _HEADINGS:
        own = [name for name in schema.model_fields if _heading(schema, name) == heading]
        names = [name for name in _CHANGED if name in own] + [name for name in own if name not in _CHANGED]
        first = [_FIRST_LINE, _PRESET] if heading == _HEADINGS[0] else []
        lines += ["", f"# {heading}", *first, *(_line(schema, name) for name in names)] if names else []
    return "\n".join(lines[1:])


def write_parameter_cells(folder: Path = NOTEBOOKS) -> None:
    """Write the parameters cell of every stage's notebook in a folder, where it is another."""
    for stage in STAGES:
        path = folder / f"{stage}.ipynb"
        document = json.loads(path.read_text(encoding="utf-8"))
        [cell] = [cell for cell in document["cells"] if "parameters" in cell["metadata"].get("tags", [])]
        cell["source"] = parameter_cell(STAGES[stage].config).splitlines(keepends=True)
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        if text != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8")


def cell_default(schema: type[StageConfig], name: str) -> Any:
    """The value that the cell gives a parameter, as plain JSON: `auto` where others decide it."""
    field, words = schema.model_fields[name], schema.words(name)
    if schema.role(name) != "protocol" and not words:
        value = field.get_default(call_default_factory=True)
        return ",".join(value) if name == "layer" else to_jsonable_python(value)
    return AUTO


def _heading(schema: type[StageConfig], name: str) -> str:
    if name in _OF_DATA:
        return _HEADINGS[1]
    trains = not {"epochs", "iterations"}.isdisjoint(schema.model_fields)
    own = _HEADINGS[2] if trains else _HEADINGS[3]
    return {"experiment": _HEADINGS[0], "protocol": own, "execution": _HEADINGS[4]}[schema.role(name)]


def _line(schema: type[StageConfig], name: str) -> str:
    default = cell_default(schema, name)
    kinds = list(dict.fromkeys(_kinds(schema.model_fields[name].annotation)))
    if isinstance(default, str) and "str" not in kinds:
        kinds.append("str")
    said = comment(schema, name)
    if len(kinds) == 1:
        return f"{name}: {kinds[0]} = {_literal(default)}  # {said}"
    return f"{name} = {_literal(default)}  # type: {'|'.join(kinds)} {said}"  # papermill reads no other form of a union


def comment(schema: type[StageConfig], name: str) -> str:
    """What the cell says of a parameter: its description, then the words that may stand for a value, or what `auto` is."""
    field = schema.model_fields[name]
    description = str(field.description)
    if schema.words(name):
        unsaid = [word for word in schema.words(name) if f"{word}:" not in description]
        return f"{description}; or {', '.join(unsaid)}" if unsaid else description
    usual = to_jsonable_python(field.get_default(call_default_factory=True))
    if cell_default(schema, name) == AUTO and usual != AUTO:
        return f"{description}; auto: {_literal(usual)}"
    return description


def _literal(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _kinds(annotation: Any) -> Iterator[str]:
    """The names of the types that an annotation allows, None left out: `int`, `float`, `str`, `bool`, `list`, `dict`."""
    origin = get_origin(annotation)
    if origin is Literal:
        yield from (type(value).__name__ for value in get_args(annotation))
    elif origin in (tuple, list, dict):
        yield "dict" if origin is dict else "list"
    elif get_args(annotation):
        for part in get_args(annotation):
            yield from _kinds(part)
    elif isinstance(annotation, type) and annotation is not NoneType:
        yield annotation.__name__

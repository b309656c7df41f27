"""The YAML files of this folder: where they are, read once, typed, and an error that says which file is wrong, and where."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from rotnet_lib.errors import RotnetError, nearest, shown
from rotnet_lib.runs.plain import plain_values
from rotnet_lib.yaml_reader import read_yaml

SUITES = Path(__file__).parent
"""Where the YAML files are."""

PRESETS, METHODS = "presets", "methods"
"""The files that are no suites, without `.yaml`."""

Model = TypeVar("Model", bound=BaseModel)


def suite_documents(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and content of each suite's file; no content of one that cannot be read: `load_suite` says what is wrong with it."""
    for file in sorted(folder.glob("*.yaml"), key=lambda file: file.stem):
        if file.stem in (PRESETS, METHODS) or not (file.is_file() or file.is_symlink()):
            continue
        try:
            yield file.stem, read_document(file.stem, folder)
        except RotnetError:
            yield file.stem, {}


def read_document(name: str, folder: Path) -> dict[str, Any]:
    """A YAML as it is. Not to be changed: read once, since planning looks into every suite.

    Raises RotnetError as `read_yaml` and `plain_values`.
    """
    found = _read_once(name, folder)
    if isinstance(found, str):
        raise RotnetError(found)
    return found


@cache
def _read_once(name: str, folder: Path) -> dict[str, Any] | str:
    """The content of a YAML, or what is wrong with it."""
    where = f"{name}.yaml" if name in (PRESETS, METHODS) else f"suites/{name}.yaml"
    try:
        return plain_values(where, read_yaml(folder / f"{name}.yaml", where))
    except RotnetError as error:
        return str(error)


def parse(schema: type[Model], values: Any, where: str) -> Model:
    """Values as a model. Raises RotnetError, beginning with `where`, for the first that is wrong."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        place, kind = problem["loc"], problem["type"]
        message = problem["msg"].removeprefix("Value error, ")
        if kind == "extra_forbidden":
            fields = _fields_at(schema, place[:-1])
            message += f"{nearest(str(place[-1]), fields)} Allowed: {', '.join(fields)}"
        elif kind not in ("value_error", "missing"):
            message += f", not {shown(problem['input'])}"
        raise RotnetError(f"{where}: {' '.join(filter(None, ['.'.join(map(str, place)), message]))}") from None
    except RotnetError as error:
        raise RotnetError(f"{where}: {error}") from None


def _fields_at(schema: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The fields of the model at a place of another model, through its dictionaries and lists."""
    found: Any = schema
    for part in place:
        found = found.model_fields[part].annotation if hasattr(found, "model_fields") else get_args(found)[-1]
    return list(found.model_fields)

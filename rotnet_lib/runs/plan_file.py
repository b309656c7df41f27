"""What `plan.json`, in the directory of a suite or a collection of suites, says: its runs, and what they are for."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import read_text


class PlannedEntry(BaseModel):
    """A run of a plan."""

    key: str
    name: str = Field(pattern=r"^[^/.][^/]*$")
    """Of its directory, beside the plan's."""
    notebook: str
    upstream: list[str]
    parameters: dict[str, Any]
    dataset: str
    departures: dict[str, list[Any]]


class PlanFile(BaseModel):
    """The schema of `plan.json`. `suite` or `collection` is what the runs are for, by the fields of its class in `suites`."""

    preset: str
    preset_reason: str
    preset_description: str
    options: dict[str, Any]
    runs: list[PlannedEntry]
    suite: dict[str, Any] | None = None
    collection: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _for_something(self) -> "PlanFile":
        if not isinstance(self.title, str):
            raise ValueError("it is of no suite")
        return self

    @property
    def title(self) -> Any:
        """Of the suite or the collection."""
        return (self.collection or self.suite or {}).get("title")


def remake(path: Path) -> str:
    """The sentence that says how a damaged plan is made again: its folder is named by suite, preset and a hash."""
    suite, *more = path.parent.name.rsplit("-", 2)
    preset = f" PRESET={more[0]}" if len(more) == 2 else ""  # of a folder that somebody has renamed nothing is known
    return f"Make it again: make reproduce-{suite}{preset}, with what else was typed then."


def read_plan(path: Path) -> PlanFile:
    """The plan in a file. Raises RotnetError if it is missing or holds anything else."""
    again = remake(path)
    try:
        return PlanFile.model_validate_json(read_text(path, again))
    except FileNotFoundError:
        raise RotnetError(f"cannot read the plan {path}: no such file. {again}") from None
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "the file"
        raise RotnetError(f"cannot read the plan {path}: it is damaged ({where}: {problem['msg']}). {again}") from None

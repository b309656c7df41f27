"""Where this implementation differs from the authors' code, beside the list of parameters, and which runs that concerns."""

from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from rotnet_lib.runs.schema import RunResult
from rotnet_lib.yaml_reader import read_yaml

FILE = Path(__file__).parent / "code_differences.yaml"


class CodeDifference(BaseModel):
    """A difference.

    Attributes:
        what: it is about.
        here: what this implementation does.
        theirs: what the authors' code does, or that of a published figure.
        where: descriptions of the runs it concerns. A run fits one if each name in it has one of its values: `stage`, `gpu`
            (whether it ran on one), or a parameter, which is None if the run has none of that name. One entry of
            a list is enough.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str
    here: str
    theirs: str
    where: tuple[dict[str, tuple[bool | str | None, ...]], ...]

    def concerns(self, result: RunResult) -> bool:
        """Whether a run with that result is one of those described."""
        dataset = str(result.parameters.get("dataset")).partition(":")[0]
        gpu = result.environment.cuda is not None
        facts = result.parameters | {"stage": result.stage, "dataset": dataset, "gpu": gpu}

        def has(name: str, values: tuple[bool | str | None, ...]) -> bool:
            fact = facts.get(name)
            return any(entry in values for entry in fact) if isinstance(fact, list) else fact in values

        return any(all(has(name, values) for name, values in one.items()) for one in self.where)


@cache
def code_differences() -> tuple[CodeDifference, ...]:
    """All of them, in the order of what they could move."""
    return TypeAdapter(tuple[CodeDifference, ...]).validate_python(read_yaml(FILE, FILE.name)["differences"])


def differences_of(result: RunResult) -> list[CodeDifference]:
    """Those that concern the run with that result."""
    return [difference for difference in code_differences() if difference.concerns(result)]

"""Names that runs had before: those that they have now."""

from typing import Any

import pytest

from rotnet_lib.runs.renamed import names_now
from rotnet_lib.runs.schema import RunResult


def result(run: str, *renamed_from: str) -> RunResult:
    names: dict[str, Any] = {"run": run, "renamed_from": list(renamed_from)}
    return RunResult.model_construct(**names)


@pytest.mark.parametrize(
    ("results", "names"),
    [
        ([result("b", "a"), result("x")], {"a": "b"}),
        ([result("c", "a", "b"), result("b", "a")], {"a": "c", "b": "c"}),
        ([result("b", "a"), result("c", "a", "b")], {"a": "c", "b": "c"}),
        ([result("a", "a", "b")], {"b": "a"}),  # it has its first name again
    ],
)
def test_names_of_before_lead_to_those_of_now(results: list[RunResult], names: dict[str, str]) -> None:
    assert names_now(results) == names

"""Sweeps and the short forms of rows, written out."""

import copy
from typing import Any

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.suites.suite import load_suite
from rotnet_lib.suites.sweeps import expand


def document(**changes: Any) -> dict[str, Any]:
    return {
        "title": "Mine",
        "sweeps": {"labels": [20, 0.5, None]},
        "runs": {
            "rotnet": {"notebook": "pretrain"},
            "probe-{labels}": {"notebook": "probe", "backbone": "rotnet", "set": {"labels_per_class": "{labels}"}},
        },
        "rows": [{"label": "RotNet", "run": "probe-{labels}", "metric": "conv2_top1"}],
    } | changes


def test_a_run_whose_key_names_a_sweep_stands_for_one_a_value() -> None:
    assert list(expand(document(), {})["runs"]) == ["rotnet", "probe-20", "probe-0.5", "probe-all"]


def test_a_value_that_stands_alone_keeps_its_type() -> None:
    runs = expand(document(), {})["runs"]
    assert [runs[f"probe-{text}"]["set"]["labels_per_class"] for text in ("20", "0.5", "all")] == [20, 0.5, None]


def test_a_value_within_a_text_is_text_and_null_is_all() -> None:
    runs = {"a-{labels}": {"notebook": "probe", "backbone": "b-{labels}", "set": {"k": {"nested": "{labels} of each"}}}}
    found = expand(document(runs=runs, rows=[]), {})["runs"]
    assert found["a-all"] == {"notebook": "probe", "backbone": "b-all", "set": {"k": {"nested": "all of each"}}}
    assert found["a-20"]["backbone"] == "b-20"


def test_a_row_of_a_swept_run_has_a_column_a_value() -> None:
    [row] = expand(document(), {})["rows"]
    assert row == {
        "label": "RotNet",
        "cells": {
            "20": {"run": "probe-20", "metric": "conv2_top1"},
            "0.5": {"run": "probe-0.5", "metric": "conv2_top1"},
            "all": {"run": "probe-all", "metric": "conv2_top1"},
        },
    }


def test_a_row_that_sweeps_the_moment_looks_at_one_run() -> None:
    row = {"label": "Rotation", "run": "rotnet", "metric": "rotation_top1", "at": "{labels}"}
    [found] = expand(document(rows=[row]), {})["rows"]
    assert {column: (cell["run"], cell["at"]) for column, cell in found["cells"].items()} == {
        "20": ("rotnet", 20),
        "0.5": ("rotnet", 0.5),
        "all": ("rotnet", None),
    }


def test_a_row_of_one_metric_has_the_column_that_it_measures() -> None:
    rows = [{"label": str(n), "run": "rotnet", "metric": metric} for n, metric in enumerate(("top1", "conv2_top1"))]
    assert [list(row["cells"]) for row in expand(document(rows=rows), {})["rows"]] == [["top1"], ["top1"]]


def test_a_row_of_columns_has_a_metric_in_each() -> None:
    row = {"label": "RotNet", "run": "rotnet", "columns": {"conv1": "conv1_top1", "conv2": "conv2_top1"}}
    [found] = expand(document(rows=[row]), {})["rows"]
    assert found["cells"] == {
        "conv1": {"run": "rotnet", "metric": "conv1_top1"},
        "conv2": {"run": "rotnet", "metric": "conv2_top1"},
    }


def test_a_row_may_have_columns_of_several_runs_in_their_order() -> None:
    row = {"label": "RotNet", "runs": {"two": {"b": "map", "c": "top1"}, "one": {"a": "map"}}}
    [found] = expand(document(rows=[row]), {})["rows"]
    assert list(found) == ["label", "cells"]
    assert list(found["cells"].items()) == [
        ("b", {"run": "two", "metric": "map"}),
        ("c", {"run": "two", "metric": "top1"}),
        ("a", {"run": "one", "metric": "map"}),
    ]


def test_what_else_a_row_says_stays() -> None:
    row = {"label": "RotNet", "run": "rotnet", "metric": "top1", "by_target": True}
    [found] = expand(document(rows=[row]), {})["rows"]
    assert found == {"label": "RotNet", "by_target": True, "cells": {"top1": {"run": "rotnet", "metric": "top1"}}}


# --- A preset's values ---


def test_replaced_values_take_the_suites_place_and_are_noted() -> None:
    found = expand(document(), {"labels": [5, None]})
    assert list(found["runs"]) == ["rotnet", "probe-5", "probe-all"]
    assert list(found["rows"][0]["cells"]) == ["5", "all"]
    assert found["changed_sweeps"] == {"labels": [[20, 0.5, None], [5, None]]}


def test_the_same_values_are_no_change() -> None:
    assert expand(document(), {"labels": [20, 0.5, None]})["changed_sweeps"] == {}


def test_a_sweep_that_the_suite_has_not_is_none_of_its_business() -> None:
    assert expand(document(), {"widths": [1, 2]}) == expand(document(), {})


def test_the_document_stays_as_it_was() -> None:
    given = document()
    before = copy.deepcopy(given)
    expand(given, {"labels": [5]})
    assert given == before


def test_a_suite_without_sweeps_is_as_it_stands() -> None:
    plain = {"title": "Mine", "runs": {"rotnet": {"notebook": "pretrain"}}}
    assert expand(plain, {}) == plain | {"rows": [], "changed_sweeps": {}}


@pytest.mark.parametrize("sweeps", [{}, {"labels": [7, None]}])
def test_the_suites_own_sweeps_come_out_typed(sweeps: dict[str, list[Any]]) -> None:
    suite = load_suite("figure5b", sweeps)
    labels = sweeps.get("labels", [20, 100, 400, 1000, "all"])
    assert [run.set["labels_per_class"] for key, run in suite.runs.items() if key.startswith("supervised-")] == labels
    assert suite.changed_sweeps == ({"labels": [[20, 100, 400, 1000, "all"], labels]} if sweeps else {})


@pytest.mark.parametrize(
    "row",
    [
        {"metric": "top1"},
        {"run": "one"},
        {"run": "one", "metric": "top1", "columns": {"a": "b"}},
        {"runs": {"one": {"a": "b"}}, "run": "one"},
        {"runs": {"one": {"a": "b"}}, "metric": "top1"},
    ],
)
def test_a_row_that_lacks_something_is_named(row: dict[str, Any]) -> None:
    with pytest.raises(RotnetError, match="row 'mine' needs a run, and a metric or columns"):
        expand({"runs": {"one": {}}, "rows": [{"label": "mine"} | row]}, {})


def test_a_key_with_a_value_that_is_no_text_is_text() -> None:
    document = {"sweeps": {"layers": [["conv1"], 3]}, "runs": {"{layers}": {"set": {"layer": "{layers}"}}}}
    assert expand(document, {})["runs"] == {"['conv1']": {"set": {"layer": ["conv1"]}}, "3": {"set": {"layer": 3}}}

"""Rows that each method has: which are in a suite, what they are called, and of which runs they are."""

import copy
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.suites.method_rows import with_methods
from rotnet_lib.suites.methods import load_methods
from rotnet_lib.suites.plan import CollectionPlan, Options, Plan, make_plan, plan_suite
from rotnet_lib.suites.suite import load_suite, suites_with_methods
from tests.methods import INSTANCE, SPLIT, use_methods
from tests.presets_of import suites_with_presets

planned = partial(plan_suite, fingerprint=lambda config: config.dataset)


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RotNet and two others."""
    use_methods(tmp_path, monkeypatch, instance=INSTANCE, split=SPLIT)


def document(**changes: Any) -> dict[str, Any]:
    return {
        "title": "Mine",
        "runs": {
            "random": {"notebook": "probe", "backbone": "random"},
            "{method}": {"notebook": "pretrain", "set": {"task": "{task}"}},
            "top-{method}": {"notebook": "probe", "backbone": "{method}", "set": {"others": ["@{method}", "kept"]}},
            "{method-}low": {"notebook": "probe", "backbone": "{method}"},
        },
        "rows": [
            {"label": "{label}", "run": "top-{method}", "metric": "conv2_top1"},
            {"label": "Random", "run": "random", "metric": "conv2_top1"},
        ],
    } | changes


def written(asked: list[str], **changes: Any) -> dict[str, Any]:
    return with_methods(document(**changes), load_methods(), asked)


# --- One line for all methods ---


@pytest.mark.usefixtures("three")
def test_a_line_stands_for_a_run_of_each_method_asked_for() -> None:
    runs = written(["rotnet", "split"])["runs"]
    assert list(runs) == ["random", "rotnet", "split", "top-rotnet", "top-split", "low", "split-low"]
    assert runs["split"] == {"notebook": "pretrain", "set": {"task": "decoupling"}}
    assert runs["top-split"] == {"notebook": "probe", "backbone": "split", "set": {"others": ["@split", "kept"]}}


def test_a_method_trains_the_arch_that_it_has_in_place_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_methods(tmp_path, monkeypatch, split=SPLIT | {"archs": {"alexnet": "alexnet-split"}})
    lines = {
        "{method}": {"notebook": "pretrain", "set": {"task": "{task}", "arch": "alexnet"}},
        "{method}-nin": {"notebook": "pretrain", "set": {"task": "{task}", "arch": "nin4"}},
        "random-{method}": {"notebook": "probe", "backbone": "random", "set": {"arch": "alexnet"}},
    }
    runs = written(["rotnet", "split"], runs=lines)["runs"]
    archs = {key: run["set"]["arch"] for key, run in runs.items()}
    assert archs == {
        "rotnet": "alexnet",
        "split": "alexnet-split",
        "rotnet-nin": "nin4",
        "split-nin": "nin4",
        "random-rotnet": "alexnet",
        "random-split": "alexnet",
    }


def test_lines_with_an_svm_are_of_methods_whose_published_figures_are_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_methods(tmp_path, monkeypatch, split=SPLIT | {"svm": 2})
    lines = {
        "{method}": {"notebook": "pretrain", "set": {"task": "{task}"}},
        "{method}-svm": {"notebook": "probe", "backbone": "{method}", "set": {"classifier": "svm", "grid": "{svm}"}},
    }
    rows = [
        {"label": "{label}", "run": "{method}-svm", "metric": "all_top1"},
        {"label": "{label} again", "run": "{method}", "metric": "rotation_top1"},
    ]
    found = written(["rotnet", "split"], runs=lines, rows=rows)
    assert list(found["runs"]) == ["rotnet", "split", "split-svm"]
    assert found["runs"]["split-svm"]["set"] == {"classifier": "svm", "grid": 2}
    assert [row["label"] for row in found["rows"]] == ["Decoupling", "RotNet again", "Decoupling again"]
    assert [row["label"] for row in written(["rotnet"], runs=lines, rows=rows)["rows"]] == ["RotNet again"]


@pytest.mark.usefixtures("three")
def test_a_line_stands_for_a_row_of_each_method_asked_for() -> None:
    rows = written(["rotnet", "split"])["rows"]
    assert [(row["label"], row["run"]) for row in rows] == [
        ("RotNet", "top-rotnet"),
        ("Decoupling", "top-split"),
        ("Random", "random"),
    ]
    assert [row["label"] for row in written([])["rows"]] == ["Random"]


def test_the_document_stays_as_it_was() -> None:
    given = document()
    before = copy.deepcopy(given)
    with_methods(given, load_methods(), ["rotnet"])
    assert given == before


@pytest.mark.usefixtures("three")
def test_a_question_about_a_method_that_is_not_asked_for_is_left_out() -> None:
    questions = [
        {"ask": "1", "baseline": "Random", "against": ["RotNet"]},
        {"ask": "2", "baseline": "Random", "against": ["RotNet", "Decoupling"]},
        {"ask": "3", "baseline": "Decoupling", "against": ["Random"]},
        {"ask": "4", "baseline": "Radnom", "against": []},  # a mistake, for `Suite` to find
    ]
    asked = {
        names: [question["ask"] for question in written(list(names), questions=questions)["questions"]]
        for names in (("rotnet", "split"), ("rotnet",), ())
    }
    assert asked == {("rotnet", "split"): ["1", "2", "3", "4"], ("rotnet",): ["1", "4"], (): ["4"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs": {"{method}": {}, "one": {"backbone": "{method}"}}}, "run 'one' is of {method}, and its key does not say so."),
        ({"runs": {"{method}": {}, "rotnet": {}}}, "run 'rotnet' occurs twice"),
        ({"runs": {"top-{method}": {}, "top-rotnet": {}}}, "run 'top-rotnet' occurs twice"),
        ({"rows": [{"label": "RotNet", "run": "{method}", "metric": "m"}]}, "row 'RotNet' is of {method}, and its label does"),
    ],
)
def test_what_would_be_the_same_for_every_method_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RotnetError, match=re.escape(message)):
        written(["rotnet"], **changes)


def test_a_suites_file_with_such_a_mistake_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text('{title: t, runs: {"{method}": {notebook: pretrain}, b: {notebook: "{method}"}}}')
    with pytest.raises(RotnetError, match=r"suites/mine\.yaml: run 'b' is of \{method\}"):
        load_suite("mine", folder=tmp_path)


@pytest.mark.parametrize(
    ("said", "part"), [("[arch]", "set"), ("{arch: [nin4]}", "arch is a name"), ("{arch: 3}", "arch is a")]
)
def test_what_is_malformed_in_a_run_of_a_method_is_named(said: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(f'{{title: t, runs: {{"{{method}}": {{notebook: pretrain, set: {said}}}}}}}')
    with pytest.raises(RotnetError, match=rf"suites/mine\.yaml: .*{part}"):
        load_suite("mine", folder=tmp_path)


def test_each_row_is_published_or_our_own_by_its_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Scattering table 3 has the row, and none with a classifier behind it."""
    scattering = "Scattering (Oyallon et al., 2017)"
    use_methods(tmp_path, monkeypatch, split=SPLIT | {"labels": {"table3": scattering}})
    own = {row.label: row.published for row in load_suite("table3", methods="split").rows if scattering in row.label}
    assert own
    assert not any(own.values())
    [published, _] = written(["split"], published="table3")["rows"]
    assert published == {"label": scattering, "run": "top-split", "metric": "conv2_top1"}


# --- The tables ---

TABLES = (
    *("detection", "frozen-stem", "knn-cifar10", "knn-imagenet", "segmentation"),
    *("table3", "table4", "table5", "table6", "table7", "table8", "table9"),
)


def rows(plan: Plan) -> dict[str, bool]:
    """Label -> whether the published table has the row."""
    return {row.label: row.published for row in plan.suite.rows}


def test_the_tables_that_compare_methods_have_rows_for_each() -> None:
    assert suites_with_methods() == list(TABLES)


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(("suite", "preset"), suites_with_presets(TABLES))
@pytest.mark.parametrize("methods", ["all", "split", "core,instance"])
def test_every_choice_of_methods_can_be_planned(suite: str, preset: str, methods: str) -> None:
    plan = planned(suite, Options(preset=preset, methods=methods))
    assert len({run.name for run in plan.runs}) == len(plan.runs)
    named = {run.config.model_dump().get("task") for run in plan.runs} - {None, "labels"}
    tasks = {"all": {"rotation", "rotation-instance", "decoupling"}, "split": {"decoupling"}}
    assert named == tasks.get(methods, {"rotation", "rotation-instance"})


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("suite", TABLES)
def test_other_methods_leave_core_runs_and_rows_as_they_are(suite: str) -> None:
    core, everything = (planned(suite, Options(preset="quick", methods=methods)) for methods in (None, "all"))
    names = {run.key: run.name for run in everything.runs}
    assert {run.key: run.name for run in core.runs}.items() < names.items()
    assert rows(core).items() < rows(everything).items()
    assert planned(suite, Options(preset="quick", methods="core")).directory == core.directory  # named from its runs


@pytest.mark.usefixtures("three")
def test_a_method_has_its_published_row_or_one_of_our_own() -> None:
    found = rows(planned("table5", Options(preset="quick", methods="all")))
    assert (found["RotNet"], found["Context (Doersch et al., 2015)"], found["Decoupling"]) == (True, True, False)
    found = rows(planned("table6", Options(preset="quick", methods="all")))
    assert (found["RotNet"], found["Instances"], found["Decoupling"]) == (True, False, False)
    for label in ("RotNet", "Instances", "Decoupling"):
        assert found[f"{label}, pretext task on Places205"] is False


@pytest.mark.usefixtures("three")
def test_a_method_that_is_not_asked_for_has_no_row_and_no_run() -> None:
    plan = planned("table5", Options(preset="quick", methods="instance"))
    assert "RotNet" not in rows(plan)
    assert [run.key for run in plan.runs if "rotnet" in run.key] == []
    assert {"ImageNet labels", "Random"} < set(rows(plan))  # baselines are the table's own


@pytest.mark.usefixtures("three")
def test_rows_of_table3_are_named_after_the_method() -> None:
    plan = planned("table3", Options(preset="quick", methods="split"))
    assert rows(plan) == {
        "Supervised NIN": True,
        "Random Init. + conv": True,
        "Decoupling + non-linear": False,
        "Decoupling + conv": False,
        "Decoupling + non-linear (fine-tuned)": False,
        "Decoupling + conv (fine-tuned)": False,
    }
    keys = [run.key for run in plan.runs if run.config.stage == "finetune"]
    assert keys == ["finetuned-split-nonlinear", "finetuned-split-conv"]


def test_keys_of_rotnets_runs_are_what_users_know() -> None:
    keys = {
        "table3": {"rotnet", "rotnet-nonlinear", "rotnet-conv", "finetuned-nonlinear", "finetuned-conv"},
        "table5": {"rotnet", "linear-rotnet"},
        "table6": {"rotnet", "rotnet-places", "places-rotnet", "places-rotnet-places"},
        "table7": {"rotnet", "fc-rotnet", "all-rotnet", "detection-rotnet", "segmentation-rotnet"},
    }
    assert all(expected < set(load_suite(name).runs) for name, expected in keys.items())


def test_labels_of_shipped_methods_are_rows_of_their_tables() -> None:
    """A row that the table does not have would be one of our own."""
    for name, method in load_methods().items():
        able = [table for table in TABLES if name in {method.name for method in load_suite(table).methods}]
        assert not {load_suite(table).published for table in TABLES if table not in able} & method.labels.keys()
        for suite in map(partial(load_suite, methods=name), able):
            label = method.labels.get(suite.published or "", method.label)
            published = [bool(suite.published) and row.published for row in suite.rows if row.label.startswith(label)]
            assert any(published) == (suite.published in method.labels), (name, suite.name)


# --- METHODS for a suite ---


def test_a_suite_without_rows_for_methods_says_so() -> None:
    with pytest.raises(
        RotnetError,
        match=r"METHODS: table1 has no rows for methods\. Leave METHODS out\. .* knn-imagenet, segmentation, table3",
    ):
        planned("table1", Options(preset="quick", methods="core"))
    assert planned("table1", Options(preset="quick")).suite.methods == []


@pytest.mark.parametrize("suite", ["table1", "table5"])
def test_an_unknown_method_is_named_first(suite: str) -> None:
    with pytest.raises(RotnetError, match=r"unknown method in METHODS, 'rotne'; did you mean 'rotnet'\?"):
        planned(suite, Options(preset="quick", methods="rotne"))


@pytest.mark.usefixtures("three")
def test_in_a_collection_it_is_for_the_suites_that_have_such_rows() -> None:
    core, more = (make_plan("cifar10", Options(preset="quick", methods=methods)) for methods in (None, "core,split"))
    assert isinstance(core, CollectionPlan)
    assert isinstance(more, CollectionPlan)
    grown = {a.suite.name for a, b in zip(core.parts, more.parts, strict=True) if a.directory != b.directory}
    assert grown == {"table3", "table9"}
    with pytest.raises(RotnetError, match="METHODS: decoupling-cifar10 has no rows for methods"):
        make_plan("decoupling-cifar10", Options(preset="quick", methods="core"))


@pytest.mark.usefixtures("three")
def test_the_plan_on_disk_says_which_were_asked_for() -> None:
    plan = planned("table5", Options(preset="quick", methods="core,split"))
    assert {method.name: method.asked for method in plan.suite.methods} == {"rotnet": True, "instance": False, "split": True}
    assert plan.directory != planned("table5", Options(preset="quick")).directory

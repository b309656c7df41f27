"""What is wrong in a suite's or a preset's YAML is named."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rotnet_lib.errors import RotnetError
from rotnet_lib.stages.backbone_config import UNTRAINED
from rotnet_lib.suites.presets import Preset, preset_named
from rotnet_lib.suites.suite import Suite, SuiteRun, load_suite, suite_names


def suite_values(**changes: Any) -> dict[str, Any]:
    values = {
        "name": "mine",
        "title": "Mine",
        "published": "table3",
        "source": "rotnet",
        "runs": {"supervised": {"notebook": "pretrain", "set": {"task": "labels"}}},
        "rows": [row()],
    }
    return values | changes


def row(label: str = "Supervised NIN", run: str = "supervised", **cell: Any) -> dict[str, Any]:
    return {"label": label, "cells": {"top1": {"run": run, "metric": "top1"} | cell}}


WIDE = {"label": "RotNet + conv", "cells": {c: {"run": "supervised", "metric": f"{c}_top1"} for c in ("conv1", "conv2")}}
ASKED = {"ask": "Why?", "baseline": "RotNet + conv", "against": ["RotNet + conv"]}


def test_a_suite_may_be_as_small_as_this() -> None:
    assert Suite(**suite_values()).runs["supervised"].notebook == "pretrain"


def test_a_metric_that_a_run_will_not_have_is_named() -> None:
    suite = Suite(**suite_values(rows=[WIDE]))
    suite.check_metrics("supervised", ("conv1_top1", "conv2_top1", "conv3_top1"))
    with pytest.raises(
        RotnetError, match=r"suites/mine.yaml: unknown metric of row 'RotNet \+ conv', run 'supervised', 'conv2_top1'"
    ):
        suite.check_metrics("supervised", ("conv1_top1", "conv3_top1"))


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"runs": {"supervised": {"notebook": "pretrian"}}}, ["notebook of run 'supervised' 'pretrian'", "'pretrain'?"]),
        (
            {"runs": {"supervised": {"notebook": "probe", "backbone": "supervized"}}},
            ["run that 'supervised' builds on, 'supervized'", "did you mean 'supervised'?", "random"],
        ),
        (
            {"runs": {"supervised": {"notebook": "pretrain", "set": {"pu_weights": "@rotnot"}}}},
            ["run that 'supervised' builds on, 'rotnot'", "Allowed: random, random-rescaled, supervised"],
        ),
        (
            {"runs": {"supervised": {"notebook": "pretrain", "set": {"compare": ["@supervised", "@suprevised"]}}}},
            ["run that 'supervised' builds on, 'suprevised'", "did you mean 'supervised'?"],
        ),
        (
            {"rows": [row(run="suprevised")]},
            ["run of row 'Supervised NIN' 'suprevised'", "did you mean 'supervised'?"],
        ),
        (
            {"rows": [row(label="Supervised NiN")]},
            ["row of table3 'Supervised NiN'", "did you mean 'Supervised NIN'?"],
        ),
        ({"rows": [row(), row()]}, ["2 rows are called 'Supervised NIN'", "rename all but one"]),
        ({"published": "tabel3"}, ["published table 'tabel3'", "did you mean 'table3'?"]),
        (
            {"questions": [{"ask": "Why?", "baseline": "Supervised NIN", "against": ["Superwised NIN"]}]},
            ["row of question 'Why?' 'Superwised NIN'", "did you mean 'Supervised NIN'?"],
        ),
        (
            {"questions": [{"ask": "Why?", "baseline": "Supervized NIN", "against": []}]},
            ["row of question 'Why?' 'Supervized NIN'", "did you mean 'Supervised NIN'?"],
        ),
        ({"rows": [WIDE], "questions": [{**ASKED, "column": "conv3"}]}, ["column of question 'Why?' 'conv3'", "conv1, conv2"]),
        (
            {"questions": [{**ASKED, "yes_if": "higher", "how_much": "higher"}]},
            ["question 'Why?' has both yes_if and how_much", "drop one"],
        ),
        ({"rows": [WIDE], "questions": [ASKED]}, ["question 'Why?' needs a column: row 'RotNet + conv' has conv1, conv2"]),
        ({"rows": [row(at=1.5)]}, ["rows.0.cells.top1.at", "less than or equal to 1"]),
        ({"rows": [WIDE | {"by_target": True}]}, ["row 'RotNet + conv' is by target, so it has one cell, not conv1, conv2"]),
        (
            {"axis": "epochs", "runs": {"supervised": {"notebook": "voc_detection"}}},
            ["axis: epochs are counted, but run 'supervised' (voc_detection) has none"],
        ),
        (
            {"axis": "labels", "runs": {"supervised": {"notebook": "voc_detection", "backbone": "random"}}},
            ["axis: labels per class are counted, but run 'supervised' (voc_detection) has none"],
        ),
        ({"axis": "epoch"}, ["axis", "'epochs' or 'labels'"]),
        ({"titel": "x"}, ["titel"]),
        ({"runs": {"supervised": {"notebook": "pretrain", "sets": {}}}}, ["sets"]),
    ],
)
def test_what_is_wrong_in_a_suite_is_named(changes: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises((ValidationError, RotnetError)) as error:
        Suite(**suite_values(**changes))
    for part in parts:
        assert part in str(error.value)


def test_a_suites_file_with_something_wrong_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("{title: t, runs: {one: {notebook: pretrain, sets: {}}}}")
    with pytest.raises(RotnetError, match=r"suites/mine\.yaml: runs\.one\.sets "):
        load_suite("mine", folder=tmp_path)


def test_references_are_the_values_that_begin_with_an_at() -> None:
    run = SuiteRun(notebook="pretrain", backbone="b", set={"pu_weights": "@rotnet", "task": "rotation", "lr": 0.1})
    assert run.upstream == ("b", "rotnet")
    assert run.parameters({"b": "run-b", "rotnet": "run-r"}) == {"pu_weights": "run-r", "task": "rotation", "lr": 0.1}


def test_a_list_may_refer_to_several_runs() -> None:
    run = SuiteRun(notebook="probe", backbone="a", set={"others": ["@c", "@b", "kept"], "layer": ["conv1"]})
    assert run.upstream == ("a", "c", "b")
    found = run.parameters({key: f"run-{key}" for key in "abc"})
    assert found == {"others": ["run-c", "run-b", "kept"], "layer": ["conv1"]}


def test_a_run_that_refers_to_its_backbone_builds_on_it_once() -> None:
    assert SuiteRun(notebook="inspect", backbone="rotnet", set={"compare": "@rotnet"}).upstream == ("rotnet",)


@pytest.mark.parametrize("backbone", UNTRAINED)
def test_a_random_backbone_is_no_run(backbone: str) -> None:
    assert SuiteRun(notebook="probe", backbone=backbone).upstream == ()


def test_unknown_suites_and_presets_are_named_with_the_nearest() -> None:
    assert "table3" in suite_names()
    assert "presets" not in suite_names()
    with pytest.raises(RotnetError, match=r"unknown suite 'tabel3'; did you mean 'table3'\?"):
        load_suite("tabel3")
    assert "cifar10" not in suite_names()
    with pytest.raises(RotnetError, match=r"unknown suite 'cifar1'; did you mean 'cifar10'\?"):
        load_suite("cifar1")
    with pytest.raises(RotnetError, match="unknown suite 'presets'"):
        load_suite("presets")
    with pytest.raises(RotnetError, match=r"unknown preset 'quik'; did you mean 'quick'\? Allowed: paper, released, "):
        preset_named("quik")


def test_a_row_of_the_suites_own_need_not_be_published() -> None:
    rows = [row(), row(label="Ours") | {"published": False}]
    assert [entry.published for entry in Suite(**suite_values(rows=rows)).rows] == [True, False]
    with pytest.raises(ValidationError, match="row of table3 'Ours'"):
        Suite(**suite_values(rows=[row(label="Ours")]))


@pytest.mark.parametrize(
    ("key", "word", "message"),
    [
        ("probe.linear.decoupling", "epohcs", "parameter under 'probe.linear.decoupling' 'epohcs'; did you mean 'epochs'"),
        ("pretrain", "epohcs", "unknown parameter under 'pretrain' 'epohcs'; did you mean 'epochs'"),
        ("probe.conv", "task", "unknown parameter under 'probe.conv' 'task'"),
        ("all", "widht", "unknown parameter under 'all' 'widht'; did you mean 'width'"),
    ],
)
def test_a_wrong_word_in_a_preset_is_named(key: str, word: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Preset(description="of a test", set={"imagenet": {key: {word: 1}}})


@pytest.mark.parametrize(
    ("benchmark", "key", "message"),
    [
        ("imagenet", "probe.linear.decopling", "'decopling'; did you mean 'decoupling'? Allowed: decoupling"),
        ("imagenet", "probe.linear.rotnet", "'rotnet'. Allowed: decoupling"),  # what `probe.linear` says
        ("imagenet", "probe.rest.decoupling", "'decoupling'. Allowed: none"),
        ("imagenet", "finetune.linear.decoupling", "'decoupling'. Allowed: none"),
        ("imagenet", "probe.linear.decoupling.more", "'decoupling.more'; did you mean 'decoupling'"),
        ("cifar10", "probe.linear.decoupling", "'decoupling'. Allowed: none"),
    ],
)
def test_a_preset_names_recipes_that_have_a_schedule(benchmark: str, key: str, message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(f"unknown recipe of '{key}' {message}")):
        Preset(description="of a test", set={benchmark: {key: {}}})


def test_a_preset_is_by_benchmark() -> None:
    with pytest.raises(ValidationError, match="unknown benchmark 'cifar'; did you mean 'cifar10'"):
        Preset(description="of a test", set={"cifar": {"all": {}}})
    with pytest.raises(ValidationError, match="unknown benchmark 'imagnet'; did you mean 'imagenet'"):
        Preset(description="of a test", only="imagnet")

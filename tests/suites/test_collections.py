"""Runs that several suites share, and suites that are made together."""

import json
import re
from typing import Any

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.suites.plan import CollectionPlan, Options, Plan, PlannedRun, make_plan, plan_suite, runs_by_key
from rotnet_lib.suites.suite import collection_names, load_collection, load_suite, suite_names


def plan_of(text: str = "", *, suite: str = "table3", **options: Any) -> Plan:
    return plan_suite(suite, Options(**({"preset": "quick", "set": text} | options)))


# --- Runs that suites share ---


def shared(suite: str, key: str, **options: Any) -> str:
    return next(run.name for run in plan_of(suite=suite, **options).runs if run.key == key)


@pytest.mark.parametrize("preset", ["paper", "released", "quick", "short"])
@pytest.mark.parametrize(
    ("run", "same"),
    [
        (("figure5a", "probe-all"), ("table3", "rotnet-nonlinear")),
        (("table2", "rotnet-nonlinear"), ("table3", "rotnet-nonlinear")),
        (("questions", "rotnet-nonlinear"), ("table3", "rotnet-nonlinear")),
        (("figure5b", "rotnet-all"), ("table3", "rotnet-conv")),
        (("figure5b", "supervised-all"), ("table3", "supervised")),
        (("table9", "supervised"), ("table3", "supervised")),
        (("table9", "rotnet-conv"), ("table3", "rotnet-conv")),
        (("inspect", "supervised"), ("table3", "supervised")),
        (("table1", "rotnet"), ("table3", "rotnet")),
        (("questions", "rotnet-8"), ("table2", "rotnet-8")),
        (("knn-cifar10", "rotnet"), ("table3", "rotnet")),
        (("knn-cifar10", "supervised"), ("table3", "supervised")),
    ],
    ids=lambda names: "-".join(names),
)
def test_the_same_experiment_has_one_name_in_every_suite(preset: str, run: tuple[str, str], same: tuple[str, str]) -> None:
    assert shared(*run, preset=preset) == shared(*same, preset=preset)


def test_probes_of_figure5a_are_of_checkpoints_that_the_pretext_run_keeps() -> None:
    runs = {run.key: run.config.model_dump() for run in plan_of(suite="figure5a").runs}
    asked = [runs[f"probe-{share}"]["checkpoint"] for share in ("0.2", "0.4", "0.6", "0.8", "all")]
    assert asked[:-1] == list(runs["rotnet"]["checkpoints"])
    assert asked[-1] is None


# --- Collections ---


def collection(text: str = "", **options: Any) -> CollectionPlan:
    plan = make_plan("cifar10", Options(**({"preset": "quick", "set": text} | options)))
    assert isinstance(plan, CollectionPlan)
    return plan


def test_a_collection_holds_every_run_of_its_suites_once() -> None:
    plan = collection()
    assert [run.name for run in plan.runs] == list(dict.fromkeys(run.name for part in plan.parts for run in part.runs))
    assert sum(len(part.runs) for part in plan.parts) > len(plan.runs)


def test_every_suite_there_is_belongs_to_one_collection_or_is_asked_for_by_name() -> None:
    assert collection_names() == ["cifar10", "decoupling-cifar10", "decoupling-imagenet", "imagenet", "voc"]
    collected = [suite for name in collection_names() for suite in load_collection(name).suites]
    assert (
        sorted([*collected, "decoupling-ablation", "detection", "knn-cifar10", "knn-imagenet", "segmentation", "shortcuts"])
        == suite_names()
    )
    assert [part.suite.name for part in collection().parts] == load_collection("cifar10").suites


def test_a_collections_runs_come_behind_those_they_build_on() -> None:
    seen: set[str] = set()
    for run in collection(seeds=2).runs:
        assert {upstream.name for upstream in run.upstream} <= seen
        seen.add(run.name)


def test_a_suite_of_a_collection_has_the_directory_it_has_alone() -> None:
    parts = {part.suite.name: part.directory for part in collection("epochs=3", seeds=2).parts}
    assert parts == {name: plan_of("epochs=3", suite=name, seeds=2).directory for name in parts}


def test_an_override_may_be_for_a_run_of_one_suite_of_the_collection() -> None:
    before, after = collection(), collection("probe-0-180.lr=0.5")

    def changed(one: tuple[PlannedRun, ...], other: tuple[PlannedRun, ...]) -> list[str]:
        return [a.key for a, b in zip(one, other, strict=True) if a.name != b.name]

    assert changed(before.runs, after.runs) == ["probe-0-180"]


def test_an_override_of_a_shared_run_is_for_it_in_every_suite() -> None:
    plan = collection("rotnet.lr=0.5")
    assert len({run.name for part in plan.parts for run in part.runs if run.key == "rotnet"}) == 1


def test_a_target_that_no_suite_of_the_collection_has_is_named() -> None:
    with pytest.raises(RotnetError, match=r"'probe-0-18'; did you mean 'probe-0-180'\?"):
        collection("probe-0-18.lr=0.5")


def test_a_collections_plan_on_disk_names_its_suites_directories() -> None:
    plan = collection()
    path = plan.write()
    assert re.fullmatch(r"cifar10-quick-[0-9a-f]{8}", path.parent.name)
    document = json.loads(path.read_text())
    assert document["collection"]["parts"] == {part.suite.name: part.directory.name for part in plan.parts}
    assert document["collection"]["title"] == plan.collection.title
    assert [run["name"] for run in document["runs"]] == [run.name for run in plan.runs]


def test_a_collection_is_no_suite() -> None:
    with pytest.raises(RotnetError, match="unknown suite 'cifar10'"):
        plan_suite("cifar10", Options(preset="quick"))


def test_a_key_means_one_run_in_suites_made_together() -> None:
    suite = load_suite("table1")
    other = suite.model_copy(update={"name": "other", "runs": {"rotnet": suite.runs["rotnet5"]}})
    with pytest.raises(RotnetError, match=r"suites/other\.yaml: run 'rotnet' is another run .* Rename it"):
        runs_by_key([suite, other])
    assert list(runs_by_key([suite, load_suite("table3")]))[:3] == ["rotnet3", "rotnet", "rotnet5"]

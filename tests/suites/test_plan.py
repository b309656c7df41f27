"""Plans: what runs, under which name, on what; and everything that is wrong is found here, before any kernel starts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext.parts.pu import CHOICE
from rotnet_lib.stages import STAGES
from rotnet_lib.suites.plan import Options, Plan, make_plan, plan_suite, upstream_first
from rotnet_lib.suites.presets import load_presets, preset_named
from rotnet_lib.suites.suite import Suite, load_suite, suite_names
from tests.results import finish_planned


def plan_of(text: str = "", *, suite: str = "table3", **options: Any) -> Plan:
    return plan_suite(suite, Options(**({"preset": "quick", "set": text} | options)))


def names(plan: Plan) -> dict[str, str]:
    return {run.key: run.name for run in plan.runs}


def renamed(text: str, *, base: str = "") -> set[str]:
    """The runs of table 3 that an override makes anew."""
    before, after = names(plan_of(base)), names(plan_of(f"{base} {text}"))
    return {key for key in before if before[key] != after[key]}


FINETUNED = {"finetuned-nonlinear", "finetuned-conv"}
ROTNETS = {"rotnet", "rotnet-nonlinear", "rotnet-conv", *FINETUNED}


# --- Names along the chain ---


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("rotnet.lr=0.07", ROTNETS),
        ("rotnet.task_options.angles=[0, 180]", ROTNETS),
        ("rotnet.arch=nin5", ROTNETS),
        ("supervised.lr=0.07", {"supervised"}),
        ("rotnet-conv.lr=0.07", {"rotnet-conv"}),
        ("probe.lr=0.07", {"random-conv", "rotnet-nonlinear", "rotnet-conv"}),
        ("labels_per_class=20", ROTNETS | {"supervised", "random-conv"}),
        ("finetune.labels_per_class=20", FINETUNED),
        ("lr=0.07", ROTNETS | {"supervised", "random-conv"}),
        ("threads=2 device=cpu", set()),
        ("momentum=0.9", set()),
    ],
)
def test_a_change_renames_the_run_and_what_builds_on_it(text: str, changed: set[str]) -> None:
    assert renamed(text) == changed


def test_a_run_names_the_one_it_builds_on() -> None:
    runs = {run.key: run for run in plan_of().runs}
    for key in ROTNETS - {"rotnet"}:
        assert runs[key].upstream == (runs["rotnet"],)
        assert runs[key].config.model_dump()["backbone"] == runs["rotnet"].name
    assert runs["random-conv"].upstream == ()
    assert runs["random-conv"].config.model_dump()["backbone"] == "random"


def test_a_run_follows_the_arch_and_width_of_the_one_it_builds_on() -> None:
    configs = {run.key: run.config.model_dump() for run in plan_of("rotnet.arch=nin5 rotnet.width=0.5").runs}
    assert {(configs[key]["arch"], configs[key]["width"]) for key in ROTNETS} == {("nin5", 0.5)}
    assert (configs["random-conv"]["arch"], configs["random-conv"]["width"]) == ("nin4", 0.125)


def test_upstream_runs_come_first() -> None:
    order = [(run.key, run.config.seed) for run in plan_of(seeds=2).runs]
    assert len(order) == 14
    for key, seed in order:
        if key in ROTNETS - {"rotnet"}:
            assert order.index(("rotnet", seed)) < order.index((key, seed))


def test_seeds_are_runs_of_their_own_on_backbones_of_their_own() -> None:
    plan = plan_of(seeds=3)
    assert len({run.name for run in plan.runs}) == 21
    assert {run.config.seed for run in plan.runs} == {0, 1, 2}
    for run in plan.runs:
        for upstream in run.upstream:
            assert upstream.config.seed == run.config.seed
    assert {run.name for run in plan_of().runs} <= {run.name for run in plan.runs}  # seed 0 is not made again


def test_the_same_words_give_the_same_plan() -> None:
    one, two = plan_of("epochs=3 probe.lr=0.2"), plan_of("probe.lr=0.2   epochs=3")
    assert names(one) == names(two)
    assert one.directory == two.directory
    assert plan_of("epochs=4").directory != one.directory
    assert plan_of(seeds=2).directory != plan_of().directory


def test_the_words_of_the_makefiles_help_are_valid() -> None:
    text = "epochs=20 probe.lr=0.05 rotnet.width=0.5"
    makefile = Path(__file__).parents[2] / "Makefile"
    if makefile.exists():
        assert f'SET="{text}"' in makefile.read_text()
    found = {run.key: run.config.model_dump() for run in plan_of(text).runs}
    assert {config["epochs"] for config in found.values()} == {20}
    assert (found["rotnet-conv"]["lr"], found["rotnet"]["width"], found["rotnet-conv"]["width"]) == (0.05, 0.5, 0.5)


@pytest.mark.parametrize(
    ("text", "departures"),
    [
        ("", {}),
        ("epochs=3 lr=0.5 width=0.5 threads=2", {}),  # those are measured against the protocol
        ("supervised.arch=nin5", {"supervised": {"arch": ["nin3", "nin5"]}}),
        ("rotnet.arch=nin5", {"rotnet": {"arch": ["nin4", "nin5"]}}),  # and not again for what builds on it
        ("finetune.labels_per_class=20 rotnet-conv.epochs=3", {k: {"labels_per_class": [None, 20]} for k in FINETUNED}),
        ("rotnet-nonlinear.classifier=linear", {"rotnet-nonlinear": {"classifier": ["nonlinear", "linear"]}}),
        ("rotnet.task_options.gamma=3", {"rotnet": {"task_options.gamma": [2.0, 3.0]}}),  # and not the other options
    ],
)
def test_a_change_that_makes_it_another_experiment_is_noted(text: str, departures: dict[str, Any]) -> None:
    plan = plan_of(text)
    assert {run.key: run.departures for run in plan.runs if run.departures} == departures
    written = {entry["key"]: entry["departures"] for entry in json.loads(plan.write().read_text())["runs"]}
    assert {key: value for key, value in written.items() if value} == departures


# --- Where values come from ---


def test_each_word_counts_over_the_one_before() -> None:
    """Protocol, preset, suite, DATASET, SET."""
    configs = {run.key: run.config.model_dump() for run in plan_of().runs}
    assert configs["rotnet"]["momentum"] == 0.9
    assert configs["rotnet"]["batch_size"] == preset_named("quick").set["cifar10"]["pretrain"]["batch_size"]
    assert configs["supervised"]["arch"] == "nin3"
    assert {config["dataset"] for config in configs.values()} == {"shapes"}
    plan = plan_of("supervised.arch=nin5 batch_size=64 image_size=32", dataset="cifar10")
    asked = {run.key: run.config.model_dump() for run in plan.runs}
    assert {config["dataset"] for config in asked.values()} == {"cifar10"}
    assert {config["batch_size"] for config in asked.values()} == {64}
    assert asked["supervised"]["arch"] == "nin5"
    probes = {run.key: run.config.dataset for run in plan_of("probe.dataset=cifar10 image_size=32").runs}
    assert (probes["rotnet-conv"], probes["rotnet"]) == ("cifar10", "shapes")


@pytest.mark.parametrize("preset", ["paper", "quick"])
def test_an_arch_of_another_benchmark_stays_on_the_suites_data(preset: str) -> None:
    """With its own schedule, but for what the preset says to this suite."""
    plan = plan_of("rotnet.arch=alexnet", preset=preset)
    assert {run.dataset for run in plan.runs} == {"cifar10"}
    assert len({run.config.source()[:2] for run in plan.runs}) == 1
    configs = {run.key: run.config.model_dump() for run in plan.runs}
    assert {configs[key]["arch"] for key in ROTNETS} == {"alexnet"}
    assert configs["rotnet-conv"]["lr"] == 0.01
    assert configs["rotnet"]["lr"] == (0.01 if preset == "paper" else 0.05)


def test_readme_words_for_own_images(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / "photos" / split / "cat").mkdir(parents=True)
        (tmp_path / "photos" / split / "cat" / "a.jpg").write_bytes(b"picture")
    plan = plan_of("train_size=null test_size=null image_size=32", dataset=f"imagefolder:{tmp_path}/photos")
    for run in plan.runs:
        assert (run.config.train_size, run.config.test_size, run.config.source()[1]) == (None, None, 32)
        assert "-photos-" in run.name


def test_without_a_gpu_the_preset_is_quick_and_with_one_paper() -> None:
    plan = make_plan("table3", Options(), gpu=lambda: None)
    assert plan.preset == "quick"
    assert "no GPU" in plan.preset_reason
    plan = plan_suite("table3", Options(), gpu=lambda: "Some GPU")
    assert plan.preset == "paper"
    assert "Some GPU" in plan.preset_reason
    assert make_plan("table3", Options(preset="quick"), gpu=lambda: pytest.fail("asked")).preset_reason == "as given"


# --- What is written ---


def test_the_plan_on_disk_is_all_an_engine_needs() -> None:
    plan = plan_of("epochs=3", seeds=2)
    path = plan.write()
    assert path.parent == plan.directory
    assert re.fullmatch(r"table3-quick-[0-9a-f]{8}", path.parent.name)
    document = json.loads(path.read_text())
    assert document["preset"] == "quick"
    said = {"preset": "quick", "dataset": None, "seeds": 2, "set": "epochs=3", "runs": "runs", "methods": None}
    assert document["options"] == said
    for entry, run in zip(document["runs"], plan.runs, strict=True):
        assert (entry["key"], entry["name"], entry["dataset"]) == (run.key, run.name, run.dataset)
        assert entry["upstream"] == [upstream.name for upstream in run.upstream]
        assert STAGES[entry["notebook"]].config.build(entry["parameters"]) == run.config
    assert Suite(**document["suite"]) == load_suite("table3")


def test_making_a_plan_writes_nothing(tmp_path: Path) -> None:
    plan_of()
    assert list(tmp_path.iterdir()) == []


def test_a_plan_sees_what_is_finished() -> None:
    run = plan_of().runs[0]
    finish_planned(run)
    assert [run.directory.finished for run in plan_of().runs] == [True] + [False] * 6


# --- What is wrong ---


@pytest.mark.parametrize(
    ("suite", "options", "parts"),
    [
        ("tabel3", {}, ["unknown suite 'tabel3'", "did you mean 'table3'?"]),
        ("table3", {"preset": "quik"}, ["unknown preset 'quik'", "did you mean 'quick'?", "paper, released"]),
        ("table3", {"seeds": 0}, ["seeds: at least 1, not 0"]),
        ("table3", {"dataset": "shape"}, ["unknown dataset of table3 'shape'", "did you mean 'shapes'?"]),
        ("table3", {"dataset": "imagefolder"}, ["imagefolder:/path"]),
        ("table3", {"dataset": "imagefolder:/no/such/photos"}, ["no folder /no/such/photos/train", "<class>"]),
        ("table3", {"set": "epohcs=20"}, ["'epohcs'", "did you mean 'epochs'?"]),
        ("table3", {"set": "epochs=0"}, ["epochs", "greater than or equal to 1"]),
        ("table3", {"set": "epochs=many"}, ["epochs", "'many'"]),
        ("table3", {"set": "rotnet.arch=nim4"}, ["unknown arch 'nim4'", "did you mean 'nin4'?"]),
        ("table3", {"set": "random-conv.arch=nim4"}, ["unknown arch 'nim4'", "did you mean 'nin4'?"]),
        ("table3", {"set": "rotnet.task=rotaton"}, ["unknown pretext task 'rotaton'", "did you mean 'rotation'?"]),
        ("table3", {"set": "rotnet.task_options.angels=[0,180]"}, ["'angels' of rotation", "did you mean 'angles'?"]),
        ("table3", {"set": "rotnet-conv.arch=nin5"}, ["rotnet-conv builds on rotnet", "set rotnet.arch"]),
        ("table3", {"set": "probe.width=0.5"}, ["builds on rotnet", "0.125", "rotnet.width"]),
        ("table3", {"set": "rotnet-conv.classifier=convv"}, ["unknown classifier 'convv'", "did you mean 'conv'?"]),
        ("table3", {"set": "layer=conv1"}, ["layer is not to be set"]),
        ("table3", {"set": "schedule=cosine"}, ["schedule", "'step' or 'one-cycle'"]),
        ("table3", {"set": "lr=.inf"}, ["lr"]),
    ],
)
def test_what_is_wrong_is_found_before_anything_runs(
    suite: str, options: dict[str, Any], parts: list[str], tmp_path: Path
) -> None:
    with pytest.raises(RotnetError) as error:
        make_plan(suite, Options(**({"preset": "quick"} | options)))
    for part in parts:
        assert part in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_runs_that_build_on_each_other_are_named() -> None:
    suite = load_suite("table3")
    runs = suite.runs | {
        "rotnet": suite.runs["rotnet-conv"].model_copy(update={"backbone": "rotnet-conv"}),
    }
    with pytest.raises(RotnetError, match="rotnet -> rotnet-conv -> rotnet"):
        upstream_first(suite.model_copy(update={"runs": runs}))


# --- References to other runs ---


def test_a_reference_becomes_the_name_of_that_run() -> None:
    runs = {run.key: run for run in plan_of(suite="inspect").runs}
    values = runs["inspect"].config.model_dump()
    assert (values["backbone"], values["compare"]) == (runs["rotnet"].name, runs["supervised"].name)


def test_a_run_builds_on_its_backbone_and_on_every_run_it_refers_to() -> None:
    runs = {run.key: run for run in plan_of(suite="inspect").runs}
    assert runs["inspect"].upstream == (runs["rotnet"], runs["supervised"])


def test_a_reference_is_to_the_run_of_the_same_seed() -> None:
    plan = plan_of(suite="questions", seeds=2)
    for run in plan.runs:
        if run.key == "weighted":
            [pu] = run.upstream
            assert (pu.key, pu.config.seed) == ("pu", run.config.seed)
            assert run.config.model_dump()["pu_weights"] == pu.name
            [rotnet] = pu.upstream
            assert (rotnet.key, rotnet.config.seed) == ("rotnet", run.config.seed)


@pytest.mark.parametrize("preset", list(load_presets()))
def test_weights_are_of_the_images_that_the_weighted_run_sees(preset: str) -> None:
    found = {run.key: run.config.model_dump() for run in plan_of(suite="questions", preset=preset).runs}
    for name in CHOICE:
        assert found["pu"][name] == found["weighted"][name], name


def test_a_change_renames_what_refers_to_the_run() -> None:
    before, after = names(plan_of(suite="inspect")), names(plan_of("supervised.lr=0.5", suite="inspect"))
    assert {key for key in before if before[key] != after[key]} == {"supervised", "inspect"}


@pytest.mark.parametrize("suite", suite_names())
def test_every_run_comes_behind_those_it_builds_on(suite: str) -> None:
    seen: set[str] = set()
    for run in plan_of(suite=suite, seeds=2).runs:
        assert {upstream.name for upstream in run.upstream} <= seen
        seen.add(run.name)


def test_a_probe_sees_grey_where_its_backbone_did() -> None:
    grey = {run.key: run.config.model_dump()["grey"] for run in plan_of("rotnet.grey=true").runs}
    assert [grey[key] for key in ("rotnet", "rotnet-conv", "finetuned-conv")] == [True] * 3
    assert [grey[key] for key in ("supervised", "random-conv")] == [False] * 2


def test_every_run_of_the_questions_can_be_set_grey() -> None:
    assert all(run.config.model_dump()["grey"] for run in plan_of("grey=true", suite="questions").runs)


def test_a_run_is_not_called_as_a_parameter_is() -> None:
    suite = load_suite("table2").model_dump()
    with pytest.raises(ValidationError, match="run 'grey' is called as a parameter is"):
        Suite(**suite | {"runs": suite["runs"] | {"grey": suite["runs"]["rotnet"]}})


# --- Seeds ---


def test_a_suite_asked_for_alone_may_say_how_many_seeds_it_needs() -> None:
    assert {run.config.seed for run in plan_suite("questions", Options(preset="quick")).runs} == {0, 1, 2}
    assert {run.config.seed for run in plan_suite("questions", Options(preset="quick", seeds=1)).runs} == {0}
    assert {run.config.seed for run in plan_suite("table3", Options(preset="quick")).runs} == {0}


def test_in_a_collection_it_has_one_seed_like_the_others() -> None:
    assert {run.config.seed for run in make_plan("cifar10", Options(preset="quick")).runs} == {0}

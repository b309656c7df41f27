"""`rotnet migrate`: finished runs of before get today's names, with all that builds on them."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors
import yaml

from rotnet_lib.data import image_files, image_versions
from rotnet_lib.pretext.parts.pu import Plausibility
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.directory import (
    HISTORY,
    METRICS,
    MODEL,
    PARAMETERS,
    PU,
    REPORT,
    RunDirectory,
    directory_of,
    finished_runs,
)
from rotnet_lib.stages import STAGES
from rotnet_lib.suites.cleaning import list_removable
from rotnet_lib.suites.plan import Options, plan_suite
from rotnet_lib.training.checkpoints import load_backbone, load_tensors
from tests.results import finish, finish_planned, forget_checksums, stand_in_page
from tests.suites.cells import run_cells
from tests.suites.runs_of_before import (
    CHAIN,
    PETS,
    TINY,
    before,
    files,
    lines,
    name_of,
    rotnet,
    today,
    with_parameters,
)

# --- The chain ---


def test_runs_are_listed_first_and_renamed_when_that_is_confirmed(old: dict[str, RunDirectory]) -> None:
    new, listed = today(), files(Path("runs"))
    assert [new[key].name != old[key].name for key in old] == [True, True, True, True, False]
    expected = {old[key].name: f"becomes {new[key].name}" for key in CHAIN}
    result = rotnet("migrate", answer="n\n")
    assert lines(result) == expected
    assert list(lines(result)).index(old["rotnet"].name) == 0  # upstream first
    assert "finished runs: 4 can be renamed, 0 cannot, 1 has today's name.\nRename 4 runs?" in result.stdout
    assert result.stdout.splitlines()[-1] == "nothing was renamed."
    assert rotnet("migrate", answer="").exit_code != 0  # nobody there to answer
    assert files(Path("runs")) == listed
    assert lines(rotnet("migrate", answer="y\n")) == expected
    assert {run.name for run in finished_runs(Path("runs").absolute())} == {run.name for run in new.values()}
    assert not any(old[key].path.exists() for key in CHAIN)
    shown = Path("runs/index.html").read_text()
    assert all(new[key].name in shown and old[key].name not in shown for key in CHAIN)
    assert {path.name for path in Path("runs").iterdir() if path.is_dir()} == {run.name for run in new.values()}


def test_a_second_call_finds_nothing_to_do(old: dict[str, RunDirectory]) -> None:
    rotnet("migrate", "--yes")
    renamed = files(Path("runs"))
    result = rotnet("migrate", "--yes")
    assert result.output == "finished runs: 0 can be renamed, 0 cannot, 5 have today's names.\nnothing to rename.\n"
    assert files(Path("runs")) == renamed


def test_without_runs_there_is_nothing(tmp_path: Path) -> None:
    assert rotnet("migrate").output.splitlines()[-1] == "nothing to rename."
    assert list(tmp_path.iterdir()) == []


def test_a_renamed_run_is_what_it_was_under_its_name_of_today(old: dict[str, RunDirectory]) -> None:
    results = {key: run.result() for key, run in old.items()}
    tensors = {key: load_tensors(old[key].path / MODEL)[0] for key in ("rotnet", "probe", "weighted")}
    history = (old["rotnet"].path / HISTORY).read_bytes()
    rotnet("migrate", "--yes")
    new = today()
    for key in CHAIN:
        result = new[key].result()
        new[key].check_files()
        same = {"run", "parameters", "renamed_from", "data", "checksum"}
        assert result.model_dump(exclude=same) == results[key].model_dump(exclude=same)
        assert result.renamed_from == [old[key].name]
        changed = {name for name in result.parameters if result.parameters[name] != results[key].parameters[name]}
        assert changed == {"rotnet": set(), "probe": {"backbone"}, "weights": {"backbone"}, "weighted": {"pu_weights"}}[key]
        assert yaml.safe_load((new[key].path / PARAMETERS).read_text()) == result.parameters
    assert (new["rotnet"].path / HISTORY).read_bytes() == history
    for key, expected in tensors.items():
        found, _ = load_tensors(new[key].path / MODEL)
        assert found.keys() == expected.keys()
        assert all(found[name].equal(expected[name]) for name in expected)
    load_backbone(new["rotnet"].path / "model-epoch1.safetensors")
    images = Plausibility.load(new["weights"].path / PU).images
    assert images["fingerprint"] == new["weights"].result().data.fingerprint


def test_what_builds_on_a_renamed_run_can_be_made(old: dict[str, RunDirectory]) -> None:
    rotnet("migrate", "--yes")
    new = today()
    for stage, more in (("probe", {"backbone": new["rotnet"].name}), ("pretrain", {"pu_weights": new["weights"].name})):
        config = STAGES[stage].config.build({"dataset": PETS, "arch": "nin3", "seed": 1} | TINY | more)
        STAGES[stage].run(config).save()
        assert directory_of(config, config.fingerprint()).finished


def test_the_newest_run_is_the_one_it_was(old: dict[str, RunDirectory]) -> None:
    os.utime(old["drawn"].path / METRICS, (2e9, 2e9))
    order = [run.name for run in finished_runs(Path("runs").absolute())]
    names = {run.name: today()[key].name for key, run in old.items()}
    rotnet("migrate", "--yes")
    assert [run.name for run in finished_runs(Path("runs").absolute())] == [names[name] for name in order]


def test_planning_finds_a_renamed_run(old: dict[str, RunDirectory]) -> None:
    """Its page, which named the run of before, is to be drawn again."""
    asked = ("run", "pretrain", "--preset", "none", *words(old["rotnet"].parameters()))
    rotnet("migrate", "--yes")
    new = today()["rotnet"]
    assert {path.name for path in new.path.iterdir()} == {
        METRICS,
        PARAMETERS,
        HISTORY,
        MODEL,
        "model-epoch1.safetensors",
        "seen.json",
    }
    assert new.state == "finished"
    assert new.lacks_page
    stand_in_page(new)
    assert f"{new.path} is finished already; delete it" in rotnet(*asked).output


def words(parameters: dict[str, Any]) -> Iterator[str]:
    for name in ("dataset", "arch", "checkpoints", *TINY):
        yield from ("-p", name, json.dumps(parameters[name]))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_page_of_a_renamed_run_is_drawn_from_its_result(old: dict[str, RunDirectory]) -> None:
    rotnet("migrate", "--yes")
    for key, run in today().items():
        if key in ("rotnet", "probe"):
            before_ = (run.path / METRICS).read_bytes()
            run_cells(run.result().stage, run.parameters() | {"preset": "none"}, run.path)
            assert (run.path / METRICS).read_bytes() == before_
            assert not run.lacks_page
            assert run.name in (run.path / REPORT).read_text()
            assert not any(other.name in (run.path / REPORT).read_text() for other in old.values())


def test_a_suite_finds_its_renamed_runs(old: dict[str, RunDirectory]) -> None:
    options = Options(preset="quick", dataset=PETS, set="train_size=20 test_size=10")
    with before():
        planned = plan_suite("table3", options)
        planned.write()
        for run in planned.runs:
            finish_planned(run)
    asked = ("status", "table3", "--preset", "quick", "--dataset", PETS, "--set", options.set)
    assert f"{len(planned.runs)} missing" in rotnet(*asked).stdout
    rotnet("migrate", "--yes")
    assert f"{len(planned.runs)} finished; {len(planned.runs)} finished, page missing" in rotnet(*asked).stdout
    assert f"{len(planned.runs)} of {len(planned.runs)}" in Path("runs/index.html").read_text()
    unnamed = {item.path.name for item in list_removable("runs").of(["runs"])}
    assert unnamed == {run.name for run in today().values()}  # those of no suite


def test_runs_are_followed_wherever_they_are_named(old: dict[str, RunDirectory]) -> None:
    """As one of several, as the run beside, and by the path of a file."""

    def ask(stage: str, **parameters: Any) -> RunConfig:
        config = STAGES[stage].config.build({"dataset": PETS, "arch": "nin3", "width": 0.05} | parameters)
        if make:
            finish(directory_of(config, config.fingerprint()), config, config.fingerprint())
        return config

    def chain(backbone: str) -> list[RunConfig]:
        folds = [name_of(ask("pretrain", fold=fold, epochs=1)) for fold in ("1/3", "2/3", "3/3")]
        return [
            ask("pu_weights", backbone=folds[0], others=folds[1:]),
            ask("inspect", backbone=folds[0], compare=folds[1]),
            ask("probe", backbone=f"runs/{backbone}/model-epoch1.safetensors", epochs=1),
            ask("probe", backbone=str(Path("runs", backbone, MODEL).absolute()), epochs=1),
        ]

    make = True
    with before():
        chain(old["rotnet"].name)
    rotnet("migrate", "--yes")
    make = False
    for config in chain(today()["rotnet"].name):
        assert directory_of(config, config.fingerprint()).finished


def test_weights_from_elsewhere_are_named_as_before(old: dict[str, RunDirectory], tmp_path: Path) -> None:
    shutil.copy(old["rotnet"].path / MODEL, "released.safetensors")
    for backbone in ("released.safetensors", str(tmp_path / "released.safetensors"), "random"):
        config = STAGES["probe"].config.build(TINY | {"dataset": PETS, "arch": "nin3", "backbone": backbone})
        with before():
            run = directory_of(config, fingerprint := config.fingerprint())
        finish(run, config, fingerprint)
        assert lines(rotnet("migrate", answer="n\n"))[run.name] == f"becomes {name_of(config)}"


# --- Files from before they carried checksums ---


def test_what_was_unverified_stays_so(old: dict[str, RunDirectory]) -> None:
    for key in ("rotnet", "weights"):
        forget_checksums(old[key])
    for path in (old["rotnet"].path / MODEL, old["weights"].path / PU):
        tensors, header = load_tensors(path)
        safetensors.torch.save_file(tensors, path, {"format": "rotnet-1", "header": json.dumps(header)})
    note_unverified(old["probe"], f"{old['rotnet'].name}/{MODEL}")
    rotnet("migrate", "--yes")
    new = today()
    for key in ("rotnet", "weights"):
        assert new[key].finished
        assert new[key].result().checksum is None
    for path in (new["rotnet"].path / MODEL, new["weights"].path / PU):
        with safetensors.safe_open(path, framework="pt") as file:
            assert file.metadata().keys() == {"format", "header"}
    assert Plausibility.load(new["weights"].path / PU).images["fingerprint"] == new["weights"].result().data.fingerprint
    assert new["probe"].result().unverified == [f"{new['rotnet'].name}/{MODEL}"]


def note_unverified(run: RunDirectory, file: str) -> None:
    result = run.result()
    result.unverified = [file]
    run.save(result)


# --- Other changes of names ---


def test_a_parameter_that_was_added_takes_its_default(old: dict[str, RunDirectory]) -> None:
    """`recipe` stands in for it. The tensors carry the name of the run that was copied: so the copy has none."""
    parameters = old["probe"].parameters()
    run = with_parameters(old["probe"], {name: value for name, value in parameters.items() if name != "recipe"})
    (run.path / MODEL).unlink()
    shutil.rmtree(old["probe"].path)
    rotnet("migrate", "--yes")
    new = today()["probe"]
    assert new.result().renamed_from == [run.name]
    assert new.parameters()["recipe"] == "rotnet"


def test_of_two_runs_that_are_the_same_today_one_gets_the_name(old: dict[str, RunDirectory]) -> None:
    """One was made before a parameter was added, the other after that."""
    parameters = old["probe"].parameters()
    run = with_parameters(old["probe"], {name: value for name, value in parameters.items() if name != "recipe"})
    said = sorted(lines(rotnet("migrate", answer="n\n"))[name] for name in (run.name, old["probe"].name))
    assert said[0] == f"becomes {today()['probe'].name}"
    assert said[1].startswith("stays: by today's parameters it is the same run as probe-")


def test_names_of_before_lead_to_that_of_today_over_several_changes(old: dict[str, RunDirectory], tmp_path: Path) -> None:
    """A probe is brought back after its backbone was renamed twice."""
    shutil.move(old["probe"].path, tmp_path / "probe")
    rotnet("migrate", "--yes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_files, "VERSION", 3)
        patch.setitem(image_versions.RULES, 2, lambda path, left_out, fast: None)
        shutil.move(tmp_path / "probe", old["probe"].path)
        rotnet("migrate", "--yes")
        new = today()
        assert all(run.finished for run in new.values())
        assert len(new["rotnet"].result().renamed_from) == 2
        assert new["probe"].parameters()["backbone"] == new["rotnet"].name

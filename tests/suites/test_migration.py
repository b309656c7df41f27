"""`rotnet migrate`: finished runs of before get today's names with all that builds on them, or it is said why they cannot."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import yaml
from click.testing import CliRunner, Result
from PIL import Image

from rotnet_lib.cli import main
from rotnet_lib.data import image_files, image_versions
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import lock_file
from rotnet_lib.pretext.pu import Plausibility
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.directory import (
    HISTORY,
    LOCK,
    METRICS,
    MODEL,
    NOTEBOOK,
    PARAMETERS,
    PU,
    REPORT,
    RunDirectory,
    directory_of,
    finished_runs,
)
from rotnet_lib.runs.identity import name_ending, result_checksum
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.probe import ProbeConfig
from rotnet_lib.suites.cleaning import list_removable
from rotnet_lib.suites.migration import migrate, plan_migration
from rotnet_lib.suites.plan import Options, plan_suite
from rotnet_lib.suites.run_notebook import execute
from rotnet_lib.training.checkpoints import load_backbone, load_tensors
from tests.results import finish, finish_planned, forget_checksums, stand_in_page

PETS = "imagefolder:pets"
TINY = {"width": 0.05, "epochs": 2, "batch_size": 16, "device": "cpu", "threads": 1}
CHAIN = ("rotnet", "probe", "weights", "weighted")
"""Runs on the images of `pets`, each on others before it."""


def rotnet(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=answer)


def lines(result: Result) -> dict[str, str]:
    """What is said of each finished run that has not today's name, by its name."""
    assert result.exit_code == 0, result.output
    told = (" becomes ", " stays: ", ": its copy ")
    found = [line.partition(" ") for line in result.stdout.splitlines() if any(words in line for words in told)]
    return {name.rstrip(":"): said for name, _, said in found}


@contextmanager
def before() -> Iterator[None]:
    """The fingerprints of image files are those of version 1."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_files, "VERSION", 1)
        yield


def configs() -> dict[str, RunConfig]:
    """The runs as somebody asks for them, now or before: the names of the others are part of each."""
    found: dict[str, RunConfig] = {}

    def add(key: str, stage: str, **parameters: Any) -> str:
        found[key] = STAGES[stage].config.build(parameters)
        return name_of(found[key])

    upstream = add("rotnet", "pretrain", dataset=PETS, arch="nin3", checkpoints=[0.5], **TINY)
    add("probe", "probe", dataset=PETS, backbone=upstream, arch="nin3", layer="conv2", **TINY)
    few = {"dataset": PETS, "arch": "nin3", "width": 0.05, "device": "cpu"}
    weights = add("weights", "pu_weights", backbone=upstream, **few)
    add("weighted", "pretrain", pu_weights=weights, arch="nin3", dataset=PETS, **TINY)
    add("drawn", "pretrain", dataset="shapes", train_size=40, test_size=20, arch="nin3", **TINY)
    return found


def name_of(config: RunConfig) -> str:
    return directory_of(config, config.fingerprint()).name


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pets` and the runs of before in `runs`, which are made once: each test gets a copy."""
    folder = tmp_path_factory.mktemp("before")
    with pytest.MonkeyPatch.context() as patch, before():
        patch.chdir(folder)
        patch.setenv("ROTNET_CACHE", str(folder / "cache"))
        write_images()
        for config in configs().values():
            STAGES[config.stage].run(config).save()
    return folder


def write_images() -> None:
    noise = np.random.default_rng(0)
    for split, count in (("train", 10), ("test", 5)):
        for kind in ("cat", "dog"):
            folder = Path("pets", split, kind)
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(noise.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number}.png")


@pytest.fixture
def old(made: Path, tmp_path: Path) -> dict[str, RunDirectory]:
    """The runs of before, in this test's folder, with pages."""
    for name in ("pets", "runs"):
        shutil.copytree(made / name, tmp_path / name)
    with before():
        runs = {key: RunDirectory(tmp_path / "runs" / name_of(config)) for key, config in configs().items()}
    assert all(run.finished for run in runs.values())
    for run in runs.values():
        (run.path / NOTEBOOK).write_text("{}")
        stand_in_page(run)
    return runs


def today() -> dict[str, RunDirectory]:
    return {key: RunDirectory(Path("runs").absolute() / name_of(config)) for key, config in configs().items()}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != LOCK}


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
    assert {path.name for path in new.path.iterdir()} == {METRICS, PARAMETERS, HISTORY, MODEL, "model-epoch1.safetensors"}
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
            execute(run.result().stage, run.parameters() | {"preset": "none"}, run.path)
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


# --- What cannot be renamed ---


def stays(run: RunDirectory, why: str) -> None:
    """The run and those that build on it are named, and nothing is renamed."""
    found = files(Path("runs"))
    said = lines(rotnet("migrate", "--yes"))
    assert why in said[run.name]
    assert all(text.startswith("stays: ") for text in said.values()), said
    assert {name: content for name, content in files(Path("runs")).items() if name in found} == found


def test_another_version_of_the_stage(old: dict[str, RunDirectory], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProbeConfig, "version", 3)
    said = lines(rotnet("migrate", "--yes"))
    assert said[old["probe"].name] == (
        "stays: it is of version 2 of probe, and by version 3, today's, the same parameters compute something else. "
        "Make it again."
    )
    assert said[old["rotnet"].name].startswith("becomes ")
    assert old["probe"].finished


def test_data_that_is_not_here(old: dict[str, RunDirectory]) -> None:
    shutil.move("pets", "elsewhere")
    stays(old["rotnet"], "its data is not here: no folder")
    stays(old["probe"], "its data is not here: no folder")


def test_data_that_has_changed(old: dict[str, RunDirectory]) -> None:
    shutil.copy("pets/train/cat/1.png", "pets/train/cat/0.png")
    stays(old["rotnet"], "its data (imagefolder:pets) has changed since, or other files of it are read today. Make it again.")
    stays(old["probe"], f"its backbone, {old['rotnet'].name}, stays.")
    stays(old["weighted"], f"its pu_weights, {old['weights'].name}, stays.")


@pytest.mark.parametrize("left_out", [False, True])
def test_a_file_that_is_read_otherwise_today(left_out: bool, old: dict[str, RunDirectory]) -> None:
    for run in old.values():
        shutil.rmtree(run.path)
    Image.fromarray(np.full((16, 16), 40_000, np.uint16)).save("pets/train/cat/deep.png")
    config = configs()["rotnet"]
    with before():
        run = directory_of(config, fingerprint := config.fingerprint())
    result = finish(run, config, fingerprint)
    if left_out:  # as it would be today
        result.data.damaged = ["train/cat/deep.png"]
        run.save(result)
        assert lines(rotnet("migrate", "--yes")) == {run.name: f"becomes {name_of(config)}"}
    else:
        stays(run, "train/cat/deep.png: it is refused today: its channels have more than 8 bits")


def test_a_file_that_streamed_runs_turned_otherwise(old: dict[str, RunDirectory]) -> None:
    xmp = b'<rdf:Description tiff:Orientation="6"/>'
    Image.open("pets/train/cat/0.png").save("pets/train/cat/turned.jpg", xmp=xmp)
    for stream in (True, False):
        config = STAGES["pretrain"].config.build(TINY | {"dataset": PETS, "arch": "nin3", "stream": stream})
        with before():
            run = directory_of(config, fingerprint := config.fingerprint())
        finish(run, config, fingerprint)
        said = lines(rotnet("migrate", answer="n\n"))[run.name]
        assert said.startswith("stays: train/cat/turned.jpg: it is turned otherwise" if stream else "becomes ")


def test_a_run_that_was_made_again(old: dict[str, RunDirectory]) -> None:
    """What was built on the old one was not built on this one."""
    again = configs()["rotnet"]
    STAGES["pretrain"].run(again).save()
    stays(
        old["rotnet"],
        f"{name_of(again)} is there already (finished), since the run was made again. Delete {name_of(again)} to keep the "
        f"earlier run and all that builds on it, or {old['rotnet'].name} to keep the later one and what builds on that.",
    )
    stays(old["probe"], f"its backbone, {old['rotnet'].name}, stays.")
    shutil.rmtree(today()["rotnet"].path)
    rotnet("migrate", "--yes")
    assert all(run.finished for run in today().values())


def test_a_run_that_was_made_again_after_it_was_renamed(old: dict[str, RunDirectory], tmp_path: Path) -> None:
    """By an older checkout, and a probe of that one too."""
    shutil.move(old["probe"].path, tmp_path / "probe")
    rotnet("migrate", "--yes")
    with before():
        STAGES["pretrain"].run(configs()["rotnet"]).save()
    shutil.move(tmp_path / "probe", old["probe"].path)
    new = today()
    stays(
        old["rotnet"],
        f"it was made again after it was renamed to {new['rotnet'].name}. Delete {old['rotnet'].name} to keep the earlier run "
        f"and all that builds on it, or {new['rotnet'].name} to keep the later one and what builds on that.",
    )
    stays(old["probe"], f"its backbone, {old['rotnet'].name}, stays.")
    shutil.rmtree(old["rotnet"].path)
    rotnet("migrate", "--yes")
    assert all(run.finished for run in new.values())


def test_a_folder_of_the_name(old: dict[str, RunDirectory]) -> None:
    today()["rotnet"].path.mkdir()
    name = today()["rotnet"].name
    stays(old["rotnet"], f"{name} cannot be its name: a folder of that name is there already. Delete it or move it away.")


def test_a_run_that_is_begun_again(old: dict[str, RunDirectory]) -> None:
    again = directory_of(config := configs()["rotnet"], config.fingerprint())
    again.open(config)
    again.close()
    stays(old["rotnet"], f"{again.name} is there already (interrupted), since the run was begun again.")


def test_an_upstream_run_that_is_gone(old: dict[str, RunDirectory]) -> None:
    shutil.rmtree(old["weights"].path)
    said = lines(rotnet("migrate", answer="n\n"))
    assert f"its pu_weights, {old['weights'].name}, is no finished run in" in said[old["weighted"].name]
    assert said[old["weighted"].name].endswith(": its current name is unknown.")
    assert said[old["rotnet"].name].startswith("becomes ")


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"momentumm": 0.5}, "unknown parameter of probe 'momentumm'; did you mean 'momentum'?"),
        ({"layer": ["conv9"]}, "unknown layer of nin3 'conv9'"),
    ],
)
def test_a_parameter_that_is_unknown_today(parameters: dict[str, Any], why: str, old: dict[str, RunDirectory]) -> None:
    result = old["probe"].result()
    run = with_parameters(old["probe"], result.parameters | parameters)
    said = lines(rotnet("migrate", answer="n\n"))
    assert why in said[run.name]
    assert said[old["probe"].name].startswith("becomes ")


def with_parameters(run: RunDirectory, parameters: dict[str, Any]) -> RunDirectory:
    """A copy of a finished run, as a library made it that had these parameters."""
    result = run.result()
    left_out = {*(result.execution or ()), *result.later}
    hashed = {name: value for name, value in parameters.items() if name not in left_out}
    start = run.name.rpartition("-")[0]
    copy = run.path.with_name(f"{start}-{name_ending(result.stage, result.version or 1, hashed, result.data.fingerprint)}")
    shutil.copytree(run.path, copy)
    (copy / PARAMETERS).write_text(yaml.safe_dump(parameters))
    result.run, result.parameters = copy.name, parameters
    result.checksum = result_checksum(json.loads(result.model_dump_json()))
    (copy / METRICS).write_text(result.model_dump_json())
    assert RunDirectory(copy).finished
    return RunDirectory(copy)


def test_a_link_to_a_run_elsewhere(old: dict[str, RunDirectory], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.move(old["rotnet"].path, tmp_path / "elsewhere" / old["rotnet"].name)
    old["rotnet"].path.symlink_to(tmp_path / "elsewhere" / old["rotnet"].name)
    stays(old["rotnet"], f"it is a link. Rename the run where it leads: --runs {tmp_path / 'elsewhere'}")


def test_a_run_that_is_being_written(old: dict[str, RunDirectory]) -> None:
    with lock_file(old["weights"].path / LOCK):
        said = lines(rotnet("migrate", answer="n\n"))
    for key in ("rotnet", "weights"):
        assert said[old[key].name] == (
            "stays: it, or a run that builds on it, is being written. Wait for that to end, or stop it."
        )
    assert "stays" in said[old["probe"].name]


def test_a_run_that_came_to_be_written_is_refused_by_name(old: dict[str, RunDirectory]) -> None:
    migration = plan_migration("runs")
    with (
        lock_file(old["rotnet"].path / LOCK),
        pytest.raises(RotnetError, match=f"{old['rotnet'].name} is being written: left alone"),
    ):
        migrate(migration, "runs")
    assert all(run.finished for run in old.values())


def test_nothing_is_renamed_while_a_suite_is_at_work(old: dict[str, RunDirectory]) -> None:
    migration = plan_migration("runs")
    with lock_file(Path("runs", LOCK)), pytest.raises(RotnetError, match="is in use by a suite"):
        migrate(migration, "runs")
    assert all(run.finished for run in old.values())


def test_damaged_runs_are_named_and_stop_no_others(old: dict[str, RunDirectory]) -> None:
    with (old["drawn"].path / METRICS).open("a") as file:
        file.write("}")
    result = rotnet("migrate", "--yes")
    assert f"{old['drawn'].name} is left alone: {old['drawn'].path / METRICS} is damaged" in result.stdout
    assert "\nfinished runs: 4 can be renamed, 0 cannot, 0 have today's names.\ndamaged runs: 1.\n" in result.stdout
    assert all(today()[key].finished for key in CHAIN)


def test_a_run_with_damaged_weights_keeps_its_name(old: dict[str, RunDirectory]) -> None:
    with (old["rotnet"].path / MODEL).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x7f")
    result = rotnet("migrate", "--yes")
    assert result.exit_code == 1
    assert f"Error: damaged checkpoint {old['rotnet'].path / MODEL}" in result.output
    assert all(run.finished for run in old.values())
    assert not any(
        path.name.startswith("rotnet-") and path.is_dir() and "-s0-" not in path.name for path in Path("runs").iterdir()
    )


# --- A process that is killed ---


@pytest.fixture
def interrupted(old: dict[str, RunDirectory], tmp_path: Path) -> RunDirectory:
    """A run of which a killed process has made the copy."""
    run = old["rotnet"]
    shutil.copytree(run.path, tmp_path / "kept")
    rotnet("migrate", "--yes")
    shutil.move(tmp_path / "kept", run.path)
    return run


def test_what_was_copied_already_is_removed(interrupted: RunDirectory) -> None:
    copy = today()["rotnet"].name
    result = rotnet("migrate", answer="y\n")
    assert lines(result) == {
        interrupted.name: f"its copy {copy} is complete (an earlier call was interrupted); {interrupted.name} is removed"
    }
    assert "Rename 1 run?" in result.stdout
    assert not interrupted.path.exists()
    assert all(run.finished for run in today().values())


def test_a_run_stays_whose_copy_has_gone_meanwhile(interrupted: RunDirectory) -> None:
    migration = plan_migration("runs")
    shutil.rmtree(today()["rotnet"].path)
    with pytest.raises(RotnetError, match="is not finished"):
        migrate(migration, "runs")
    assert interrupted.finished


def test_a_copy_that_gets_another_name_is_renamed_after_the_first_is_removed(interrupted: RunDirectory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_files, "VERSION", 3)
        patch.setitem(image_versions.RULES, 2, lambda path, left_out, fast: None)
        rotnet("migrate", "--yes")
        assert {run.name for run in finished_runs(Path("runs").absolute())} == {run.name for run in today().values()}


KILLED = """
import os, signal, shutil, sys
from pathlib import Path
import torch
from rotnet_lib.suites.migration import migrate, plan_migration
from rotnet_lib.runs.directory import RunDirectory, finished_runs

torch.set_num_threads(1)
WRITES = {"os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "os.utime", "os.chmod", "open"}
pairs = [pair.split("=") for pair in sys.argv[1:]]
root = Path("runs").absolute()

def killed_at(number):
    # Whether a process that is killed before it changes a file for the n-th time is killed at all.
    count = 0
    def hook(event, arguments):
        nonlocal count
        writing = event != "open" or (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if event in WRITES and writing and "runs" in str(arguments[0]):
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
    if not (child := os.fork()):
        sys.addaudithook(hook)
        migrate(plan_migration("runs"), "runs", lambda line: None)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])

number = 1
while killed_at(number):
    for old, new in pairs:
        assert RunDirectory(root / old).finished or RunDirectory(root / new).finished, (number, old)
    migrate(plan_migration("runs"), "runs", lambda line: None)
    assert sorted(run.name for run in finished_runs(root)) == sorted(new for _, new in pairs), number
    for path in root.iterdir():
        left = [path.name for path in path.iterdir()] if path.is_dir() and path.name.startswith("rotnet-") else []
        assert left in ([], [".owner"]), (number, path, left)
    shutil.rmtree(root)
    shutil.copytree("kept", root)
    number += 1
print(number)
"""


@pytest.mark.slow
def test_a_process_that_is_killed_anywhere_leaves_every_run_valid(old: dict[str, RunDirectory]) -> None:
    """Before each change of a file in turn; a second call then ends what it began."""
    for key in ("weights", "weighted", "drawn"):
        shutil.rmtree(old.pop(key).path)
    shutil.copytree("runs", "kept")
    new = today()
    pairs = [f"{run.name}={new[key].name}" for key, run in old.items()]
    done = subprocess.run([sys.executable, "-c", KILLED, *pairs], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40

"""`rotnet migrate`: which runs keep the names of before, and why."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import lock_file
from rotnet_lib.runs.directory import (
    LOCK,
    METRICS,
    MODEL,
    RunDirectory,
    directory_of,
)
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.probe import ProbeConfig
from rotnet_lib.suites.migration import migrate, plan_migration
from tests.results import finish
from tests.suites.runs_of_before import (
    CHAIN,
    PETS,
    TINY,
    before,
    configs,
    lines,
    name_of,
    rotnet,
    stays,
    today,
    with_parameters,
)


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

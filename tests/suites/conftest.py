"""Runs of before, for the tests of `rotnet migrate`."""

import shutil
from pathlib import Path

import pytest

from rotnet_lib.runs.directory import (
    NOTEBOOK,
    RunDirectory,
)
from rotnet_lib.stages import STAGES
from tests.results import stand_in_page
from tests.suites.runs_of_before import (
    before,
    configs,
    name_of,
    write_images,
)


@pytest.fixture(scope="session")
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

"""Run directories that were replaced, renamed or changed: no wrong result comes of them."""

import math
import shutil
from pathlib import Path

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import lock_file
from rotnet_lib.runs.directory import HISTORY, RunDirectory
from tests.runs.run_folder import NAME, open_run, result


def test_a_run_whose_folder_was_replaced_while_it_worked_writes_no_result(tmp_path: Path) -> None:
    run = open_run(tmp_path / NAME)
    shutil.rmtree(run.path)
    other = RunDirectory(run.path)
    with pytest.raises(RotnetError, match=r"was removed or replaced while the run worked.*Run it again"):
        run.save(result())
    assert other.state == "missing"
    run.close()


def test_a_damaged_history_is_the_runs_damage(tmp_path: Path) -> None:
    run = open_run(tmp_path / NAME)
    (run.path / HISTORY).write_text("epoch\n1\n")
    run.save(result())
    run.close()
    assert run.state == "finished"
    (run.path / HISTORY).write_text("epoch\n2\n")
    assert run.state == "damaged"
    assert "history.csv is damaged: it is not what the run wrote" in str(run.damage)


def test_a_renamed_folder_is_to_be_named_back(tmp_path: Path) -> None:
    run = open_run(tmp_path / NAME)
    run.save(result())
    run.close()
    old = run.path.rename(run.path.with_name("old"))
    assert "give it that name back" in str(RunDirectory(old).damage)


def test_a_run_whose_notebook_is_at_work_is_running(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    with lock_file(run.path / ".notebook.lock"):
        assert run.state == "running"
    assert run.state == "missing"


@pytest.mark.parametrize("where", ["metrics", "by_target"])
def test_a_figure_that_is_no_number_is_no_result(where: str) -> None:
    """It would be written as null, and the run would be damaged as soon as it is finished."""
    nothing = {"metrics": {"top1": {"last": math.nan}}, "by_target": {"top1": {"a": math.nan}}}
    with pytest.raises(ValueError, match="finite"):
        result(**{where: nothing[where]})

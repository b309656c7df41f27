"""A suite in a folder whose name means something to YAML, to Snakemake, to papermill or to a shell."""

from pathlib import Path

import pytest

from rotnet_lib.runs.directory import METRICS
from tests.suites.engine_folder import TINY, Folder

ODD = """  a  b #c: {} {name} {wildcards.name} it's "d" $HOME `e` \\ %s *?[f]; -g\n\u00e9~"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_folder_of_runs_may_have_any_name(tmp_path: Path) -> None:
    folder = Folder(tmp_path, ODD)
    runs = {run.key: run for run in folder.plan(TINY).runs}
    folder.make_here(TINY, runs)
    missing = ("rotnet", "rotnet-conv")  # the second builds on the first
    for key in missing:
        (runs[key].directory.path / METRICS).unlink()
    made = folder.reproduce(TINY, "log")
    assert made.code == 0, made.output
    assert "2 of 7 runs to make" in made.output
    first, second = (runs[key].directory.path / METRICS for key in missing)
    assert first.stat().st_mtime_ns < second.stat().st_mtime_ns
    assert made.output.endswith(f"report: {made.report}\n")
    seen = {path.name for path in (tmp_path / ODD).iterdir() if not path.name.startswith(".")}
    assert seen == {"index.html", made.plan.directory.name, *(run.name for run in runs.values())}
    assert {path.name for path in tmp_path.iterdir()} == {ODD, "cache", "log"}

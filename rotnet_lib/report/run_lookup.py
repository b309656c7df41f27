"""A finished run by its name, or what to do where there is none."""

from pathlib import Path

from rotnet_lib.errors import RotnetError, nearest
from rotnet_lib.paths import from_project
from rotnet_lib.report.failure import cause_of_failure
from rotnet_lib.runs.directory import PARAMETERS, REPORT, RunDirectory, all_runs


def finished_run(name: str, root: Path) -> RunDirectory:
    """The finished run of that name in a folder of runs, or of that path.

    Raises RotnetError for one that does not exist (with the nearest), is damaged, or is not finished (with what to do).
    """
    path = root / name if name and (root / name).is_dir() else from_project(name or root)
    run = RunDirectory(path)
    known = (path / PARAMETERS).is_file() or run.damage is not None
    if not name or not path.is_dir() or not known:
        names = [found.name for found in all_runs(root)]
        alike = [other for other in names if name and other.startswith(name)]
        hint = f"; did you mean '{alike[0]}'?" if alike else nearest(name, names)
        listed = f" {root / 'index.html'} lists those that there are." if names else " There are none."
        raise RotnetError(f"no run '{name}' in {root}{hint}{listed}")
    run.check()
    state = run.state
    if state == "finished":
        return run
    cause = (cause_of_failure(run) or f"see {path / REPORT}").removesuffix(".")
    what = {
        "running": "is being made. Wait for it to end",
        "failed": f"failed: {cause}. Put that right and make it again",
    }.get(state, "was interrupted. The line that began it, typed again, goes on with it")
    raise RotnetError(f"run {run.name} is not finished, so it has no figures to compare: it {what}.")

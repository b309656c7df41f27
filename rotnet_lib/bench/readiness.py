"""Whether a first table can be made on this machine, and how long it would take."""

import subprocess
import sys
import time
from collections.abc import Callable

from rotnet_lib.bench.estimate import estimates_of
from rotnet_lib.cores import usable_cores
from rotnet_lib.errors import RotnetError
from rotnet_lib.paths import NOTEBOOKS
from rotnet_lib.suites.engine import side_by_side
from rotnet_lib.suites.plan import Options, Plan, PlannedRun, plan_suite
from rotnet_lib.suites.run_lengths import duration, seconds_here
from rotnet_lib.training.devices import gpu_name, select_device

FIRST = "table3"
"""The suite that README begins with."""

_SECONDS = 0.3
"""How long each kind of training is measured: a hint is wanted, at once."""

_KERNEL = "import ipykernel, papermill, torch, torchvision, seaborn, rotnet_lib.stages.probe, rotnet_lib.report.run_report"
"""What the two processes of a run import between them."""


def seconds_to_start() -> float:
    """What a run takes beside its stage: a process, and the kernel that it starts.

    Raises RotnetError if they cannot start.
    """
    begun = time.monotonic()
    started = subprocess.run([sys.executable, "-c", _KERNEL], capture_output=True, text=True)
    if started.returncode:
        reason = (started.stderr.strip().splitlines() or [f"exit code {started.returncode}"])[-1]
        raise RotnetError(f"a notebook cannot start here: {reason}. Bring .venv up to date: rm -rf .venv && make setup")
    return time.monotonic() - begun


def verdict(
    suite: str = FIRST,
    preset: str | None = None,
    *,
    seconds: float = _SECONDS,
    to_start: Callable[[], float] = seconds_to_start,
    say: Callable[[str], object] = lambda text: None,
) -> str:
    """`ready: make reproduce-table3 (preset quick) takes about 3 min here, ...`, or `not ready: ...` with the remedy.

    The time is that of finished runs like the suite's, where there are some of each; else it is measured. What starting a
    notebook takes is measured in both cases.

    Args:
        suite: which table.
        preset: by which preset; None: the one that `make` takes.
        seconds: how long each kind of training is measured.
        to_start: measures what starting a notebook takes, in seconds.
        say: is told before something is measured, which takes seconds, what that is.
    """
    if not NOTEBOOKS.is_dir():
        return f"not ready: there is no {NOTEBOOKS}. Install from a checkout: pip install -e ."
    try:
        plan = plan_suite(suite, Options(preset=preset))
    except RotnetError as error:
        quick = "" if preset == "quick" else f"; without it: make reproduce-{suite} PRESET=quick"
        return f"not ready for make reproduce-{suite}: {str(error).partition('. ')[0].removesuffix('.')}{quick}"
    what = f"make reproduce-{suite} (preset {plan.preset})"
    missing = [run for run in plan.runs if not run.directory.finished]
    if not missing:
        return f"ready: {what} is made already, and shows its table at once"
    say(f"measuring for some seconds how long make reproduce-{suite} takes here ...")
    known = seconds_here(plan)
    if all(run.name in known for run in missing):
        needed, how = sum(known[run.name] for run in missing), "by finished runs like its own"
    else:
        needed = _measured(missing, seconds)
        how = f"by a short measurement (longer: rotnet bench --plan {suite} --preset {plan.preset})"
    try:
        needed += len(missing) * to_start()
    except RotnetError as error:
        return f"not ready: {error}"
    return f"ready: {what} takes about {duration(needed / at_a_time(plan))} here, {how}"


def at_a_time(plan: Plan) -> int:
    """How many runs are made side by side on this machine, as the engine has it; on a GPU one."""
    configs = [run.config for run in plan.runs]
    with_gpu = any(config.device != "cpu" for config in configs) and gpu_name() is not None
    return side_by_side(configs, usable_cores(), with_gpu=with_gpu)[1]


def _measured(runs: list[PlannedRun], seconds: float) -> float:
    device = select_device(runs[0].config)
    return 3600 * sum(estimate.hours(device) for estimate in estimates_of(runs, seconds, device))

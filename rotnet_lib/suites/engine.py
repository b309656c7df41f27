"""Makes the runs of a plan by Snakemake, which orders them, runs them in parallel or on a cluster; then the reports."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import psutil

from rotnet_lib.cores import usable_cores
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import lock_file, make_folder, waiting_for, write_text
from rotnet_lib.paths import from_project
from rotnet_lib.report.index import write_index
from rotnet_lib.report.table_text import TABLE_TEXT
from rotnet_lib.runs.config import ImagesConfig, RunConfig, TrainingConfig
from rotnet_lib.runs.directory import LOCK, PLAN, REPORT
from rotnet_lib.suites.at_work import if_nobody_is, one_at_a_time
from rotnet_lib.suites.documents import SUITES
from rotnet_lib.suites.plan import CollectionPlan, Plan, PlannedRun
from rotnet_lib.suites.progress import Progress
from rotnet_lib.suites.report_stamp import drawing, is_drawn
from rotnet_lib.suites.result_text import result_lines, write_table
from rotnet_lib.training.devices import gpu_name
from rotnet_lib.voc.config import VocConfig
from rotnet_lib.watchdog import INTERRUPT

_MARKER = ".made"
"""The empty file that Snakemake takes for a run's output. What counts is the run's `metrics.json`."""

_SETTINGS, _LOG = "snakemake.json", "snakemake.log"
"""In a suite's directory: what the Snakefile is told, and what Snakemake prints."""

_JOB_THREADS = 4
"""CPU cores that a cluster job asks for, for each process that trains, where its config names no threads."""

_SECONDS_BETWEEN_LOOKS = 1.0
"""How often the engine looks how far the runs are."""

_SECONDS_TO_END = 7.0
"""What Snakemake and its jobs have to end in order."""

RunNotebook = Callable[[str, dict[str, Any], Path], None]


def reproduce(
    plan: Plan | CollectionPlan,
    *,
    cores: int | None,
    executor: str | None,
    snakemake_arguments: tuple[str, ...] = (),
    run_notebook: RunNotebook | None = None,
    gpu: Callable[[], str | None] = gpu_name,
) -> Path:
    """Make every run of a plan that is not finished, and the pages that finished runs lack; then the reports.

    A report is made of each suite in the plan, and of a collection the page that sums them up.

    Args:
        plan: see `make_plan`.
        cores: CPU cores, or cluster jobs at a time; None: all cores that this process may run on.
        executor: a Snakemake executor plugin (`slurm`); None: this machine.
        snakemake_arguments: passed on as they are.
        run_notebook: runs a report's notebook, given its name, its parameters and its directory; None: `run_notebook.execute`,
            in a kernel.
        gpu: the name of this machine's GPU, or None.

    Returns:
        The report's path. It is written whether or not all runs worked, and says which did not.

    Raises:
        RotnetError: some run failed; the message names each and ends with the report's path.
    """
    root = from_project(plan.options.runs)
    make_folder(root)
    # Where nothing is to be made, the reports are drawn whether or not a suite is at work.
    something = _missing(plan) or _without_page(plan)
    with one_at_a_time(root, plan) if something else (if_nobody_is(root, plan) or contextlib.nullcontext()) as lock:
        plan.write()
        if lock:  # else another suite is at work, and there is nothing to make
            missing, pages = _missing(plan), _without_page(plan)
            if missing:
                prepare_data(plan)
            if missing or pages:
                needs = _resources([run.config for run in (*missing, *pages)], cores, executor, gpu)
                _snakemake(plan, missing, pages, lock, executor is not None, needs, snakemake_arguments)
        broken = []
        try:
            for part in plan.parts:
                try:
                    _draw_report(part, run_notebook)
                except RotnetError as error:  # the other reports are drawn all the same
                    broken.append(f"the report of {part.suite.name} failed: {error}")
            if isinstance(plan, CollectionPlan):
                _draw_overview(plan)
        finally:
            write_index(root)
    for line in result_lines(plan):
        print(line, flush=True)
    report = plan.directory / REPORT
    failed = [run for run in plan.runs if not run.directory.finished]
    if failed:
        lines = [
            f"  {run.key}, seed {run.config.seed}: {run.directory.state}, {_where(run, plan.directory / _LOG)}"
            for run in failed
        ]
        broken = [f"{len(failed)} of {len(plan.runs)} runs did not finish:", *lines, *broken]
    if undrawn := _without_page(plan):
        lines = [f"  {run.key}, seed {run.config.seed}: {run.directory.path / REPORT}" for run in undrawn]
        broken = [*broken, f"{len(undrawn)} of {len(plan.runs)} runs finished, but their pages could not be drawn:", *lines]
    if broken:
        raise RotnetError("\n".join([*broken, f"report: {report}"]))
    return report


def _missing(plan: Plan | CollectionPlan) -> list[PlannedRun]:
    """The runs that are to be made. A damaged run is not made again by itself: what is wrong with it is for the user to see."""
    return [run for run in plan.runs if not run.directory.finished and not run.damaged]


def _without_page(plan: Plan | CollectionPlan) -> list[PlannedRun]:
    """The finished runs whose pages are to be made."""
    return [run for run in plan.runs if run.directory.lacks_page]


def _where(run: PlannedRun, log: Path) -> str:
    """What is wrong with a damaged run; why a run was not tried; or the page of a run that failed."""
    if damage := run.directory.damage:
        return damage
    culprit = run.damaged or next((other for other in run.upstream if not other.directory.finished), None)
    if culprit:
        return f"not made: it builds on {culprit.key}, seed {culprit.config.seed}, which is {culprit.directory.state}"
    page = run.directory.path / REPORT
    return str(page) if page.exists() else f"no page; {log} has the engine's own words"


def _draw_report(plan: Plan, run_notebook: RunNotebook | None) -> None:
    """Draw the report of a suite, unless its page shows the runs as they are. Raises RotnetError if the notebook fails."""
    with _drawn_once(plan, f"the report of {plan.suite.name}"):
        path = plan.write()
        if is_drawn(plan):
            return
        from rotnet_lib.suites.run_notebook import execute  # takes seconds to import

        parameters = {"suite": plan.suite.name, "plan": str(path), "runs": plan.options.runs}
        with drawing(plan):
            (plan.directory / TABLE_TEXT).unlink(missing_ok=True)  # if the notebook fails, no old table is printed for the new
            (run_notebook or execute)("report", parameters, plan.directory)
            write_table(plan)


def _draw_overview(plan: CollectionPlan) -> None:
    """Write the page of a collection, unless it shows the runs as they are."""
    with _drawn_once(plan, f"the page of {plan.collection.name}"):
        if is_drawn(plan):
            return
        from rotnet_lib.report.overview import write_overview  # takes seconds to import

        with drawing(plan):
            write_overview(plan.directory, plan.collection.title, [part.directory for part in plan.parts])


def _drawn_once(plan: Plan | CollectionPlan, what: str) -> TextIO:
    """The lock under which a page is drawn: of two processes that want it, the second finds it there."""
    return lock_file(plan.directory / LOCK, on_wait=waiting_for(what))


def prepare_data(plan: Plan | CollectionPlan) -> None:
    """Download, decode or draw each set of data once, before runs that would all do it at the same time.

    Raises RotnetError, before anything is trained, if a run asks for more labelled images a class than there are.
    """
    from rotnet_lib.stages.train import load_data  # takes seconds to import

    wanted: dict[DataSpec, set[int | None]] = {}
    configs: dict[DataSpec, ImagesConfig] = {}
    of_voc = {}
    for config in (run.config for run in plan.runs):
        if isinstance(config, VocConfig):
            of_voc[config.prepared] = config
            continue
        assert isinstance(config, ImagesConfig)
        configs[config.data] = config
        wanted.setdefault(config.data, set()).add(config.labels_per_class if isinstance(config, TrainingConfig) else None)
    for voc in of_voc.values():
        voc.prepare_data(voc.open_data())
    for spec, labels in wanted.items():
        data = load_data(configs[spec])
        if most := max((number for number in labels if number), default=0):
            data.train.first_per_class(most, data.classes)


_Resources = tuple[bool, int, tuple[str, ...], int]
"""See `_resources`."""


def _resources(configs: list[RunConfig], cores: int | None, executor: str | None, gpu: Callable[[], str | None]) -> _Resources:
    """What runs take: whether any takes a GPU, the CPU threads of each, Snakemake's arguments for where they run, and how many
    run at a time.

    A cluster job asks for a GPU for each of its processes. On this machine runs take turns at the GPUs: each of them would
    begin at the first. The processes of a run on the CPU share its threads.
    """
    count = cores or usable_cores()
    asking = any(config.device != "cpu" for config in configs)
    if executor:
        # Elsewhere this machine's GPU and cores say nothing: a job asks for a GPU unless it is told to do without.
        threads = max(config.threads or _JOB_THREADS * _processes(config) for config in configs)
        return asking, threads, ("--executor", executor, "--jobs", str(count)), count
    with_gpu = asking and gpu() is not None
    threads, at_a_time = side_by_side(configs, count, with_gpu=with_gpu)
    return with_gpu, threads, ("--cores", str(count), "--resources", "gpu=1"), at_a_time


def side_by_side(configs: Sequence[RunConfig], cores: int, *, with_gpu: bool) -> tuple[int, int]:
    """The threads that each of some runs takes on this machine, and how many runs go on at a time.

    On a CPU they go side by side, each with the threads its config says; none said: all. At a GPU they take turns.
    """
    threads = max(config.threads or (1 if with_gpu and config.device != "cpu" else cores) for config in configs)
    return threads, 1 if with_gpu else max(1, cores // threads)


def _processes(config: RunConfig) -> int:
    return config.gpus if isinstance(config, TrainingConfig) else 1


def _snakemake(
    plan: Plan | CollectionPlan,
    missing: list[PlannedRun],
    pages: list[PlannedRun],
    lock: TextIO,
    cluster: bool,
    needs: _Resources,
    arguments: tuple[str, ...],
) -> None:
    gpu, threads, where, at_a_time = needs
    root = from_project(plan.options.runs)
    settings = {
        "plan": str(plan.directory / PLAN),
        "missing": [run.name for run in missing],
        "pages": [run.name for run in pages],
        "folder": str(Path.cwd()),
        "marker": _MARKER,
        "threads": threads,
        "gpu": gpu,
        "cluster": cluster,
        "parent": os.getpid(),
    }
    # In a file, since Snakemake reads what is given on its command line as YAML.
    write_text(plan.directory / _SETTINGS, json.dumps(settings, indent=1))
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(SUITES / "Snakefile")),
        *("--directory", str(root), "--configfile", str(plan.directory / _SETTINGS)),
        *where,
        *("--keep-going", "--rerun-incomplete", "--rerun-triggers", "mtime", "--nolock"),  # the lock above is wider
        *("--quiet", "rules", "host"),
        *arguments,
    ]
    for run in (*missing, *pages):  # a result or a page may have been deleted without its marker
        (run.directory.path / _MARKER).unlink(missing_ok=True)
    log = plan.directory / _LOG
    drawn = f"; pages to draw of finished runs: {len(pages)}" if pages else ""
    print(f"{len(missing)} of {len(plan.runs)} runs to make{drawn} ({log} has the engine's own words)", flush=True)
    with log.open("w") as stream:
        # Snakemake keeps the lock even if this process is killed, so a second make never joins a suite that still runs.
        snakemake = subprocess.Popen(command, pass_fds=(lock.fileno(),), stderr=stream)
        progress = Progress(plan, missing, side_by_side=at_a_time)
        try:
            while not _ends(snakemake, _SECONDS_BETWEEN_LOOKS):
                if said := progress.look():
                    print(said, flush=True)
        except BaseException as error:  # Ctrl-C, or a signal that says to end
            _end(snakemake, cluster=cluster, told=isinstance(error, KeyboardInterrupt))
            if isinstance(error, KeyboardInterrupt):
                print("\nInterrupted. The same line, typed again, goes on from here.", flush=True)
            raise
    if snakemake.returncode:
        print(f"Snakemake ended with exit code {snakemake.returncode}: {log}", flush=True)


def _end(snakemake: "subprocess.Popen[bytes]", *, cluster: bool, told: bool) -> None:
    """End Snakemake and what it has started: in order if that takes no longer than `_SECONDS_TO_END`.

    Args:
        snakemake: the process.
        cluster: whether its jobs are on a cluster, where it cancels them.
        told: whether Ctrl-C may have told its jobs: a second signal at once would break off how they end.
    """
    if snakemake.poll() is not None:
        return
    started = [] if cluster else psutil.Process(snakemake.pid).children(recursive=True)
    try:
        snakemake.send_signal(INTERRUPT)
        if told and _ends(snakemake, _SECONDS_TO_END / 2):
            return
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _ends(snakemake, _SECONDS_TO_END / 2 if told else _SECONDS_TO_END)
    finally:
        snakemake.kill()
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        snakemake.wait()


def _ends(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Wait for a process; whether it has ended by then."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True

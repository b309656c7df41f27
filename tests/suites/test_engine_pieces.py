"""The engine, a piece at a time, without any run: the data, the plans on disk, the reports."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.numpy

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.directory import METRICS, REPORT, TABLE
from rotnet_lib.suites.engine import prepare_data, reproduce, side_by_side
from rotnet_lib.suites.plan import Options, make_plan

TINY = "width=0.05 train_size=100 test_size=50 epochs=1 batch_size=32 pretrain.batch_size=16 device=cpu"

# --- The pieces ---


def no_notebook(notebook: str, parameters: dict[str, Any], directory: Path) -> None:
    """Draws no report."""


Resources = Callable[..., tuple[bool, int, tuple[str, ...]]]


@pytest.fixture
def resources(started: Callable[[], list[str]]) -> Resources:
    """What Snakemake is told of a suite's runs: whether they take a GPU, their CPU threads, and where they run."""

    def told(
        text: str, *, executor: str | None = None, cores: int | None = 8, gpu: str | None = None
    ) -> tuple[bool, int, tuple[str, ...]]:
        plan = make_plan("table3", Options(preset="quick", set=f"{TINY} {text}"))
        with pytest.raises(RotnetError, match="7 of 7 runs did not finish"):
            reproduce(plan, cores=cores, executor=executor, run_notebook=no_notebook, gpu=lambda: gpu)
        words = started()
        begin, end = words.index("--configfile") + 1, words.index("--keep-going")
        config = json.loads(Path(words[begin]).read_text())
        assert config["cluster"] == (executor is not None)
        return config["gpu"], config["threads"], tuple(words[begin + 1 : end])

    return told


def test_runs_on_the_cpu_go_side_by_side_with_their_threads(resources: Resources) -> None:
    assert resources("threads=2 gpus=2") == (False, 2, ("--cores", "8", "--resources", "gpu=1"))  # shared by the processes
    assert resources("threads=null")[:2] == (False, 8)


def test_runs_on_this_machines_gpus_take_turns(resources: Resources) -> None:
    expected = (True, 1, ("--cores", "8", "--resources", "gpu=1"))
    assert resources("device=auto gpus=4 threads=null", gpu="Some GPU") == expected
    assert resources("threads=null", gpu="Some GPU")[:2] == (False, 8)  # device=cpu: all cores, one after the other


@pytest.mark.parametrize(
    ("text", "with_gpu", "expected"),
    [("threads=1", False, (1, 8)), ("threads=3", False, (3, 2)), ("threads=null", False, (8, 1)), ("threads=1", True, (1, 1))],
)
def test_as_many_runs_go_on_at_a_time_as_have_their_threads(text: str, with_gpu: bool, expected: tuple[int, int]) -> None:
    runs = make_plan("table3", Options(preset="quick", set=text)).runs
    assert side_by_side([run.config for run in runs], 8, with_gpu=with_gpu) == expected


def test_a_cluster_job_asks_for_cores_for_each_process(resources: Resources) -> None:
    where = ("--executor", "slurm", "--jobs", "8")
    assert resources("device=auto threads=null", executor="slurm") == (True, 4, where)
    assert resources("device=auto supervised.gpus=2 threads=null", executor="slurm") == (True, 8, where)
    assert resources("threads=3", executor="slurm") == (False, 3, where)


def test_a_cluster_job_asks_for_a_gpu_for_each_process(capfd: pytest.CaptureFixture[str]) -> None:
    text = f"{TINY} device=auto supervised.gpus=2 random-conv.device=cpu"
    plan = make_plan("table3", Options(preset="quick", set=text))
    with pytest.raises(RotnetError, match="7 of 7 runs did not finish"):
        reproduce(
            plan, cores=2, executor="slurm", snakemake_arguments=("--dry-run", "--quiet", "host"), run_notebook=no_notebook
        )
    jobs = re.findall(r"wildcards: name=(\S+)(?:\n +.+)*?\n +resources: .*\bgpu=(\d+)", capfd.readouterr().out)
    assert {run.key: dict(jobs)[run.name] for run in plan.runs} == {
        **dict.fromkeys((run.key for run in plan.runs), "1"),
        "supervised": "2",
        "random-conv": "0",
    }


def test_a_damaged_run_is_named_and_left_as_it_is_while_the_others_are_made(started: Callable[[], list[str]]) -> None:
    plan = make_plan("table3", Options(preset="quick", set=TINY))
    plan.write()
    damaged = plan.runs[0]
    damaged.directory.path.mkdir(parents=True)
    (damaged.directory.path / METRICS).write_text("null")
    with pytest.raises(RotnetError, match="7 of 7 runs did not finish") as error:
        reproduce(plan, cores=1, executor=None, run_notebook=no_notebook)
    assert started()  # Snakemake, for the others
    line = next(line for line in str(error.value).splitlines() if line.strip().startswith(damaged.key))
    assert f"damaged, {damaged.directory.path / METRICS}" in line
    assert "Delete" in line
    assert [path.name for path in damaged.directory.path.iterdir()] == [METRICS]


def test_what_builds_on_a_damaged_run_is_named_with_it_and_not_made(started: Callable[[], list[str]]) -> None:
    plan = make_plan("table3", Options(preset="quick", set=TINY))
    plan.write()
    damaged = next(run for run in plan.runs if run.key == "rotnet")
    above = [run for run in plan.runs if damaged in run.upstream]
    assert above
    damaged.directory.path.mkdir(parents=True)
    (damaged.directory.path / METRICS).write_text("null")
    with pytest.raises(RotnetError) as error:
        reproduce(plan, cores=1, executor=None, run_notebook=no_notebook)
    words = started()
    settings = json.loads(Path(words[words.index("--configfile") + 1]).read_text())
    assert settings["missing"] == [run.name for run in plan.runs if run not in (damaged, *above)]
    lines = str(error.value).splitlines()
    for run in above:
        assert f"  {run.key}, seed 0: missing, not made: it builds on rotnet, seed 0, which is damaged" in lines


def test_nothing_is_started_where_all_that_is_missing_builds_on_damaged_runs(started: Callable[[], list[str]]) -> None:
    plan = make_plan("table3", Options(preset="quick", set=TINY))
    for run in plan.runs:
        run.directory.path.mkdir(parents=True)
        if not run.upstream:
            (run.directory.path / METRICS).write_text("null")
    with pytest.raises(RotnetError, match="7 of 7 runs did not finish"):
        reproduce(plan, cores=1, executor=None, run_notebook=no_notebook)
    assert started() == []


@pytest.fixture
def cached(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """The kinds of split (`train`, `test`) that are written to the cache, and those that are read from it."""
    written: list[str] = []
    read: list[str] = []
    save, load = safetensors.numpy.save_file, safetensors.safe_open

    def noting_save(arrays: Any, path: Path, *more: Any) -> None:
        written.append(path.name.split("-")[2])
        save(arrays, path, *more)

    def noting_load(path: Path, *more: Any) -> Any:
        read.append(path.name.split("-")[2])
        return load(path, *more)

    monkeypatch.setattr(safetensors.numpy, "save_file", noting_save)
    monkeypatch.setattr(safetensors, "safe_open", noting_load)
    return written, read


def test_data_are_prepared_once_for_all_runs(cached: tuple[list[str], list[str]]) -> None:
    """14 runs on two sets of training images, which have the test images in common."""
    prepare_data(make_plan("table3", Options(preset="quick", set=f"{TINY} supervised.train_size=200", seeds=2)))
    assert cached == (["train", "test", "train"], ["test"])


def test_data_of_a_collection_are_prepared_once_for_all_its_suites(cached: tuple[list[str], list[str]]) -> None:
    """In colour and grey, of the same images."""
    plan = make_plan("cifar10", Options(preset="quick", set="train_size=1000 test_size=10 image_size=16"))
    prepare_data(plan)
    assert cached == (["train", "test"], ["train", "test"])
    assert {run.config.model_dump()["grey"] for run in plan.runs} == {False, True}


def test_more_labels_a_class_than_there_are_stop_a_suite_before_any_run(started: Callable[[], list[str]]) -> None:
    plan = make_plan("figure5b", Options(preset="quick", set=TINY))  # 10 images a class, and the sweep goes to 100
    with pytest.raises(RotnetError, match=r"labels_per_class: 100 asked for, but class '\w+' has 10 images"):
        reproduce(plan, cores=1, executor=None)
    assert started() == []


def test_as_many_labels_a_class_as_there_are_are_enough() -> None:
    prepare_data(make_plan("figure5b", Options(preset="quick", set="train_size=1000 test_size=10 image_size=16")))
    with pytest.raises(RotnetError, match="100 asked for"):
        prepare_data(make_plan("figure5b", Options(preset="quick", set="train_size=990 test_size=10 image_size=16")))


def test_data_that_cannot_be_brought_stop_a_suite_before_any_run(tmp_path: Path) -> None:
    """Images that are there but damaged: found while decoding, which is done once and first."""
    for split in ("train", "test"):
        (tmp_path / "photos" / split / "cat").mkdir(parents=True)
        (tmp_path / "photos" / split / "cat" / "a.png").write_bytes(b"no picture")
    text = "train_size=null test_size=null image_size=32"
    plan = make_plan("table3", Options(preset="quick", dataset=f"imagefolder:{tmp_path}/photos", set=text))
    with pytest.raises(RotnetError, match=r"damaged image .*a\.png"):
        prepare_data(plan)


def test_plans_on_disk_are_what_jobs_read() -> None:
    plan = make_plan("table3", Options(preset="quick", set=TINY))
    entries = json.loads(plan.write().read_text())["runs"]
    assert [entry["name"] for entry in entries] == [run.name for run in plan.runs]


@pytest.mark.usefixtures("started")
def test_one_report_that_fails_does_not_take_the_others() -> None:
    called = []

    def draw(notebook: str, parameters: dict[str, Any], directory: Path) -> None:
        called.append(parameters["suite"])
        if parameters["suite"] == "table2":
            raise RotnetError("no ink")

    plan = make_plan("cifar10", Options(preset="quick", set="train_size=1000 test_size=10 image_size=16"))
    with pytest.raises(RotnetError, match=r"(?s)55 of 55 runs did not finish.*the report of table2 failed: no ink\nreport: "):
        reproduce(plan, cores=1, executor=None, run_notebook=draw)
    assert called == [part.suite.name for part in plan.parts]
    assert (plan.directory / REPORT).exists()


@pytest.mark.usefixtures("started")
def test_reports_are_drawn_again_only_if_a_run_has_changed() -> None:
    called = []

    def draw(notebook: str, parameters: dict[str, Any], directory: Path) -> None:
        called.append(parameters["suite"])
        (directory / TABLE).write_text("the table")
        (directory / REPORT).write_text("the page")

    plan = make_plan("cifar10", Options(preset="quick", set="train_size=1000 test_size=10 image_size=16"))
    suites = [part.suite.name for part in plan.parts]
    page = plan.directory / REPORT

    def reproduced() -> list[str]:
        called.clear()
        with pytest.raises(RotnetError, match="55 of 55 runs did not finish"):
            reproduce(plan, cores=1, executor=None, run_notebook=draw)
        return list(called)

    assert reproduced() == suites
    drawn = page.stat().st_mtime_ns
    assert reproduced() == []
    assert page.stat().st_mtime_ns == drawn
    run = next(run for part in plan.parts if part.suite.name == "figure5b" for run in part.runs)
    run.directory.open(run.config)  # its state is another
    again = reproduced()
    assert "figure5b" in again
    assert again == [part.suite.name for part in plan.parts if run.name in [other.name for other in part.runs]]
    assert page.stat().st_mtime_ns > drawn
    run.directory.close()

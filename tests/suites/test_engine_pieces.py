"""The engine, a piece at a time, without any run: the lock, the data, the plans on disk, the reports."""

import json
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.config import ImagesConfig
from rotnet_lib.runs.directory import REPORT
from rotnet_lib.stages.train import load_data
from rotnet_lib.suites.engine import _resources, one_at_a_time, prepare_data, reproduce
from rotnet_lib.suites.plan import Options, make_plan

TINY = "width=0.05 train_size=100 test_size=50 epochs=1 batch_size=32 pretrain.batch_size=16 device=cpu"


# --- The pieces ---


def test_the_lock_of_a_folder_is_given_back_and_names_its_owner(tmp_path: Path) -> None:
    for _ in range(2):
        with one_at_a_time(tmp_path):
            assert (tmp_path / ".lock").read_text() == str(os.getpid())


def resources(text: str, *, executor: str | None = None, cores: int | None = 8) -> tuple[bool, int, tuple[str, ...]]:
    plan = make_plan("table3", Options(preset="quick", set=f"{TINY} {text}"))
    return _resources([run.config for run in plan.runs], cores, executor)


def test_runs_on_the_cpu_go_side_by_side_with_their_threads() -> None:
    assert resources("threads=2 gpus=2") == (False, 2, ("--cores", "8", "--resources", "gpu=1"))  # shared by the processes
    assert resources("threads=null")[:2] == (False, 8)


def test_runs_on_this_machines_gpus_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert resources("device=auto gpus=4 threads=null") == (True, 1, ("--cores", "8", "--resources", "gpu=1"))
    assert resources("threads=null")[:2] == (False, 8)  # device=cpu: no GPU, so all cores, one after the other


def test_a_cluster_job_asks_for_cores_for_each_process() -> None:
    where = ("--executor", "slurm", "--jobs", "8")
    assert resources("device=auto threads=null", executor="slurm") == (True, 4, where)
    assert resources("device=auto supervised.gpus=2 threads=null", executor="slurm") == (True, 8, where)
    assert resources("threads=3", executor="slurm") == (False, 3, where)


@pytest.mark.slow
def test_a_cluster_job_asks_for_a_gpu_for_each_process() -> None:
    text = f"{TINY} device=auto supervised.gpus=2 random-conv.device=cpu"
    plan = make_plan("table3", Options(preset="quick", set=text))
    path = plan.write()
    words = ["--snakefile", str(files("rotnet_lib.suites") / "Snakefile"), "--dry-run", "--cores", "2"]
    settings = [f"plan={path}", f"runs={path.parents[1]}", "threads=1", "gpu=1", "cluster=1", "marker=.made"]
    command = [sys.executable, "-m", "snakemake", *words, "--config", *settings]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    jobs = re.findall(r"wildcards: name=(\S+)(?:\n +.+)*?\n +resources: .*\bgpu=(\d+)", done.stdout)
    assert {run.key: dict(jobs)[run.name] for run in plan.runs} == {
        **dict.fromkeys((run.key for run in plan.runs), "1"),
        "supervised": "2",
        "random-conv": "0",
    }


def test_data_are_prepared_once_for_all_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("rotnet_lib.suites.engine.load_data", lambda config: asked.append((config.train_size, config.grey)))
    prepare_data(make_plan("table3", Options(preset="quick", set=f"{TINY} supervised.train_size=200", seeds=2)))
    assert asked == [(200, False), (100, False)]  # in the order of the runs


def test_data_of_a_collection_are_prepared_once_for_all_its_suites(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def load(config: ImagesConfig) -> Dataset:
        asked.append(config.grey)
        return load_data(config)

    monkeypatch.setattr("rotnet_lib.suites.engine.load_data", load)
    prepare_data(make_plan("cifar10", Options(preset="quick", set="train_size=1000 test_size=10 image_size=16")))
    assert asked == [False, True]


def test_more_labels_a_class_than_there_are_stop_a_suite_before_any_run(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan("figure5b", Options(preset="quick", set=TINY))  # 10 images a class, and the sweep goes to 100
    monkeypatch.setattr("rotnet_lib.suites.engine._snakemake", lambda *_: pytest.fail("runs were started"))
    with pytest.raises(RotnetError, match=r"labels_per_class: 100 asked for, but class '\w+' has 10 images"):
        reproduce(plan, cores=1, executor=None)


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


def test_one_report_that_fails_does_not_take_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    def execute(notebook: str, parameters: dict[str, Any], directory: Path) -> None:
        called.append(parameters["suite"])
        if parameters["suite"] == "table2":
            raise RotnetError("no ink")

    monkeypatch.setattr("rotnet_lib.suites.run_notebook.execute", execute)
    monkeypatch.setattr("rotnet_lib.suites.engine.prepare_data", lambda plan: None)
    monkeypatch.setattr("rotnet_lib.suites.engine._snakemake", lambda *arguments: None)
    plan = make_plan("cifar10", Options(preset="quick"))
    with pytest.raises(RotnetError, match=r"(?s)55 of 55 runs did not finish.*the report of table2 failed: no ink\nreport: "):
        reproduce(plan, cores=1, executor=None)
    assert called == [part.suite.name for part in plan.parts]
    assert (plan.directory / REPORT).exists()

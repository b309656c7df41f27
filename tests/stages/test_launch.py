"""How the processes of a stage are started, shown and ended; a shell script stands in for torchrun."""

import io
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.directory import RunDirectory, RunResult
from rotnet_lib.stages import launch
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.watchdog import identity

Torchrun = Callable[[str], None]


@pytest.fixture
def torchrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Torchrun:
    """Takes the lines of a script that is started in torchrun's place; `$run` is the run's directory."""
    script = tmp_path / "python"

    def write(lines: str) -> None:
        script.write_text(f'#!/bin/bash\nrun=$(dirname "${{!#}}")\necho "$@" > {tmp_path}/words\n{lines}\n')
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))

    return write


@pytest.fixture
def directory(tiny: dict[str, Any], tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "runs" / "some-run")
    run.open(config(tiny))
    return run


@pytest.fixture
def result(pretrained: Callable[..., RunDirectory], tmp_path: Path) -> RunResult:
    """Of some finished run, and in `result.json` too, for a script to copy."""
    found = pretrained().result()
    (tmp_path / "result.json").write_text(found.model_dump_json())
    return found


def config(tiny: dict[str, Any], **parameters: Any) -> PretrainConfig:
    return PretrainConfig.build(tiny | {"arch": "nin3", "gpus": 2} | parameters)


def left(directory: RunDirectory) -> set[str]:
    return {path.name for path in directory.path.iterdir()} - {".lock", "parameters.yaml"}


# --- What is asked for ---


@pytest.mark.parametrize("device", ["auto", "cuda"])
@pytest.mark.parametrize(("here", "said"), [(2, "has 2 "), (0, "has none that torch sees")])
def test_more_gpus_than_there_are(
    tiny: dict[str, Any], device: str, here: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: here)
    with pytest.raises(RotnetError, match=rf"gpus: 4 asked for, this machine {said}.*device=cpu: 4 processes"):
        launch.check_devices(config(tiny, device=device), 4)


def test_as_many_gpus_as_there_are_and_any_number_of_processes_on_the_cpu(
    tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    launch.check_devices(config(tiny, device="cpu"), 16)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    launch.check_devices(config(tiny, device="auto"), 4)


def test_a_batch_that_does_not_divide(tiny: dict[str, Any]) -> None:
    with pytest.raises(RotnetError, match=r"a batch of 16 images does not divide among 3 processes.*multiple of gpus"):
        config(tiny, gpus=3)


def test_data_that_are_damaged_are_found_before_anything_is_started(
    tiny: dict[str, Any], tmp_path: Path, torchrun: Torchrun
) -> None:
    torchrun("exit 1")
    for split in ("train", "test"):
        (tmp_path / "photos" / split / "cat").mkdir(parents=True)
        (tmp_path / "photos" / split / "cat" / "a.png").write_bytes(b"no picture")
    with pytest.raises(RotnetError, match=r"damaged image .*a\.png"):
        pretrain(config(tiny, dataset=f"imagefolder:{tmp_path}/photos", image_size=32, train_size=None, test_size=None))
    assert not (tmp_path / "words").exists()


# --- What comes back ---


def test_the_first_workers_result_comes_back_and_nothing_else_is_left(
    tiny: dict[str, Any], directory: RunDirectory, torchrun: Torchrun, result: RunResult, tmp_path: Path
) -> None:
    torchrun(f'cp "$run/job.json" {tmp_path}/job.json; env > {tmp_path}/env; cp {tmp_path}/result.json "$run/outcome.json"')
    assert launch.launch(directory, config(tiny)) == result
    assert left(directory) == set()
    words = (tmp_path / "words").read_text().split()
    assert words[:5] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    assert words[5:] == ["-m", "rotnet_lib.stages.child", str(directory.path / "job.json")]
    job = launch.Job.model_validate_json((tmp_path / "job.json").read_text())
    assert (job.stage, job.folder) == ("pretrain", str(tmp_path))
    assert PretrainConfig.build(job.parameters) == config(tiny)
    assert f"{launch.PARENT}={identity(os.getpid())}" in (tmp_path / "env").read_text().splitlines()


def test_cores_are_shared_out_unless_the_user_says_how_many(
    tiny: dict[str, Any],
    directory: RunDirectory,
    torchrun: Torchrun,
    result: RunResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torchrun(f'echo $OMP_NUM_THREADS >> {tmp_path}/threads; cp {tmp_path}/result.json "$run/outcome.json"')
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(7)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    launch.launch(directory, config(tiny))
    monkeypatch.delenv("OMP_NUM_THREADS")
    launch.launch(directory, config(tiny))
    launch.launch(directory, config(tiny, gpus=8))
    assert (tmp_path / "threads").read_text().split() == ["5", "3", "1"]


def test_what_is_printed_is_shown_as_it_comes(
    tiny: dict[str, Any],
    directory: RunDirectory,
    torchrun: Torchrun,
    result: RunResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    half = r"'50 %%|\xe2\x96'"  # the first two of a character's three bytes
    torchrun(
        f"printf {half}; while [ ! -e {tmp_path}/seen ]; do sleep 0.05; done; printf '\\x88|\\r'; echo noise >&2; echo done; "
        f'cp {tmp_path}/result.json "$run/outcome.json"'
    )

    class Shown(io.StringIO):
        def write(self, text: str) -> int:
            (tmp_path / "seen").touch()
            return super().write(text)

    shown = Shown(newline="")
    monkeypatch.setattr(sys, "stdout", shown)
    launch.launch(directory, config(tiny))
    assert shown.getvalue() == "50 %|█|\rdone\n".replace("█", "\u2588")


def test_other_nodes_are_told_what_to_run(
    tiny: dict[str, Any],
    directory: RunDirectory,
    torchrun: Torchrun,
    result: RunResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torchrun(f'cp {tmp_path}/result.json "$run/outcome.json"')
    options = "--nnodes=2 --node-rank=0 --master-addr=host --master-port=29500"
    monkeypatch.setenv("ROTNET_TORCHRUN", options)
    assert launch.is_wanted(config(tiny, gpus=1))  # a GPU a node
    launch.launch(directory, config(tiny))
    line = f"{options} --nproc-per-node 2 -m rotnet_lib.stages.child {directory.path}/job.json"
    assert (tmp_path / "words").read_text().split() == ["-m", "torch.distributed.run", *line.split()]
    assert f"with its own --node-rank, run: torchrun {line}\n" in capsys.readouterr().out


def test_one_process_is_not_launched(tiny: dict[str, Any]) -> None:
    assert launch.is_wanted(config(tiny))
    assert not launch.is_wanted(config(tiny, gpus=1))


# --- Failures ---


def failing(users: bool, message: str) -> str:
    failure = launch.Failure(process=1, processes=4, users=users, message=message).model_dump_json()
    return f"echo traceback >&2; echo '{failure}' > \"$run/failure.json\"; exit 1"


def test_an_error_for_the_user_comes_back_in_its_own_words(
    tiny: dict[str, Any], directory: RunDirectory, torchrun: Torchrun
) -> None:
    torchrun(failing(True, "the loss is nan. Lower lr."))
    with pytest.raises(RotnetError, match=r"^the loss is nan\. Lower lr\.$"):
        launch.launch(directory, config(tiny))
    assert left(directory) == set()


def test_another_error_says_which_process_failed_and_how(
    tiny: dict[str, Any], directory: RunDirectory, torchrun: Torchrun
) -> None:
    torchrun(failing(False, "Traceback ...\nKeyError: 3"))
    with pytest.raises(RuntimeError, match=r"(?s)process 1 of 4 failed \(.*torchrun\.log has more\):\nTrace.*KeyError: 3$"):
        launch.launch(directory, config(tiny))
    assert left(directory) == {launch.LOG}
    assert (directory.path / launch.LOG).read_text() == "traceback\n"


def test_processes_that_were_killed_leave_torchruns_words(
    tiny: dict[str, Any], directory: RunDirectory, torchrun: Torchrun
) -> None:
    torchrun("for n in $(seq 30); do echo line $n >&2; done; exit 7")
    with pytest.raises(RuntimeError, match=r"(?s)exit code 7\. The end of .*torchrun\.log:\nline 16\n.*line 30$"):
        launch.launch(directory, config(tiny))


def test_what_an_earlier_failure_left_does_not_count(
    tiny: dict[str, Any], directory: RunDirectory, torchrun: Torchrun, result: RunResult, tmp_path: Path
) -> None:
    (directory.path / launch.FAILURE).write_text(
        launch.Failure(process=0, processes=2, users=True, message="old").model_dump_json()
    )
    torchrun("exit 1")
    with pytest.raises(RuntimeError, match="exit code 1"):
        launch.launch(directory, config(tiny))


# --- Interrupted ---


@pytest.mark.parametrize("ignores", ["", "trap '' TERM; "])
def test_an_interrupt_ends_the_children(
    tiny: dict[str, Any], directory: RunDirectory, torchrun: Torchrun, ignores: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that do as they are asked, and those that do not; the workers are in sessions of their own, as torchrun's."""
    torchrun(f"{ignores}setsid bash -c '{ignores}while true; do sleep 0.1; done' & echo $!; wait; while true; do wait; done")
    monkeypatch.setattr(launch, "_PATIENCE", 0.5)
    others = psutil.Process().children(recursive=True)  # of other tests: multiprocessing keeps one
    children: list[psutil.Process] = []

    def interrupt(text: str) -> int:
        time.sleep(0.2)
        children.extend(child for child in psutil.Process().children(recursive=True) if child not in others)
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.stdout, "write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        launch.launch(directory, config(tiny))
    monkeypatch.undo()
    assert len(children) >= 2
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert left(directory) == set()

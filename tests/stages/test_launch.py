"""How the processes of a stage are started, shown and ended; a shell script stands in for torchrun."""

import io
import os
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import psutil
import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.runs.schema import DataRecord, Environment, MetricValue, RunResult
from rotnet_lib.stages import STAGES, launch
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.watchdog import process_token

slow = pytest.mark.slow

Torchrun = Callable[[str], list[str]]


@pytest.fixture
def torchrun(tmp_path: Path) -> Torchrun:
    """Makes a script of these lines and gives the command for `launch`; `$run` is the run's directory."""

    def write(lines: str) -> list[str]:
        script = tmp_path / "torchrun"
        script.write_text(f'#!/bin/bash\nrun="${{!#}}"\necho "$@" > {tmp_path}/words\n{lines}\n')
        script.chmod(0o755)
        return [str(script)]

    return write


@pytest.fixture
def directory(tiny: dict[str, Any], tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "runs" / "some-run")
    run.open(config(tiny))
    return run


@pytest.fixture
def result(tmp_path: Path) -> RunResult:
    """What rank 0 found, and the same in `result.json`, for a script to copy."""
    found = RunResult(
        run="some-run",
        stage="pretrain",
        parameters={"seed": 3},
        protocol_differences={},
        data=DataRecord(name="shapes", title="Shapes", fingerprint="1a2b", classes=["disc"], train_images=40, test_images=20),
        metrics={"rotation_top1": MetricValue(last=100 / 3, best=50.0, best_epoch=1)},
        by_target={},
        training=None,
        wall_seconds=1.5,
        peak_memory_mib=300,
        environment=Environment(),
        finished_at="2026-11-22 13:19:44 UTC",
    )
    (tmp_path / "result.json").write_text(found.model_dump_json())
    return found


def config(tiny: dict[str, Any], **parameters: Any) -> PretrainConfig:
    return PretrainConfig.build(tiny | {"arch": "nin3", "gpus": 2} | parameters)


def left(directory: RunDirectory) -> set[str]:
    return {path.name for path in directory.path.iterdir()} - {".lock", "parameters.yaml"}


# --- What is asked for ---


def test_a_batch_that_does_not_divide(tiny: dict[str, Any]) -> None:
    with pytest.raises(RotnetError, match=r"a batch of 16 images does not divide among 3 processes.*multiple of gpus"):
        config(tiny, gpus=3)


def test_data_that_are_damaged_are_found_before_anything_is_started(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROTNET_TORCHRUN", "--no-such-option")  # torchrun would fail at once, after the line for other nodes
    for split in ("train", "test"):
        (tmp_path / "photos" / split / "cat").mkdir(parents=True)
        (tmp_path / "photos" / split / "cat" / "a.png").write_bytes(b"no picture")
    with pytest.raises(RotnetError, match=r"damaged image .*a\.png"):
        pretrain(config(tiny, dataset=f"imagefolder:{tmp_path}/photos", image_size=32, train_size=None, test_size=None))
    assert "torchrun" not in capsys.readouterr().out


# --- What comes back ---


def test_rank_0s_result_comes_back_and_nothing_else_is_left(
    tiny: dict[str, Any], directory: RunDirectory, torchrun: Torchrun, result: RunResult, tmp_path: Path
) -> None:
    command = torchrun(f'env > {tmp_path}/env; pwd > {tmp_path}/pwd; cp {tmp_path}/result.json "$run/outcome.json"')
    assert launch.launch(directory, config(tiny), torchrun=command) == result
    assert left(directory) == set()
    words = (tmp_path / "words").read_text().split()
    assert words == ["--standalone", "--nproc-per-node", "2", "-m", "rotnet_lib.stages.child", "pretrain", str(directory.path)]
    assert STAGES[words[-2]].config.build(RunDirectory(Path(words[-1])).parameters()) == config(tiny)
    assert (tmp_path / "pwd").read_text().strip() == str(tmp_path)
    assert f"{launch.PARENT}={process_token(os.getpid())}" in (tmp_path / "env").read_text().splitlines()


def test_cores_are_shared_out_unless_the_user_says_how_many(
    tiny: dict[str, Any],
    directory: RunDirectory,
    torchrun: Torchrun,
    result: RunResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = torchrun(f'echo $OMP_NUM_THREADS >> {tmp_path}/threads; cp {tmp_path}/result.json "$run/outcome.json"')
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(7)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    launch.launch(directory, config(tiny), torchrun=command)
    monkeypatch.delenv("OMP_NUM_THREADS")
    launch.launch(directory, config(tiny), torchrun=command)
    launch.launch(directory, config(tiny, gpus=8), torchrun=command)
    assert (tmp_path / "threads").read_text().split() == ["5", "3", "1"]


def test_what_is_printed_is_shown_as_it_comes(
    tiny: dict[str, Any],
    directory: RunDirectory,
    torchrun: Torchrun,
    result: RunResult,
    tmp_path: Path,
) -> None:
    half = r"'50 %%|\xe2\x96'"  # the first two of a character's three bytes
    command = torchrun(
        f"printf {half}; while [ ! -e {tmp_path}/seen ]; do sleep 0.05; done; printf '\\x88|\\r'; echo noise >&2; echo done; "
        f'cp {tmp_path}/result.json "$run/outcome.json"'
    )

    class Shown(io.StringIO):
        def write(self, text: str) -> int:
            (tmp_path / "seen").touch()
            return super().write(text)

    with redirect_stdout(Shown(newline="")) as shown:
        launch.launch(directory, config(tiny), torchrun=command)
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
    command = torchrun(f'cp {tmp_path}/result.json "$run/outcome.json"')
    options = "--nnodes=2 --node-rank=0 --master-addr=host --master-port=29500"
    monkeypatch.setenv("ROTNET_TORCHRUN", options)
    assert launch.is_wanted(config(tiny, gpus=1))  # a GPU a node
    launch.launch(directory, config(tiny), torchrun=command)
    line = f"{options} --nproc-per-node 2 -m rotnet_lib.stages.child pretrain {directory.path}"
    assert (tmp_path / "words").read_text().split() == line.split()
    assert f"with its own --node-rank, run: cd {tmp_path} && torchrun {line}\n" in capsys.readouterr().out


def test_one_process_is_not_launched(tiny: dict[str, Any]) -> None:
    assert launch.is_wanted(config(tiny))
    assert not launch.is_wanted(config(tiny, gpus=1))


# --- Failures ---


def failing(for_user: bool, message: str) -> str:
    failure = launch.Failure(for_user=for_user, message=message).model_dump_json()
    return f"echo traceback >&2; echo '{failure}' > \"$run/failure.json\"; exit 1"


def test_an_error_for_the_user_comes_back_in_its_own_words(
    tiny: dict[str, Any], directory: RunDirectory, torchrun: Torchrun
) -> None:
    with pytest.raises(RotnetError, match=r"^the loss is nan\. Lower lr\.$"):
        launch.launch(directory, config(tiny), torchrun=torchrun(failing(True, "the loss is nan. Lower lr.")))
    assert left(directory) == set()


def test_another_error_comes_back_with_its_traceback_and_the_log(
    tiny: dict[str, Any], directory: RunDirectory, torchrun: Torchrun
) -> None:
    command = torchrun(failing(False, "rank 1 of 4 failed:\nTraceback ...\nKeyError: 3"))
    with pytest.raises(RuntimeError, match=r"(?s)^rank 1 of 4 failed:\nTrace.*KeyError: 3\n\(.*torchrun\.log has more\.\)$"):
        launch.launch(directory, config(tiny), torchrun=command)
    assert left(directory) == {launch.LOG}
    assert (directory.path / launch.LOG).read_text() == "traceback\n"


def test_processes_that_were_killed_leave_torchruns_words(
    tiny: dict[str, Any], directory: RunDirectory, torchrun: Torchrun
) -> None:
    command = torchrun("for n in $(seq 30); do echo line $n >&2; done; exit 7")
    with pytest.raises(RuntimeError, match=r"(?s)exit code 7\. The end of .*torchrun\.log:\nline 16\n.*line 30$"):
        launch.launch(directory, config(tiny), torchrun=command)


def test_what_an_earlier_failure_left_does_not_count(tiny: dict[str, Any], directory: RunDirectory, torchrun: Torchrun) -> None:
    (directory.path / launch.FAILURE).write_text(launch.Failure(for_user=True, message="old").model_dump_json())
    with pytest.raises(RuntimeError, match="exit code 1"):
        launch.launch(directory, config(tiny), torchrun=torchrun("exit 1"))


# --- Interrupted ---


@slow
@pytest.mark.parametrize("ignores", ["", "trap '' TERM; "])
def test_an_interrupt_ends_the_children(
    tiny: dict[str, Any], directory: RunDirectory, torchrun: Torchrun, ignores: str
) -> None:
    """Those that do as they are asked, and those that do not; the ranks are in sessions of their own, as torchrun's."""
    command = torchrun(
        f"{ignores}setsid bash -c '{ignores}while true; do sleep 0.1; done' & echo $!; wait; while true; do wait; done"
    )
    others = psutil.Process().children(recursive=True)  # of other tests: multiprocessing keeps one
    children: list[psutil.Process] = []

    class Interrupted(io.StringIO):
        def write(self, text: str) -> int:
            time.sleep(0.2)
            children.extend(child for child in psutil.Process().children(recursive=True) if child not in others)
            raise KeyboardInterrupt

    with redirect_stdout(Interrupted()), pytest.raises(KeyboardInterrupt):
        launch.launch(directory, config(tiny), torchrun=command, patience=0.5)
    assert len(children) >= 2
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert left(directory) == set()

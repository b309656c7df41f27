"""A run's files are that run's: what lies in its folder is checked against the folder's name and the run's parameters."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.directory import (
    HISTORY,
    METRICS,
    NOTEBOOK,
    PARAMETERS,
    REPORT,
    RunDirectory,
    finished_runs,
    open_run,
)
from rotnet_lib.runs.identity import result_checksum
from rotnet_lib.runs.unverified import noted, noting
from rotnet_lib.stages.pretrain import PretrainConfig
from tests.results import finish, finished, forget_checksums, made_up_result


def run_with(**parameters: Any) -> RunDirectory:
    """A finished run."""
    return finished(PretrainConfig.build({"dataset": "shapes"} | parameters))


@pytest.mark.parametrize("other", [{"seed": 1}, {"epochs": 6}, {"task": "labels"}], ids=["seed", "epochs", "task"])
@pytest.mark.parametrize("before", [False, True], ids=["with-checksum", "from-before"])
def test_the_result_of_another_run_is_refused(other: dict[str, Any], before: bool) -> None:
    run, stranger = run_with(epochs=4), run_with(**{"epochs": 4} | other)
    if before:
        forget_checksums(stranger)
    shutil.copy(stranger.path / METRICS, run.path)
    assert (run.finished, run.state) == (False, "damaged")
    with pytest.raises(RotnetError, match=rf"{run.name}/{METRICS} is of another run, {stranger.name}.*Delete .*{run.name} and"):
        run.result()
    assert run.damage is not None
    assert run.damage.startswith(str(run.path / METRICS))


@pytest.mark.parametrize("before", [False, True], ids=["with-checksum", "from-before"])
@pytest.mark.parametrize("part", ["parameters", "data", "stage"])
def test_a_result_that_only_bears_the_name_is_refused(part: str, before: bool) -> None:
    run = run_with(epochs=4)
    document = json.loads((run.path / METRICS).read_text())
    changed = {"parameters": {"epochs": 6}, "data": {"fingerprint": "4567"}, "stage": "probe"}[part]
    document[part] = document[part] | changed if isinstance(changed, dict) else changed
    (run.path / METRICS).write_text(json.dumps(document | {"checksum": result_checksum(document)}))
    if before:
        forget_checksums(run)
    with pytest.raises(RotnetError, match="the hash in the folder's name is not of these parameters and data"):
        run.result()


def test_a_result_from_before_metrics_named_their_images_is_still_the_runs() -> None:
    run = run_with(epochs=4)
    document = json.loads((run.path / METRICS).read_text())
    for field in ("images", "target_images"):
        del document["metrics"]["top1"][field]
    (run.path / METRICS).write_text(json.dumps(document | {"checksum": result_checksum(document)}))
    assert run.finished
    top1 = run.result().metrics["top1"]
    assert (top1.last, top1.images, top1.standard_error) == (50.0, None, None)


def test_where_a_run_was_executed_does_not_matter() -> None:
    config = PretrainConfig.build({"dataset": "shapes"})
    run = finished(config)
    run_elsewhere = config.model_copy(update={"device": "cuda", "threads": 3, "compile": True})
    (run.path / PARAMETERS).write_text(yaml.safe_dump(run_elsewhere.model_dump(mode="json")))
    assert run.finished


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"- 1\n- 2\n", "holds no parameters"),
        (b"null", "holds no parameters"),
        (b"", "holds no parameters"),
        (b"{}", "lacks dataset, seed, arch, width"),
        (b"1: 2", "holds no parameters"),
        (b"seed: [", "no YAML"),
        (b"\xff", "no text in UTF-8"),
        (b"when: 2020-13-45", "no YAML"),
        (b"x: !!python/object/apply:os.mkdir [sprung]", "no YAML"),
    ],
)
def test_a_finished_run_with_damaged_parameters_is_damaged(content: bytes, what: str) -> None:
    run = run_with()
    (run.path / PARAMETERS).write_bytes(content)
    assert run.state == "damaged"
    for read in (run.result, run.parameters):
        with pytest.raises(RotnetError, match=rf"{run.name}/{PARAMETERS} is damaged: .*{what}.*Delete"):
            read()
    assert not Path("sprung").exists()


def test_parameters_of_another_run_are_named_by_what_differs() -> None:
    run, other = run_with(), run_with(seed=1, width=0.5)
    shutil.copy(other.path / PARAMETERS, run.path)
    with pytest.raises(RotnetError, match=rf"{PARAMETERS} is of another run: it differs from the result in seed, width"):
        run.parameters()


@pytest.mark.parametrize("name", [METRICS, PARAMETERS, NOTEBOOK])
@pytest.mark.parametrize("kind", ["folder", "pipe"])
@pytest.mark.timeout(20)  # a pipe that is opened waits for ever
def test_what_is_no_file_is_named(name: str, kind: str) -> None:
    run = run_with()
    (run.path / name).unlink(missing_ok=True)
    if kind == "folder":
        (run.path / name).mkdir()
    else:
        os.mkfifo(run.path / name)
    if name == NOTEBOOK:
        assert run.state == "finished"
    else:
        assert run.state == "damaged"
        with pytest.raises(RotnetError, match=rf"{name} is no file but a .*{kind}"):
            run.result()


@pytest.mark.parametrize(
    "content", [b"\xff", b"", b"null", b"[]", b"{}", b'{"metadata": 3}', b'{"metadata": {"papermill": []}}']
)
def test_a_notebook_that_is_none_is_no_obstacle(content: bytes) -> None:
    """It is written anew when the run goes on."""
    run = run_with()
    (run.path / NOTEBOOK).write_bytes(content)
    (run.path / METRICS).unlink()
    assert run.state == "interrupted"


def test_a_damaged_run_is_not_made_again_by_itself() -> None:
    config = PretrainConfig.build({"dataset": "shapes"})
    run = finished(config, config.fingerprint())
    (run.path / METRICS).write_text("{}")
    before = (run.path / PARAMETERS).stat().st_mtime_ns
    with pytest.raises(RotnetError, match=rf"{run.name}/{METRICS} is damaged.*Delete .*{run.name} and run again"):
        open_run(config)
    assert (run.path / PARAMETERS).stat().st_mtime_ns == before
    assert not run.running


def test_a_damaged_run_is_passed_over_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = run_with(), run_with(seed=1)
    (bad.path / METRICS).write_bytes(b"\xff")
    assert [run.name for run in finished_runs(Path("runs"))] == [good.name]
    assert f"passed over: {bad.path.relative_to(Path.cwd()) / METRICS} is damaged" in capsys.readouterr().out


def test_a_run_is_asked_again_after_its_files_changed() -> None:
    run = run_with()
    text = (run.path / METRICS).read_text()
    for content, state in ((text, "finished"), (text.replace("50.0", "59.0"), "damaged"), (text, "finished")):
        (run.path / METRICS).write_text(content)
        assert run.state == state


def test_a_result_may_be_changed_by_who_asked_for_it() -> None:
    run = run_with()
    run.result().metrics.clear()
    assert run.result().metrics


# --- The files that pages are drawn from later ---


@pytest.fixture
def with_files() -> RunDirectory:
    """A finished run with a history and predictions."""
    config = PretrainConfig.build({"dataset": "shapes"})
    run = finished(config)
    (run.path / METRICS).unlink()
    for name in (HISTORY, "scores.csv", "masks/1.png", NOTEBOOK, REPORT, ".hidden", "model.safetensors"):
        (run.path / name).parent.mkdir(exist_ok=True)
        (run.path / name).write_text(name)
    finish(run, config, "0123")
    return run


def test_their_checksums_are_in_the_result(with_files: RunDirectory) -> None:
    files = with_files.result().files
    assert files is not None
    assert sorted(files) == [HISTORY, "masks/1.png", "scores.csv"]
    with noting():
        with_files.check_files()
        assert noted() == []


@pytest.mark.parametrize("name", [HISTORY, "scores.csv", "masks/1.png"])
@pytest.mark.parametrize("change", ["flipped", "cut", "gone", "folder"])
def test_a_file_that_changed_is_named(with_files: RunDirectory, name: str, change: str) -> None:
    path = with_files.path / name
    content = path.read_bytes()
    path.unlink()
    if change == "folder":
        path.mkdir()
    elif change != "gone":
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:] if change == "flipped" else content[:-1])
    assert with_files.finished == (name != HISTORY)  # the others are looked at where pages are drawn from them
    with pytest.raises(RotnetError, match=rf"{path}.*Delete {with_files.path} and run again"):
        with_files.check_files()


def test_files_from_before_are_noted(with_files: RunDirectory) -> None:
    forget_checksums(with_files)
    assert with_files.finished
    with noting():
        with_files.check_files([HISTORY])
        assert noted() == [f"{with_files.name}/{HISTORY}"]


def test_a_result_says_what_was_read_unverified() -> None:
    run = run_with()
    config = PretrainConfig.build({"dataset": "shapes"})
    result = made_up_result(run, config, "0123", unverified=["rotnet/model.safetensors"])
    run.save(result)
    assert run.result().unverified == ["rotnet/model.safetensors"]
    forget_checksums(run)
    assert run.result().unverified == []


# --- What a killed process left ---


def test_what_a_killed_process_left_half_written_goes() -> None:
    config = PretrainConfig.build({"dataset": "shapes"})
    run = RunDirectory(Path("runs", "run"))
    left = [
        ".model.safetensors.abcd1234.safetensors",
        ".failure.json.x_yz0123",
        ".model-epoch2.safetensors.00000000.safetensors",
    ]
    kept = [".made", ".lock", "model.safetensors", "history.csv", ".report.html.abcd1234.html", ".notes.txt"]
    (run.path / "masks").mkdir(parents=True)
    for name in (*left, *kept, "masks/.1.png.abcd1234.png"):
        (run.path / name).touch()
    run.open(config)
    names = {str(path.relative_to(run.path)) for path in run.path.rglob("*")}
    run.close()
    assert names == {*kept, "masks", PARAMETERS}


def test_what_a_process_writes_meanwhile_stays() -> None:
    """A notebook cell that opens the run again while it holds the lock."""
    config = PretrainConfig.build({"dataset": "shapes"})
    run = RunDirectory(Path("runs", "run"))
    run.open(config)
    (run.path / ".model.safetensors.abcd1234.safetensors").touch()
    run.open(config)
    run.close()
    assert (run.path / ".model.safetensors.abcd1234.safetensors").exists()

"""`rotnet clean`: what could go, what must stay, and that nothing goes unless told."""

import json
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any, TextIO

import pytest
import yaml
from click.testing import CliRunner, Result

from rotnet_lib.cli import main
from rotnet_lib.data.source import cache_root
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import is_locked, lock_file
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.directory import METRICS, MODEL, PARAMETERS, PLAN, REPORT, RESUME, RunDirectory, directory_of
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.suites.cleaning import KINDS, Listing, list_removable, remove, size_text
from rotnet_lib.suites.plan import Options, Plan, plan_suite
from rotnet_lib.suites.resolve import configure
from tests.results import finish


def rotnet(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=answer)


def made(config: RunConfig, *, finished: bool = True) -> RunDirectory:
    """A run's directory with 100 bytes of weights, of a checkpoint on the way, and of a resume state."""
    directory = directory_of(config, config.fingerprint())
    if finished:
        finish(directory, config, config.fingerprint())
    else:
        directory.open(config)
        directory.close()
    for name in (MODEL, "model-epoch2.safetensors", RESUME):
        (directory.path / name).write_bytes(bytes(100))
    return directory


@pytest.fixture
def plan() -> Plan:
    """Of figure 5a, all runs finished."""
    plan = plan_suite("figure5a", Options(preset="quick"))
    plan.write()
    for run in plan.runs:
        made(run.config)
    return plan


def paths(listing: Listing, kind: str) -> set[str]:
    """Relative to the folder of runs."""
    return {str(item.path.relative_to(Path("runs").absolute())) for item in listing.items if item.kind == kind}


def tree(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_size for path in folder.rglob("*") if path.name != ".lock"}


def test_without_runs_there_is_nothing(tmp_path: Path) -> None:
    result = rotnet("clean")
    assert result.exit_code == 0
    assert [line.partition(" (")[0] for line in result.output.splitlines()[:-1]] == [f"{kind}: 0, 0 B" for kind in KINDS]
    assert list(tmp_path.iterdir()) == []


def test_what_finished_runs_no_longer_need_is_listed_with_sizes_and_totals(plan: Plan, tmp_path: Path) -> None:
    before = tree(tmp_path)
    output = rotnet("clean").output
    assert f"checkpoints: {len(plan.runs)}, {100 * len(plan.runs)} B (" in output
    assert "figure 5a and `-p checkpoint` read them" in output
    assert f"  100 B  {plan.runs[0].directory.path}/{RESUME}" in output
    assert output.splitlines()[-1] == "nothing was removed: --remove KIND does that."
    assert tree(tmp_path) == before


def test_one_kind_is_removed_when_told_and_confirmed(plan: Plan, tmp_path: Path) -> None:
    before = tree(tmp_path)
    result = rotnet("clean", "--remove", "resume", answer="n\n")
    assert f"Remove {len(plan.runs)} of resume, {100 * len(plan.runs)} B?" in result.output
    assert result.output.splitlines()[-1] == "nothing was removed."
    assert rotnet("clean", "--remove", "resume", answer="").exit_code != 0  # nobody there to answer
    assert tree(tmp_path) == before
    result = rotnet("clean", "--remove", "resume", answer="y\n")
    assert result.output.splitlines()[-1] == f"removed: {100 * len(plan.runs)} B"
    assert tree(tmp_path) == {path: size for path, size in before.items() if not path.endswith(RESUME)}


def test_several_kinds_go_without_a_question_by_yes(plan: Plan) -> None:
    result = rotnet("clean", "--remove", "resume", "--remove", "checkpoints", "--yes")
    assert result.exit_code == 0, result.output
    left = {path.name for run in plan.runs for path in run.directory.path.iterdir()}
    assert left == {MODEL, METRICS, REPORT, "parameters.yaml", ".lock"}
    assert all(run.directory.finished for run in plan.runs)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--yes"], "--yes removes nothing by itself: name what is to go, such as --remove resume"),
        (["--remove", "checkpoint", "--yes"], "unknown kind 'checkpoint'; did you mean 'checkpoints'?"),
        (["--remove", "all"], "Allowed: checkpoints, resume, runs, leftovers, cache"),
    ],
)
def test_nothing_goes_by_a_wrong_word(arguments: list[str], part: str, plan: Plan, tmp_path: Path) -> None:
    before = tree(tmp_path)
    result = rotnet("clean", *arguments)
    assert result.exit_code == 1
    assert part in result.output
    assert tree(tmp_path) == before


# --- Runs that no suite names ---


def own_run(**parameters: Any) -> PretrainConfig:
    config = configure("pretrain", {"epochs": 3} | parameters, "quick")
    assert isinstance(config, PretrainConfig)
    return config


def test_runs_of_plans_stay_and_others_are_listed(plan: Plan) -> None:
    rotnet_run = made(own_run())
    probe = made(configure("probe", {"backbone": rotnet_run.name}, "quick"))
    unfinished = made(own_run(seed=1), finished=False)
    assert paths(list_removable("runs"), "runs") == {rotnet_run.name, probe.name, unfinished.name}
    result = rotnet("clean", "--remove", "runs", "--yes")
    assert result.exit_code == 0, result.output
    assert not any(run.path.exists() for run in (rotnet_run, probe, unfinished))
    assert all(run.directory.finished for run in plan.runs)


@pytest.mark.parametrize("named_by", ["name", "path", "file"])
def test_what_a_planned_run_builds_on_stays(named_by: str, plan: Plan) -> None:
    """As when a plan's run names one that was made by hand."""
    upstream = made(own_run())
    backbone = {"name": upstream.name, "path": str(upstream.path), "file": str(upstream.path / MODEL)}[named_by]
    planned = plan.runs[1].directory
    parameters = yaml.safe_load((planned.path / PARAMETERS).read_text()) | {"backbone": backbone}
    (planned.path / PARAMETERS).write_text(yaml.safe_dump(parameters))
    (planned.path / METRICS).unlink()  # it would say that the run has another one
    assert paths(list_removable("runs"), "runs") == set()


def test_what_was_renamed_since_it_was_planned_stays(plan: Plan) -> None:
    """And what was renamed of a run that was not, by whose parameters it still has the other name."""
    planned = plan.runs[0].directory
    config = own_run()
    renamed = directory_of(config, config.fingerprint())
    finish(renamed, config, config.fingerprint(), renamed_from=[planned.name])
    assert paths(list_removable("runs"), "runs") == set()
    shutil.rmtree(planned.path)
    document = json.loads((plan.directory / PLAN).read_text())
    document["runs"] = document["runs"][1:]
    assert document["runs"][0]["parameters"]["backbone"] == planned.name
    (plan.directory / PLAN).write_text(json.dumps(document))
    assert paths(list_removable("runs"), "runs") == set()


def test_a_file_and_its_run_are_counted_once(plan: Plan) -> None:
    run = made(own_run())
    listing = list_removable("runs")
    chosen = listing.of(["runs", "resume"])
    assert [item.path for item in chosen if item.path.is_relative_to(run.path)] == [run.path]


@pytest.mark.parametrize("content", ["1", "{}", "[", '{"runs": [1]}', '{"runs": [{"name": 3, "parameters": {}}]}', "\udcff"])
def test_with_a_plan_that_cannot_be_read_no_run_is_listed(content: str, plan: Plan) -> None:
    made(own_run())
    (plan.directory / "plan.json").write_bytes(content.encode(errors="surrogateescape"))
    listing = list_removable("runs")
    assert paths(listing, "runs") == set()
    assert any(f"{plan.directory}/plan.json cannot be read" in note for note in listing.notes)
    assert len(paths(listing, "resume")) == len(plan.runs) + 1  # the other kinds do not depend on it


def test_who_waits_for_a_run_that_is_removed_gets_the_lock_that_others_see(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(own_run(), finished=False)
    (run.path / "predictions").mkdir()
    waiting = threading.Event()
    locks: list[TextIO] = []
    waiter = threading.Thread(
        target=lambda: locks.append(lock_file(run.path / ".lock", on_wait=lambda owner: waiting.set())), daemon=True
    )
    remove_folder = shutil.rmtree

    def remove_while_another_waits(path: Path) -> None:
        if not waiter.ident:
            waiter.start()
            waiting.wait(10)
        remove_folder(path)

    monkeypatch.setattr(shutil, "rmtree", remove_while_another_waits)
    remove(list_removable("runs").of(["runs"]), "runs")
    waiter.join(10)
    with locks[0]:
        assert is_locked(run.path / ".lock")
        assert {path.name for path in run.path.iterdir()} == {".lock"}
    assert not is_locked(run.path / ".lock")


# --- What must stay ---


def test_a_run_in_progress_is_left_alone_and_so_is_what_it_builds_on(plan: Plan) -> None:
    upstream = made(own_run())
    running = made(configure("probe", {"backbone": upstream.name}, "quick"), finished=False)
    leftover = running.path / ".history.csv.abcd1234.csv"
    leftover.touch()
    with lock_file(running.path / ".lock"):
        listing = list_removable("runs")
        assert paths(listing, "runs") == set()
        assert not any(item.path.is_relative_to(running.path) for item in listing.items)
        assert f"{running.path} is left alone: it is being written." in listing.notes
    assert paths(list_removable("runs"), "runs") == {upstream.name, running.name}


def test_a_run_that_began_after_it_was_listed_is_left_alone(plan: Plan) -> None:
    run = made(own_run(), finished=False)
    chosen = list_removable("runs").of(["runs"])
    said: list[str] = []
    with lock_file(run.path / ".lock"):
        assert remove(chosen, "runs", said.append) == 0
    assert said == [f"{run.path} is in use by now: left alone."]
    assert run.path.exists()


def test_a_run_whose_page_is_being_written_is_left_alone(plan: Plan) -> None:
    run = made(own_run())
    chosen = list_removable("runs").of(["runs", "resume"])
    said: list[str] = []
    with lock_file(run.path / ".notebook.lock"):
        assert not any(item.path.is_relative_to(run.path) for item in list_removable("runs").items)
        remove([item for item in chosen if item.path.is_relative_to(run.path)], "runs", said.append)
    assert f"{run.path} is in use by now: left alone." in said
    assert run.finished


def test_a_run_that_a_plan_names_by_now_is_left_alone(plan: Plan) -> None:
    run = made(own_run())
    chosen = list_removable("runs").of(["runs"])
    document = json.loads((plan.directory / PLAN).read_text())
    document["runs"][0]["name"] = run.name
    (plan.directory / PLAN).write_text(json.dumps(document))
    said: list[str] = []
    assert remove([item for item in chosen if item.path == run.path], "runs", said.append) == 0
    assert said == [f"{run.path} is in use by now: left alone."]


def test_a_run_that_cannot_be_locked_stops_nothing(plan: Plan) -> None:
    run = made(own_run())
    (run.path / ".lock").unlink(missing_ok=True)
    (run.path / ".lock").mkdir()
    listing = list_removable("runs")
    assert not any(item.path.is_relative_to(run.path) for item in listing.items)
    assert any(note.startswith(f"{run.path} is left alone: ") and "is no file but a folder" in note for note in listing.notes)
    assert listing.items


def test_nothing_goes_while_a_suite_is_at_work(plan: Plan) -> None:
    chosen = list_removable("runs").of(["resume"])
    with lock_file(Path("runs/.lock")), pytest.raises(RotnetError, match="is in use by a suite"):
        remove(chosen, "runs")
    assert all(item.path.exists() for item in chosen)


def test_resume_states_and_weights_of_unfinished_runs_stay(plan: Plan) -> None:
    run = plan.runs[0].directory
    (run.path / METRICS).unlink()
    listing = list_removable("runs")
    assert not any(item.path.is_relative_to(run.path) for item in listing.items)


def test_weights_on_the_way_that_a_planned_run_still_reads_stay(plan: Plan) -> None:
    trained, probe = plan.runs[0].directory, plan.runs[1]
    assert probe.config.model_dump()["checkpoint"] is not None
    (probe.directory.path / METRICS).unlink()
    listing = list_removable("runs")
    assert f"{trained.name}/model-epoch2.safetensors" not in paths(listing, "checkpoints")
    assert any("read by a run that is not finished" in note for note in listing.notes)


def test_weights_on_the_way_of_a_run_that_was_renamed_since_stay_only_while_they_are_read(plan: Plan) -> None:
    trained, probe = plan.runs[0].directory, plan.runs[1]
    assert probe.config.model_dump()["checkpoint"] is not None
    renamed = made(own_run())
    renamed.save(renamed.result().model_copy(update={"renamed_from": [trained.name]}))
    file = f"{renamed.name}/model-epoch2.safetensors"
    assert file in paths(list_removable("runs"), "checkpoints")
    (probe.directory.path / METRICS).unlink()
    assert file not in paths(list_removable("runs"), "checkpoints")
    shutil.rmtree(probe.directory.path)
    assert file not in paths(list_removable("runs"), "checkpoints")
    other = own_run(seed=1)
    finish(directory_of(other, other.fingerprint()), other, other.fingerprint(), renamed_from=[probe.name])
    assert file in paths(list_removable("runs"), "checkpoints")


def test_a_link_to_a_run_is_no_run(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "parameters.yaml").write_text("{}")
    Path("runs/linked").symlink_to(tmp_path / "elsewhere")
    assert "linked" not in paths(list_removable("runs"), "runs")


# --- Leftovers and the cache ---


def test_temporary_files_of_killed_processes_are_leftovers(plan: Plan) -> None:
    run = plan.runs[0].directory
    suite_page = plan.directory / ".report.html.abcdefgh.html"
    for path in (run.path / ".model.safetensors.x_4k2b1a.safetensors", Path("runs/.index.html.abcdefgh.html"), suite_page):
        path.write_bytes(bytes(10))
        os.utime(path, (time.time() - 7200,) * 2)
    (run.path / ".history.csv.abcdefgh.csv").touch()  # a process may be writing it
    kept = [run.path / ".made", run.path / ".note", Path("runs/.gitkeep")]
    for path in kept:
        path.touch()
    expected = {
        f"{run.name}/.model.safetensors.x_4k2b1a.safetensors",
        ".index.html.abcdefgh.html",
        f"{plan.directory.name}/{suite_page.name}",
    }
    assert paths(list_removable("runs"), "leftovers") == expected
    assert rotnet("clean", "--remove", "leftovers", "--yes").output.splitlines()[-1] == "removed: 30 B"
    assert paths(list_removable("runs"), "leftovers") == set()
    assert all(path.exists() for path in kept)


def test_decoded_images_are_the_cache(tmp_path: Path) -> None:
    cache_root().mkdir()
    decoded = cache_root() / "cifar10-32-train-0123456789abcdef.safetensors"
    decoded.write_bytes(bytes(2000))
    dear = [cache_root() / "proposals-test-5-0123456789abcdef.npz", cache_root() / "shrunk-256-0123456789abcdef"]
    dear[0].touch()
    dear[1].mkdir()
    assert [(item.path, item.size) for item in list_removable("runs").items] == [(decoded, 2000)]
    assert rotnet("clean", "--remove", "cache", "--yes").output.splitlines()[-1] == "removed: 2.0 kB"
    assert sorted(cache_root().iterdir()) == dear


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_550_000, "1.6 MB"), (3 * 10**9, "3.0 GB")]
)
def test_sizes_are_for_people(size: int, text: str) -> None:
    assert size_text(size) == text
